//! Audits: who changed what. Each change of a ticket writes one audit in its own
//! transaction: a list of events, such as `{"type": "change", "field": "status",
//! "from": "new", "to": "open"}`. If a value was removed by redaction or deletion,
//! `redacted` replaces `from` and `to`.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;

use crate::sql::notes::audits_of;
use crate::sql::ticket_by_id;
use crate::ticket::{AGENT, Summary, TicketId};

row! {
    /// What one request did to a ticket.
    pub struct Audit {
        id: String,
        ticket_id: String,
        public: bool,
        events: Json,
        author: String,
        by_agent: bool,
        created_at: Timestamp,
    }
}

/// The events of a new ticket.
pub fn created() -> Vec<Value> {
    vec![json!({"type": "create"})]
}

/// The events of a ticket in which something was made unreadable, and of one that was
/// deleted.
pub fn redacted() -> Vec<Value> {
    vec![json!({"type": "redact"})]
}

pub fn deleted() -> Vec<Value> {
    vec![json!({"type": "delete"})]
}

/// The event of a new comment.
pub fn commented(comment_id: &str, public: bool) -> Value {
    json!({"type": "comment", "comment_id": comment_id, "public": public})
}

/// An audit to be written.
pub fn new(ticket_id: &str, public: bool, events: Vec<Value>) -> Value {
    json!({"id": id::new("aud"), "ticket_id": ticket_id, "public": public, "events": events})
}

/// One event for every field in which two versions of a ticket differ.
pub fn changed(before: &Summary, after: &Summary) -> Vec<Value> {
    let mut events = Vec::new();
    let (before, after) = (sql::to_json(before), sql::to_json(after));
    for (field, to) in &after {
        match (before.get(field), to) {
            (Some(from), to) if from == to => {}
            (Some(Value::Object(from)), Value::Object(to)) => members(field, from, to, &mut events),
            (from, to) => events.push(change(field, from, Some(to))),
        }
    }
    events
}

/// Of custom fields each member is a field of its own: `custom_fields/colour`.
fn members(
    field: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    events: &mut Vec<Value>,
) {
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    for name in after.keys().chain(removed) {
        let (from, to) = (before.get(name), after.get(name));
        if from != to {
            events.push(change(&[field, "/", name].concat(), from, to));
        }
    }
}

fn change(field: &str, from: Option<&Value>, to: Option<&Value>) -> Value {
    json!({"type": "change", "field": field, "from": from, "to": to})
}

/// `GET /tickets/{id}/audits`: the oldest first. Audits of internal comments are
/// for agents alone, and so are those of a ticket that was deleted.
pub fn list(request: &Request, id: TicketId) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    query.finish()?;
    let binding = Binding::of(request, &["audits", &id.0])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    let ticket = ticket_by_id(&request.database(), &id.0)?;
    let is_agent = request.has_scope(AGENT);
    let (limit, offset) = (paging.fetch(), paging.offset());
    let mut audits = audits_of(&request.database(), &id.0, is_agent, &after, limit, offset)?;
    let is_known = ticket.is_some() || is_agent && !audits.is_empty();
    if !is_known {
        return Err(Problem::not_found());
    }
    let more = paging.cut(&mut audits);
    let next = audits
        .last()
        .filter(|_| more)
        .map(|audit| binding.encode(&[&audit.id]));
    let audits: Vec<_> = audits.iter().map(sql::to_json).collect();
    let body = json!({"audits": audits, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}
