//! Merges a ticket into another: the source is closed and names the target, and both
//! get a public comment and an audit.

use hearth_plugin::prelude::*;
use hearth_plugin::{FieldError, problem::Location};

use crate::comments::Draft;
use crate::outbox::Outbox;
use crate::sql::{lock_order, lock_tickets, ticket_by_id};
use crate::ticket::{AGENT, Author, Summary, TicketId};
use crate::write::{self, Edit, TicketUpdate};
use crate::{audits, comments, status};

/// `POST /tickets/{id}/merge`: by agents. Both are locked in the order of their
/// ids, so that two merges at once wait for each other, and the second finds what
/// the first closed: neither circles nor chains to a closed ticket come about.
pub fn merge(request: &Request, TicketId(source): TicketId) -> Answer {
    request.require_scope(AGENT)?;
    let into = read(request, &source)?;
    let author = Author::of(request)?;
    let database = request.database();
    let ids = lock_order([source.clone(), into.clone()]);
    let (edit, description) = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let locked = lock_tickets(tx, &ids)?;
            let [source, target] = pair(&locked, &source, &into)?;
            request.check_preconditions(Some(&source.etag()))?;
            status::refuse_closed(&source.status)?;
            refuse_closed_target(&target)?;
            let mut edits = edits(tx, source, target, &author)?;
            write::apply(tx, &mut edits, &author, outbox)?;
            let [edit, _] = edits;
            let ticket = ticket_by_id(tx, &edit.after.id)?.ok_or_else(Problem::not_found)?;
            Ok::<_, Problem>((edit, ticket.description))
        })
    })?;
    edit.record_status_change();
    edit.after.answer(200, &description)
}

fn read(request: &Request, source: &str) -> Result<String, Problem> {
    let mut fields = request.fields()?;
    let into = fields
        .text("into")
        .check("wrong_type", "this must be the id of a ticket", |into| {
            id::is("tkt", into)
        })
        .check(
            "not_allowed",
            "a ticket cannot be merged into itself",
            |into| into != source,
        )
        .required();
    fields.finish()?;
    Ok(into)
}

/// Source and target among the tickets that were found: 404 without the one, 422
/// without the other.
fn pair(locked: &[Summary], source: &str, into: &str) -> Result<[Summary; 2], Problem> {
    let find = |id: &str| locked.iter().find(|ticket| ticket.id == id).cloned();
    let source = find(source).ok_or_else(Problem::not_found)?;
    let target = find(into).ok_or_else(|| {
        Problem::invalid_fields(vec![FieldError {
            location: Location::Pointer("/into".into()),
            code: "not_found",
            detail: "this ticket was not found".into(),
        }])
    })?;
    Ok([source, target])
}

fn refuse_closed_target(target: &Summary) -> Result<(), Problem> {
    if target.status != "closed" {
        return Ok(());
    }
    let detail = "the ticket to merge into is closed";
    Err(Problem::new(409, "ticket-closed", "The ticket is closed").detail(detail))
}

/// Writes the comments, and says what becomes of both tickets.
fn edits(
    tx: &Transaction,
    source: Summary,
    target: Summary,
    author: &Author<'_>,
) -> Result<[Edit; 2], Problem> {
    let note = |on: &Summary, body: String| {
        let draft = Draft {
            public: true,
            body,
            requester: None,
        };
        comments::add(tx, &on.id, &draft, author)
    };
    let left = note(&source, format!("Merged into {}.", target.id))?;
    // The subject would stay there when the source is deleted or redacted.
    let came = note(
        &target,
        format!("{} was merged into this ticket.", source.id),
    )?;
    let closed = TicketUpdate {
        ticket: Summary {
            status: "closed".into(),
            merged_into: Some(target.id.clone()),
            ..source.clone()
        },
        events: vec![
            json!({"type": "merge", "into": target.id}),
            audits::commented(&left.id, true),
        ],
        closed_too: false,
        comment: Some(left),
    };
    let kept = TicketUpdate {
        ticket: target.clone(),
        events: vec![
            json!({"type": "merge", "from": source.id}),
            audits::commented(&came.id, true),
        ],
        closed_too: false,
        comment: Some(came),
    };
    Ok([Edit::new(source, closed)?, Edit::new(target, kept)?])
}
