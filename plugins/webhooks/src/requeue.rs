//! Deliveries that are started again: one on request, or many, one page in a
//! transaction with its messages and with the message of the next page.

use std::collections::BTreeSet;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;

use crate::accept::{self, DELIVERIES};
use crate::deliver::failed;
use crate::endpoint::EndpointId;
use crate::endpoints;
use crate::events::{self, EventId, FIRST};
use crate::order::{Job, Kind, Order};
use crate::sql::endpoints::{endpoint_by_id, lift_pauses};
use crate::sql::events::{Listed, events_for};
use crate::sql::requeue::{
    Begun, Candidate, begin_anew, begin_in_place, dead, hasten, ordered_of, undelivered,
};
use crate::topic;

/// Rows of a page, as its statements have it: a transaction sends their messages and
/// that of the next page.
const PAGE: usize = accept::DIRECT_MAX;

/// `POST /events/{id}/endpoints/{endpoint}/resend`: once more, however it stands with
/// it; also to an endpoint that did not want it at first. What an ordered endpoint waits
/// for keeps its place.
pub fn resend(request: &Request, EventId(event): EventId, EndpointId(id): EndpointId) -> Answer {
    request.fields_if_any()?.finish()?;
    events::require(request, &event)?;
    endpoints::find(request, &id)?.require_enabled()?;
    let candidate = Candidate {
        event_id: event,
        endpoint_id: id,
        created_at: Timestamp::default(),
    };
    let begun = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let now = Timestamp::now();
            lift(tx, std::slice::from_ref(&candidate.endpoint_id), now)?;
            match begin(tx, std::slice::from_ref(&candidate), now, false)? {
                0 => in_place(tx, &candidate, now),
                begun => Ok(begun),
            }
        })?;
    queued(begun, false)
}

fn in_place(tx: &Transaction, own: &Candidate, now: Timestamp) -> Result<usize, sql::Error> {
    let begun = begin_in_place(tx, &own.event_id, &own.endpoint_id, now)?;
    Ok(usize::try_from(begun).unwrap_or_default())
}

/// `POST /endpoints/{id}/recover`: everything of that time that failed or stopped, or
/// is scheduled for later.
pub fn recover(request: &Request, id: EndpointId) -> Answer {
    between(request, id, Kind::Recover)
}

/// `POST /endpoints/{id}/replay-missing`: every event of that time that the endpoint
/// wants and never got, those included that came while it was disabled, and those that
/// are scheduled for later.
pub fn replay_missing(request: &Request, id: EndpointId) -> Answer {
    between(request, id, Kind::ReplayMissing)
}

/// Ends the pauses of these endpoints, and for ordered ones the wait for the first
/// delivery in line. Returns how many such there were.
pub fn lift(on: &dyn Connection, ids: &[String], now: Timestamp) -> Result<usize, sql::Error> {
    lift_pauses(on, ids)?;
    let mut hastened = 0;
    for ordered in ordered_of(on, ids)? {
        hastened += hasten(on, &ordered.id, now)?;
    }
    Ok(usize::try_from(hastened).unwrap_or_default())
}

fn between(request: &Request, EndpointId(id): EndpointId, job: Kind) -> Answer {
    let now = Timestamp::now();
    let mut fields = request.fields()?;
    let since = fields.timestamp("since").required();
    let until = fields.timestamp("until").or(now).min(now);
    fields.finish()?;
    endpoints::find(request, &id)?.require_enabled()?;
    begin_job(
        request,
        &Job {
            job,
            endpoint_id: Some(id),
            event_ids: None,
            since: since.micros(),
            until: until.micros(),
            after: None,
        },
    )
}

/// Does the first page at once, so that what is small is done with the answer.
pub fn begin_job(request: &Request, job: &Job) -> Answer {
    let (begun, more) = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| step(tx, job))?;
    queued(begun, more)
}

/// 202, with how many begin anew by now and whether there may be more to come.
pub fn queued(begun: usize, more: bool) -> Answer {
    let body = json!({"status": "queued", "deliveries": begun, "more": more});
    Response::json(202, &body)
}

/// Does the next page of a job.
pub fn work(batch: &Batch, job: &Job) -> Disposition {
    let done = batch
        .database()
        .transaction(Isolation::ReadCommitted, |tx| step(tx, job));
    done.map_or_else(failed, |_| Disposition::Done)
}

fn step(tx: &Transaction, job: &Job) -> Result<(usize, bool), sql::Error> {
    let now = Timestamp::now();
    let (candidates, last) = page(tx, job, now)?;
    let mut hastened = 0;
    if job.after.is_none() {
        // Whoever asks for it means now. Later pages ask for nothing of their own.
        let endpoints = candidates.iter().map(|row| &row.endpoint_id);
        let endpoints: BTreeSet<_> = endpoints.chain(&job.endpoint_id).cloned().collect();
        hastened = lift(tx, &Vec::from_iter(endpoints), now)?;
    }
    let begun = begin(tx, &candidates, now, true)?;
    if let Some(last) = &last {
        let after = (
            last.created_at.micros(),
            last.event_id.clone(),
            last.endpoint_id.clone(),
        );
        let next = Job {
            after: Some(after),
            ..job.clone()
        };
        tx.enqueue(DELIVERIES, next.message())?;
    }
    Ok((begun + hastened, last.is_some()))
}

/// The deliveries of a page, and the last row of it where there may be more.
fn page(
    tx: &Transaction,
    job: &Job,
    now: Timestamp,
) -> Result<(Vec<Candidate>, Option<Candidate>), sql::Error> {
    let (after, event, endpoint) =
        job.after
            .clone()
            .unwrap_or((FIRST.micros(), String::new(), String::new()));
    let after = Timestamp::from_micros(after);
    let (since, until) = (job.since(), job.until());
    let rows = match (job.job, job.endpoint_id.as_deref()) {
        (Kind::Redrive, own) => {
            let events = job.event_ids.as_deref();
            dead(tx, own, events, until, after, &event, &endpoint)?
        }
        (Kind::Recover, Some(own)) => undelivered(tx, own, since, until, after, &event, now)?,
        (Kind::ReplayMissing, Some(own)) => {
            let events = events_for(tx, own, since, until, after, &event)?;
            return missing(tx, own, &events);
        }
        (_, None) => Vec::new(),
    };
    let last = last(&rows);
    Ok((rows, last))
}

/// The last of a whole page: there may be more behind it.
fn last(rows: &[Candidate]) -> Option<Candidate> {
    rows.last().filter(|_| rows.len() >= PAGE).cloned()
}

/// Those of a page of events that an endpoint wants.
fn missing(
    tx: &Transaction,
    endpoint: &str,
    events: &[Listed],
) -> Result<(Vec<Candidate>, Option<Candidate>), sql::Error> {
    let Some(found) = endpoint_by_id(tx, endpoint)? else {
        return Ok((Vec::new(), None));
    };
    let candidate = |event: &Listed| Candidate {
        event_id: event.id.clone(),
        endpoint_id: endpoint.to_string(),
        created_at: event.created_at,
    };
    let all: Vec<_> = events.iter().map(candidate).collect();
    let wanted = events
        .iter()
        .filter(|event| topic::wants(&found.event_types, &event.r#type));
    Ok((wanted.map(candidate).collect(), last(&all)))
}

/// Begins deliveries anew and sends their messages, the oldest event first. Answers
/// how many there were; with `only_missing` what is due or was delivered stays as it is.
pub fn begin(
    tx: &Transaction,
    candidates: &[Candidate],
    now: Timestamp,
    only_missing: bool,
) -> Result<usize, sql::Error> {
    if candidates.is_empty() {
        return Ok(0);
    }
    let events: Vec<_> = candidates.iter().map(|row| row.event_id.clone()).collect();
    let endpoints: Vec<_> = candidates
        .iter()
        .map(|row| row.endpoint_id.clone())
        .collect();
    let mut begun = begin_anew(tx, &events, &endpoints, now, only_missing)?;
    begun.sort_by_key(|row: &Begun| (row.created_at, row.event_id.clone()));
    for row in &begun {
        let order = Order {
            event_id: row.event_id.clone(),
            endpoint_id: row.endpoint_id.clone(),
            round: row.round,
        };
        tx.enqueue(DELIVERIES, order.message(row.ordered))?;
    }
    Ok(begun.len())
}
