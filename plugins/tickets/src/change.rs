//! Changing a ticket.

use hearth_plugin::log;
use hearth_plugin::prelude::*;

use crate::sql::{insert_audit, insert_tags, lock_ticket, remove_other_tags, update_ticket};
use crate::ticket::{self, AGENT, Author, Ticket, TicketId};
use crate::{audits, status};

/// `PATCH /tickets/{id}`: fields that are absent stay; `null` clears type,
/// assignee and external_id, and within custom_fields the members it names. The
/// row is locked from reading to commit, so that no concurrent change is lost or
/// missing in the audits.
pub fn change(request: &Request, TicketId(id): TicketId) -> Answer {
    let patch = Patch::read(request)?;
    let author = Author::of(request)?;
    let database = request.database();
    let (before, after) = database.transaction(Isolation::ReadCommitted, |tx| {
        let before = lock_ticket(tx, &id)?.ok_or_else(Problem::not_found)?;
        check_version(request, &before)?;
        let wanted = patch.apply(&before)?;
        let after = write(tx, &before, wanted, &author)?;
        Ok::<_, Problem>((before, after))
    })?;
    tell(&before, &after);
    after.answer(200)
}

/// Counts and logs a change of status, once it is durable.
fn tell(before: &Ticket, after: &Ticket) {
    let (id, from, to) = (
        after.id.as_str(),
        before.status.as_str(),
        after.status.as_str(),
    );
    if from != to {
        metrics::count("status_changed", 1, &[("from", from), ("to", to)]);
        log::info!("ticket status changed", ticket = id, from = from, to = to);
    }
}

/// What a client wants changed.
pub struct Patch {
    pub subject: Option<String>,
    pub status: Option<String>,
    pub priority: Option<String>,
    pub kind: Change<String>,
    pub assignee: Change<String>,
    pub external_id: Change<String>,
    pub tags: Option<Vec<String>>,
    pub custom_fields: Option<Map<String, Value>>,
}

impl Patch {
    fn read(request: &Request) -> Result<Self, Problem> {
        let mut fields = request.fields()?;
        let patch = Patch {
            subject: ticket::subject(&mut fields).optional(),
            status: fields.text("status").one_of(&status::ALL).optional(),
            priority: ticket::priority(fields.text("priority")).optional(),
            kind: ticket::kind(&mut fields).change(),
            assignee: ticket::assignee(&mut fields).change(),
            external_id: ticket::external_id(&mut fields).change(),
            tags: ticket::tags(&mut fields).optional(),
            custom_fields: ticket::custom_fields(&mut fields).optional(),
        };
        fields.finish()?;
        if patch.assignee != Change::Keep {
            request.require_scope(AGENT)?;
        }
        Ok(patch)
    }

    /// The ticket as it shall be; 409 where its status cannot become that.
    pub fn apply(&self, before: &Ticket) -> Result<Ticket, Problem> {
        let mut after = before.clone();
        set(&mut after.subject, &self.subject);
        set(&mut after.priority, &self.priority);
        set(&mut after.tags, &self.tags);
        replace(&mut after.r#type, &self.kind);
        replace(&mut after.assignee, &self.assignee);
        replace(&mut after.external_id, &self.external_id);
        if let Some(members) = &self.custom_fields {
            after.custom_fields = merge(&before.custom_fields, members)?;
        }
        if let Some(to) = &self.status {
            if !status::may_become(&before.status, to) {
                return Err(status::illegal(&before.status, to));
            }
            after.status.clone_from(to);
        }
        Ok(after)
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

fn replace(field: &mut Option<String>, change: &Change<String>) {
    match change {
        Change::Keep => {}
        Change::Clear => *field = None,
        Change::Set(value) => *field = Some(value.clone()),
    }
}

/// The custom fields with these members set, and without those that are null.
fn merge(before: &Json, members: &Map<String, Value>) -> Result<Json, Problem> {
    let mut merged = before.0.as_object().cloned().unwrap_or_default();
    for (name, value) in members {
        match value {
            Value::Null => merged.remove(name),
            value => merged.insert(name.clone(), value.clone()),
        };
    }
    if !ticket::fits(&merged) {
        let detail = "with this the custom fields would be more than 16 KiB";
        return Err(Problem::new(422, "too-large", "Too many custom fields").detail(detail));
    }
    Ok(Json(Value::Object(merged)))
}

/// 412 where the client names a version (`If-Match`) and the ticket has another.
/// Only under the lock of the row does the answer still hold at the commit.
fn check_version(request: &Request, ticket: &Ticket) -> Result<(), Problem> {
    let Some(wanted) = request.header("if-match") else {
        return Ok(());
    };
    let etag = ticket.etag();
    if wanted
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag == etag)
    {
        return Ok(());
    }
    let detail = "the ticket has changed since; read it again";
    Err(Problem::new(412, "version-mismatch", "Precondition failed").detail(detail))
}

/// Writes the ticket as it shall be, and its audit; nothing where nothing differs.
fn write(
    tx: &Transaction,
    before: &Ticket,
    wanted: Ticket,
    author: &Author<'_>,
) -> Result<Ticket, Problem> {
    let events = audits::changed(before, &wanted);
    if events.is_empty() {
        return Ok(wanted);
    }
    status::refuse_closed(&before.status)?;
    if before.tags != wanted.tags {
        remove_other_tags(tx, &wanted.id, &wanted.tags)?;
        insert_tags(tx, &wanted.id, &wanted.tags)?;
    }
    let (audit, events) = (id::new("aud"), Json(Value::Array(events)));
    insert_audit(
        tx,
        &audit,
        &wanted.id,
        true,
        &events,
        author.key_id,
        author.is_agent,
    )?;
    Ok(update_ticket(
        tx,
        &wanted.id,
        &wanted.status,
        &wanted.priority,
        wanted.r#type.as_deref(),
        &wanted.subject,
        wanted.assignee.as_deref(),
        wanted.external_id.as_deref(),
        &wanted.tags,
        &wanted.custom_fields,
    )?)
}
