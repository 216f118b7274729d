//! Creates or updates many tickets in one request, for agents. All valid items are done
//! in one transaction; errors are reported for each item and do not affect the others.

use std::collections::HashSet;

use hearth_plugin::prelude::*;

use crate::change::Patch;
use crate::create::{self, New};
use crate::outbox::Outbox;
use crate::sql::{lock_order, lock_tickets};
use crate::ticket::{AGENT, Author, Summary};
use crate::write::{self, Edit};

/// Tickets of one request at most.
const TICKETS_MAX: usize = 100;

/// What became of one ticket.
type Outcome = Result<(u16, Summary), Problem>;

/// `POST /tickets/bulk`: 207 with `{"create": [...]}` or `{"update": [...]}`.
pub fn bulk(request: &Request) -> Answer {
    request.require_scope(AGENT)?;
    let mut fields = request.fields()?;
    let created = fields.list("create").count(1..=TICKETS_MAX).optional();
    let updated = fields.list("update").count(1..=TICKETS_MAX).optional();
    if created.is_some() && updated.is_some() {
        fields.refuse("update", "not_allowed", "give either create or update");
    }
    if created.is_none() && updated.is_none() {
        fields.refuse("create", "required", "give create or update");
    }
    fields.finish()?;
    let outcomes = match (created, updated) {
        (Some(items), _) => create_all(request, items)?,
        (_, items) => update_all(request, items.unwrap_or_default())?,
    };
    answer(request, &outcomes)
}

fn answer(request: &Request, outcomes: &[Outcome]) -> Answer {
    let result = |(index, outcome): (usize, &Outcome)| match outcome {
        Ok((status, ticket)) => {
            json!({"index": index, "status": status, "ticket": ticket.to_json()})
        }
        Err(problem) => {
            json!({"index": index, "status": problem.status(), "problem": problem.to_json(request)})
        }
    };
    let results: Vec<_> = outcomes.iter().enumerate().map(result).collect();
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let failed = outcomes.len() - succeeded;
    let body = json!({"results": results, "succeeded": succeeded, "failed": failed});
    let response = Response::json(207, &body)?;
    Ok(match succeeded {
        0 => response.without_effect(),
        _ => response,
    })
}

fn create_all(request: &Request, items: Vec<Value>) -> Result<Vec<Outcome>, Problem> {
    let mut good = Vec::new();
    let mut place = |(index, item)| {
        good.push(New::read(Fields::at(format!("/create/{index}"), item)?)?);
        Ok(good.len() - 1)
    };
    let places: Vec<Result<usize, Problem>> =
        items.into_iter().enumerate().map(&mut place).collect();
    let stamps = match good.is_empty() {
        true => Vec::new(),
        false => create::insert_all(&request.database(), &good, &Author::of(request)?)?,
    };
    let written: Vec<_> = good.into_iter().map(|new| new.written(&stamps)).collect();
    let outcome = |index: usize| {
        let (ticket, _) = written.get(index).cloned().flatten()?;
        Some((201, ticket))
    };
    let outcomes = places.into_iter();
    Ok(outcomes
        .map(|place| place.and_then(|index| outcome(index).ok_or_else(create::exists)))
        .collect())
}

fn update_all(request: &Request, items: Vec<Value>) -> Result<Vec<Outcome>, Problem> {
    let wanted = read_updates(items);
    let ids = lock_order(wanted.iter().flatten().map(|(id, _)| id.clone()));
    if ids.is_empty() {
        return Ok(wanted.into_iter().flat_map(Result::err).map(Err).collect());
    }
    let author = Author::of(request)?;
    let database = request.database();
    let changed = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let locked = lock_tickets(tx, &ids)?;
            let mut edits = Vec::new();
            let mut place = |wanted: &Result<(String, Patch), Problem>| {
                let (id, patch) = wanted.as_ref().map_err(Problem::clone)?;
                let before = locked.iter().find(|ticket| ticket.id == *id);
                let before = before.cloned().ok_or_else(Problem::not_found)?;
                let after = patch.apply(&before)?;
                edits.push(Edit::new(before, after.into())?);
                Ok(edits.len() - 1)
            };
            let places: Vec<Result<usize, Problem>> = wanted.iter().map(&mut place).collect();
            if places.iter().all(Result::is_err) {
                return Err(Unchanged::All(places));
            }
            write::apply(tx, &mut edits, &author, outbox)?;
            Ok((places, edits))
        })
    });
    let (places, edits) = match changed {
        Ok(changed) => changed,
        Err(Unchanged::All(places)) => (places, Vec::new()),
        Err(Unchanged::Failed(problem)) => return Err(problem),
    };
    edits.iter().for_each(Edit::record_status_change);
    let ticket = |index: usize| edits.get(index).map(|edit| (200, edit.after.clone()));
    let outcomes = places.into_iter();
    Ok(outcomes
        .map(|place| place.and_then(|index| ticket(index).ok_or_else(Problem::internal)))
        .collect())
}

/// Why no ticket of a request changes: its transaction is rolled back, and marks no
/// idempotency key as used.
enum Unchanged {
    /// None of them can change so.
    All(Vec<Result<usize, Problem>>),
    /// The change of all of them failed.
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for Unchanged {
    fn from(error: E) -> Self {
        Unchanged::Failed(error.into())
    }
}

/// An id and a patch each; a ticket may be named once.
fn read_updates(items: Vec<Value>) -> Vec<Result<(String, Patch), Problem>> {
    let mut seen = HashSet::new();
    let mut read = |(index, item)| {
        let mut fields = Fields::at(format!("/update/{index}"), item)?;
        let id = fields
            .text("id")
            .check("wrong_type", "this must be the id of a ticket", |id| {
                id::is("tkt", id)
            })
            .check("repeated", "this ticket is given twice", |id| {
                seen.insert(id.clone())
            })
            .required();
        Ok((id, Patch::read(fields)?))
    };
    items.into_iter().enumerate().map(&mut read).collect()
}
