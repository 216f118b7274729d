//! The feed of changes: which tickets changed since a position, each once and in its
//! current state; for a deleted one, that it was deleted.
//!
//! Readers assign positions, to committed changes only (see the migration), so nothing
//! is skipped however late it commits. A ticket that changes again moves to the end.
//! One reader at a time numbers the changes of a customer, a thousand tickets in a few
//! milliseconds; a reader who finds a full page, or nothing to number, writes nothing
//! and waits for no lock.

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Batch;

use crate::sql::feed::{Changed, advance_feed, changes_after, lock_feed, number_pending, pending};

/// `GET /tickets/changes`: the oldest change first. The last page has a cursor
/// too, to go on from later.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    if paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for changes; use the cursor",
        );
    }
    query.finish()?;
    let binding = Binding::of(request, &["changes"])?;
    let after = match paging.keys::<1>(&binding)? {
        Some([position]) => position.parse().map_err(|_| cursor::refused())?,
        None => 0,
    };
    let mut changes = read(&request.database(), after, &paging)?;
    let more = paging.cut(&mut changes);
    let last = changes.last().map_or(after, |last| last.position);
    let next = binding.encode(&[&last.to_string()]);
    let changes: Vec<_> = changes.iter().map(to_json).collect();
    let body = json!({"changes": changes, "has_more": more, "next_cursor": next});
    let link = Some(next.as_str()).filter(|_| more);
    Ok(paging.link(request, link, Response::json(200, &body)?))
}

/// The changes after a position; where the page is not full, what has no position
/// yet gets one first. Whether something has none is asked before the page is read:
/// the other way round another reader could number it in between, and the page would
/// end without what was committed long before.
fn read(database: &Database, after: i64, paging: &Paging) -> Result<Vec<Changed>, Problem> {
    let limit = paging.fetch();
    let wanted = usize::try_from(limit).unwrap_or_default();
    let is_pending = pending(database)?.is_some();
    let changes = changes_after(database, after, limit)?;
    if changes.len() >= wanted || !is_pending {
        return Ok(changes);
    }
    let mut batch = Batch::new();
    batch.add(lock_feed::step());
    batch.add(number_pending::step());
    batch.add(advance_feed::step());
    let page = batch.add(changes_after::step(after, limit));
    Ok(batch.run(database)?.take(page)?)
}

fn to_json(changed: &Changed) -> Value {
    if changed.id.is_none() {
        return json!({"id": changed.ticket_id, "ticket_id": changed.ticket_id, "deleted": true});
    }
    let mut members = sql::to_json(changed);
    members.remove("position");
    Value::Object(members)
}
