//! What comes late: an event of a while ago, or a request that is run again. Its id may
//! be below a watermark that was drawn before anybody could see it, and it would be read
//! before it was there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use hearth_plugin::documents::{self, Error, Item};
use hearth_plugin::prelude::*;

use crate::deliver::{Delivery, Outcome};
use crate::draft::Draft;
use crate::entry;
use crate::inbox::Inbox;
use crate::mark::{self, Kind, Mark};
use crate::scan::{Look, PAGE_MAX, Way};
use crate::watermarks::{self, Lines};

/// What is younger is not looked at.
const AGE: Duration = Duration::from_millis(200);
/// So many are looked up one by one; more are of one request, and lie side by side.
const LOOK_UPS_MAX: usize = 10;
/// Queries, where they lie side by side.
const QUERIES_MAX: usize = 5;

/// One that comes late, and what it would be although nobody has seen it.
struct Late<'d> {
    draft: &'d Draft,
    expires_at: Timestamp,
    kinds: Vec<Kind>,
}

/// Marks those that come late, and lie below a watermark, as not being so. To be done
/// before they are written.
pub fn unmark(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    let mut inboxes: BTreeMap<Inbox, Vec<usize>> = BTreeMap::new();
    for (place, delivery) in deliveries.iter().enumerate() {
        if let Ok(delivery) = delivery
            && delivery.outcome == Outcome::Created
            && delivery.draft.at.until(now) > AGE
        {
            let inbox = inboxes.entry(delivery.draft.inbox.clone());
            inbox.or_default().push(place);
        }
    }
    for (inbox, places) in inboxes {
        let late = places.iter().filter_map(|place| deliveries.get(*place));
        let late: Vec<&Delivery> = late.flatten().collect();
        let Err(problem) = of_inbox(&inbox, &late) else {
            continue;
        };
        for place in places {
            if let Some(delivery) = deliveries.get_mut(place) {
                *delivery = Err(problem.clone());
            }
        }
    }
}

fn of_inbox(inbox: &Inbox, deliveries: &[&Delivery]) -> Result<(), Problem> {
    let mut late = covered(deliveries, &watermarks::load(inbox)?);
    if late.is_empty() {
        return Ok(());
    }
    // One that was there before keeps what was said of it.
    let there = there(inbox, &late)?;
    late.retain(|late| !there.contains(&late.draft.id));
    if late.is_empty() {
        return Ok(());
    }
    let lines = watermarks::change(inbox, |lines| {
        let mut is_new = false;
        for late in &late {
            for kind in &late.kinds {
                let (category, id) = (late.draft.category(), &late.draft.id);
                is_new |= lines.of_mut(*kind).sink(category, id);
            }
        }
        Ok(is_new)
    })?;
    let marks: Vec<Item> = late.iter().flat_map(|late| marks(late, &lines)).collect();
    let written: Result<Vec<()>, _> = documents::put_many(&marks).into_iter().collect();
    Ok(written.map(|_| ())?)
}

/// Those below a watermark.
fn covered<'d>(deliveries: &[&'d Delivery], lines: &Lines) -> Vec<Late<'d>> {
    let late = deliveries.iter().map(|delivery| {
        let draft = &delivery.draft;
        let covers = |kind: &Kind| lines.of(*kind).covers(draft.category(), &draft.id);
        Late {
            draft,
            expires_at: delivery.expires_at,
            kinds: Kind::ALL.into_iter().filter(covers).collect(),
        }
    });
    late.filter(|late| !late.kinds.is_empty()).collect()
}

/// Which of them have been there before. Where there is too much to tell, all: then they
/// are what the watermarks say.
fn there(inbox: &Inbox, late: &[Late<'_>]) -> Result<BTreeSet<String>, Error> {
    let ids: BTreeSet<String> = late.iter().map(|late| late.draft.id.clone()).collect();
    let mut there = BTreeSet::new();
    let (Some(lower), Some(highest)) = (ids.first(), ids.last()) else {
        return Ok(there);
    };
    if ids.len() <= LOOK_UPS_MAX {
        for id in &ids {
            if entry::was_there(inbox, id)? {
                there.insert(id.clone());
            }
        }
        return Ok(there);
    }
    let way = Way {
        inbox,
        lower,
        upper: &[highest, "0"].concat(),
        page: PAGE_MAX,
        queries_max: QUERIES_MAX,
        look: Look::Marks,
    };
    let is_over = way.walk(|entry| {
        if entry.has_been() {
            there.insert(entry.id);
        }
        ControlFlow::Continue(())
    })?;
    Ok(if is_over { there } else { ids })
}

/// Each as old as the watermarks: who marks all from now on means this one, too.
fn marks<'l>(late: &'l Late<'_>, lines: &'l Lines) -> impl Iterator<Item = Item> + 'l {
    let Draft { inbox, id, .. } = late.draft;
    late.kinds.iter().filter_map(move |kind| {
        let at = lines.of(*kind).at(late.draft.category(), id)?;
        let mark = Mark { on: false, at };
        let expires_at = Some(late.expires_at);
        Some(mark::item(inbox, id, kind.name(), &mark, expires_at))
    })
}
