//! What comes late: an event of a while ago, or a request that is run again. Its id may
//! be below a watermark that was drawn before anybody could see it, and it would be read
//! before it was there.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_plugin::documents::{self, Item};
use hearth_plugin::prelude::*;

use crate::deliver::{Delivery, Outcome};
use crate::draft::Draft;
use crate::entry;
use crate::inbox::Inbox;
use crate::mark::{self, Kind, Mark};
use crate::watermarks::{self, Lines};

/// What is younger is not looked at.
const AGE: Duration = Duration::from_millis(200);

/// Marks those that come late, and lie below a watermark, as not being so. To be done
/// before they are written.
pub fn unmark(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    let mut lines = BTreeMap::new();
    for delivery in deliveries {
        let is_late = |delivery: &&Delivery| {
            delivery.outcome == Outcome::Created && delivery.draft.at.until(now) > AGE
        };
        let Some(late) = delivery.as_ref().ok().filter(is_late) else {
            continue;
        };
        if let Err(problem) = one(&late.draft, late.expires_at, &mut lines) {
            *delivery = Err(problem);
        }
    }
}

fn one(
    draft: &Draft,
    expires_at: Timestamp,
    known: &mut BTreeMap<Inbox, Lines>,
) -> Result<(), Problem> {
    let inbox = &draft.inbox;
    if !known.contains_key(inbox) {
        known.insert(inbox.clone(), watermarks::load(inbox)?);
    }
    let lines = known.get(inbox);
    let covers = |kind: &Kind| {
        let line = lines.map(|lines| lines.of(*kind));
        line.is_some_and(|line| line.covers(draft.category(), &draft.id))
    };
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(covers).collect();
    // One that was there before keeps what was said of it.
    if kinds.is_empty() || entry::was_there(inbox, &draft.id)? {
        return Ok(());
    }
    let lines = watermarks::change(inbox, |lines| {
        let mut is_new = false;
        for kind in &kinds {
            is_new |= lines.of_mut(*kind).sink(draft.category(), &draft.id);
        }
        Ok(is_new)
    })?;
    let marks = marks(draft, expires_at, &lines, &kinds);
    known.insert(inbox.clone(), lines);
    let written: Result<Vec<()>, _> = documents::put_many(&marks).into_iter().collect();
    Ok(written.map(|_| ())?)
}

/// Each as old as the watermarks: who marks all from now on means this one, too.
fn marks(draft: &Draft, expires_at: Timestamp, lines: &Lines, kinds: &[Kind]) -> Vec<Item> {
    let marks = kinds.iter().filter_map(|kind| {
        let at = lines.of(*kind).at(draft.category(), &draft.id)?;
        let mark = Mark { on: false, at };
        let expires_at = Some(expires_at);
        Some(mark::item(
            &draft.inbox,
            &draft.id,
            kind.name(),
            &mark,
            expires_at,
        ))
    });
    marks.collect()
}
