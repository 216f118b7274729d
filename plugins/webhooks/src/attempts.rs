//! `/events/{id}/attempts` and `/endpoints/{id}/attempts`: all attempts, newest first.
//! A page ends early rather than exceed the limit of a response.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;

use crate::endpoint::EndpointId;
use crate::endpoints;
use crate::events::{self, EventId};
use crate::sql::attempts::{Listed, attempts_of_endpoint, attempts_of_event};

/// After every id.
const LAST: &str = "~";

/// `GET /events/{id}/attempts`.
pub fn of_event(request: &Request, EventId(id): EventId) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let binding = Binding::of(request, &["attempts", &id])?;
    let [before] = paging.keys(&binding)?.unwrap_or([LAST.into()]);
    events::require(request, &id)?;
    let attempts = attempts_of_event(&request.database(), &id, &before, paging.fetch())?;
    page(request, &paging, &binding, attempts)
}

/// `GET /endpoints/{id}/attempts`, all or those with one outcome.
pub fn of_endpoint(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let mut query = request.query()?;
    let outcome = query
        .text("outcome")
        .one_of(&["delivered", "failed"])
        .optional();
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let outcome_text = outcome.as_deref().unwrap_or_default();
    let binding = Binding::of(request, &["attempts", &id, outcome_text])?;
    let [before] = paging.keys(&binding)?.unwrap_or([LAST.into()]);
    endpoints::find(request, &id)?;
    let delivered = outcome.map(|outcome| outcome == "delivered");
    let (database, limit) = (request.database(), paging.fetch());
    let attempts = attempts_of_endpoint(&database, &id, delivered, &before, limit)?;
    page(request, &paging, &binding, attempts)
}

fn page(
    request: &Request,
    paging: &Paging,
    binding: &Binding,
    mut attempts: Vec<Listed>,
) -> Answer {
    let cut_by_bytes = attempts.first().is_some_and(|first| {
        usize::try_from(first.fetched).is_ok_and(|fetched| fetched > attempts.len())
    });
    let more = paging.cut(&mut attempts) || cut_by_bytes;
    let last = attempts.last().filter(|_| more);
    let next = last.map(|last| binding.encode(&[&last.id]));
    let attempts: Vec<_> = attempts.iter().map(to_json).collect();
    let body = json!({"attempts": attempts, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// The answer's beginning as text, whatever it was.
fn to_json(attempt: &Listed) -> Map<String, Value> {
    let mut members = sql::to_json(attempt);
    members.remove("fetched");
    members.remove("response");
    let text = String::from_utf8_lossy(&attempt.response);
    members.insert("response_body".into(), text.into());
    members
}
