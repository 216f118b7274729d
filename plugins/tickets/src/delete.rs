//! Deletes a ticket permanently.

use hearth_plugin::prelude::*;

use crate::audits;
use crate::events::Event;
use crate::outbox::Outbox;
use crate::sql::erasure::{delete_clocks, delete_tags, delete_ticket, redact_audits};
use crate::sql::feed::mark_changed;
use crate::sql::terms::remove_terms;
use crate::sql::{insert_audits, lock_tickets};
use crate::ticket::{AGENT, Author, TicketId};

/// `DELETE /tickets/{id}`: by agents, 204. The ticket goes with its comments, tags, clocks
/// and all by which it is found. Its audits stay, for agents: that something happened,
/// who did it and when, and not what was said. The feed of changes and the events say
/// that it is gone.
pub fn delete(request: &Request, TicketId(id): TicketId) -> Answer {
    request.require_scope(AGENT)?;
    let author = Author::of(request)?;
    let database = request.database();
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let tickets = lock_tickets(tx, std::slice::from_ref(&id))?;
            let ticket = tickets.first().ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&ticket.etag()))?;
            erase(tx, &id, &author)?;
            let event = Event::deleted(&id, Timestamp::now());
            Ok::<_, Problem>(outbox.send(tx, &[event], &[])?)
        })
    })?;
    metrics::count("deleted", 1, &[]);
    Ok(Response::no_content())
}

fn erase(tx: &Transaction, id: &str, author: &Author<'_>) -> Result<(), sql::Error> {
    remove_terms(tx, id)?;
    delete_tags(tx, id)?;
    delete_clocks(tx, id)?;
    redact_audits(tx, id, None)?;
    delete_ticket(tx, id)?;
    let audit = Json(json!([audits::new(id, true, audits::deleted())]));
    let (key, is_agent) = (author.key_id, author.is_agent);
    insert_audits(tx, &audit, key, is_agent, Timestamp::now())?;
    mark_changed(tx, &[id.to_string()]).map(drop)
}
