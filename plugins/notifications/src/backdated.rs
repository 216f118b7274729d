//! Notifications that arrive late: of an old event, or of a request that is run again.
//! Their ids may be below a watermark that was set before they could be seen, and they
//! would be read before they existed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearth_plugin::documents::{self, Item};
use hearth_plugin::prelude::*;

use crate::deliver::{Delivery, Outcome};
use crate::draft::Draft;
use crate::entry::{self, Entry};
use crate::flag::{self, Flag, Kind};
use crate::flag_changes::written;
use crate::inbox::Inbox;
use crate::route::YOUNG;
use crate::summary;
use crate::watermarks::Lines;

/// What is younger is not looked at.
const AGE: Duration = Duration::from_millis(200);
/// What is older may lie where a list says that there is none: well before it is no
/// longer too young for lists, for it is still to be written.
const OLD: Duration = YOUNG.saturating_sub(Duration::from_secs(60));

/// One that comes late, and what it would be although nobody has seen it.
struct Late<'d> {
    draft: &'d Draft,
    expires_at: Timestamp,
    kinds: Vec<Kind>,
}

/// Those that come so late, by their inboxes.
fn older(
    deliveries: &[Result<Delivery, Problem>],
    age: Duration,
    now: Timestamp,
) -> BTreeMap<Inbox, Vec<usize>> {
    let mut inboxes: BTreeMap<Inbox, Vec<usize>> = BTreeMap::new();
    for (place, delivery) in deliveries.iter().enumerate() {
        if let Ok(delivery) = delivery
            && delivery.outcome == Outcome::Created
            && delivery.draft.at.until(now) > age
        {
            let inbox = inboxes.entry(delivery.draft.inbox.clone());
            inbox.or_default().push(place);
        }
    }
    inboxes
}

fn at<'d>(deliveries: &'d [Result<Delivery, Problem>], places: &[usize]) -> Vec<&'d Delivery> {
    let those = places.iter().filter_map(|place| deliveries.get(*place));
    those.flatten().collect()
}

fn fail(deliveries: &mut [Result<Delivery, Problem>], places: &[usize], problem: &Problem) {
    for place in places {
        if let Some(delivery) = deliveries.get_mut(*place) {
            *delivery = Err(problem.clone());
        }
    }
}

/// Marks those that come late, and lie below a watermark, as not being so. To be done
/// before they are written.
pub fn unmark(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    let inboxes = older(deliveries, AGE, now);
    if inboxes.is_empty() {
        return;
    }
    let all: Vec<&Inbox> = inboxes.keys().collect();
    let summaries = match summary::load_all(&all) {
        Ok(summaries) => summaries,
        Err(error) => {
            let problem = error.into();
            for places in inboxes.values() {
                fail(deliveries, places, &problem);
            }
            return;
        }
    };
    for ((inbox, places), summary) in inboxes.iter().zip(summaries) {
        let unmarked = of_inbox(inbox, &at(deliveries, places), &summary.lines);
        if let Err(problem) = unmarked {
            fail(deliveries, places, &problem);
        }
    }
}

/// Has those that come very late found by whoever looks for them by a list. To be done
/// behind their being written.
pub fn enter(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    for (inbox, places) in older(deliveries, OLD, now) {
        let late = at(deliveries, &places);
        let them = late
            .iter()
            .map(|one| (one.draft.category(), one.draft.id.as_str()));
        let entered = summary::enter(&inbox, them);
        if let Err(problem) = entered {
            fail(deliveries, &places, &problem);
        }
    }
}

fn of_inbox(inbox: &Inbox, deliveries: &[&Delivery], lines: &Lines) -> Result<(), Problem> {
    let mut late = covered(deliveries, lines);
    if late.is_empty() {
        return Ok(());
    }
    // One that was there before keeps what was said of it.
    let ids: Vec<String> = late.iter().map(|late| late.draft.id.clone()).collect();
    let there = entry::look_up_all(inbox, &ids)?.into_iter();
    let there: BTreeSet<String> = there
        .filter(Entry::has_been)
        .map(|entry| entry.id)
        .collect();
    late.retain(|late| !there.contains(&late.draft.id));
    if late.is_empty() {
        return Ok(());
    }
    let lines = summary::change(inbox, |lines| {
        let mut is_new = false;
        for late in &late {
            for kind in &late.kinds {
                let (category, id) = (late.draft.category(), &late.draft.id);
                is_new |= lines.of_mut(*kind).sink(category, id);
            }
        }
        Ok(is_new)
    })?;
    let flags: Vec<Item> = late.iter().flat_map(|late| flags(late, &lines)).collect();
    written(documents::put_many(&flags))
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

/// Each as old as the watermarks: who marks all from now on means this one, too.
fn flags<'l>(late: &'l Late<'_>, lines: &'l Lines) -> impl Iterator<Item = Item> + 'l {
    let Draft { inbox, id, .. } = late.draft;
    late.kinds.iter().filter_map(move |kind| {
        let at = lines.of(*kind).at(late.draft.category(), id)?;
        let flag = Flag { on: false, at };
        let expires_at = Some(late.expires_at);
        Some(flag::item(inbox, id, kind.name(), &flag, expires_at))
    })
}
