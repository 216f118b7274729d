//! Creating a ticket.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Batch;

use crate::audits;
use crate::sql::{insert_audit, insert_tags, insert_ticket};
use crate::ticket::{self, AGENT, Author, Ticket};

/// `POST /tickets`: 201 with `Location`.
pub fn create(request: &Request) -> Answer {
    let ticket = insert(request)?;
    let location = request.link(&["/tickets/", &ticket.id].concat());
    Ok(ticket.answer(201)?.header("location", &location))
}

/// `POST /tickets/create`: 200, as the function before Hearth answered.
pub fn create_as_before(request: &Request) -> Answer {
    insert(request)?.answer(200)
}

/// What a client says of a new ticket.
struct New {
    subject: String,
    description: String,
    priority: String,
    kind: Option<String>,
    assignee: Option<String>,
    external_id: Option<String>,
    tags: Vec<String>,
    custom_fields: Json,
}

impl New {
    fn read(request: &Request) -> Result<Self, Problem> {
        let mut fields = request.fields()?;
        let new = New {
            subject: ticket::subject(&mut fields).required(),
            description: fields.text("description").length(1..=65_536).required(),
            priority: ticket::priority(fields.text("priority")).or("normal"),
            kind: ticket::kind(&mut fields).optional(),
            assignee: ticket::assignee(&mut fields).optional(),
            external_id: ticket::external_id(&mut fields).optional(),
            tags: ticket::tags(&mut fields).or([]),
            custom_fields: Json(ticket::custom_fields(&mut fields).or(Map::new()).into()),
        };
        fields.finish()?;
        if new.assignee.is_some() {
            request.require_scope(AGENT)?;
        }
        Ok(new)
    }
}

/// Ticket, tags and audit in one transaction and one round trip.
fn insert(request: &Request) -> Result<Ticket, Problem> {
    let new = New::read(request)?;
    let author = Author::of(request)?;
    let id = id::new("tkt");
    let mut batch = Batch::new();
    let ticket = batch.add(insert_ticket::step(
        &id,
        &new.priority,
        new.kind.as_deref(),
        &new.subject,
        &new.description,
        new.assignee.as_deref(),
        new.external_id.as_deref(),
        &new.tags,
        &new.custom_fields,
    ));
    if !new.tags.is_empty() {
        batch.add(insert_tags::step(&id, &new.tags));
    }
    let events = audits::created();
    let audit = id::new("aud");
    batch.add(insert_audit::step(
        &audit,
        &id,
        true,
        &events,
        author.key_id,
        author.is_agent,
    ));
    let ticket = batch.run(&request.database())?.take(ticket)?;
    metrics::count("created", 1, &[("priority", &ticket.priority)]);
    Ok(ticket)
}
