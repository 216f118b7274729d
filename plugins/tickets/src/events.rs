//! Events about tickets for other plugins, as customers see them: nothing internal.
//!
//! An event is sent to each queue that the operator configured, with the same id, in
//! the transaction of the change. The events of one ticket keep their order.

use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;

use crate::comments::Comment;
use crate::ticket::Summary;

/// Bytes of an event's data at most, as JSON text. Source: Standard Webhooks, of a
/// payload.
const DATA_BYTES_MAX: usize = 20_000;

/// Something that happened to a ticket.
pub struct Event {
    kind: &'static str,
    ticket_id: String,
    occurred_at: Timestamp,
    /// An object of objects: the ticket, and what else there is to say.
    data: Value,
}

impl Event {
    /// An event of a ticket as it is since; without the description where that is
    /// too long for an event in any case.
    fn of(
        kind: &'static str,
        ticket: &Summary,
        description: Option<&str>,
        occurred_at: Timestamp,
    ) -> Self {
        Event {
            kind,
            ticket_id: ticket.id.clone(),
            occurred_at,
            data: json!({"ticket": ticket.whole(description)}),
        }
    }

    pub fn created(ticket: &Summary, description: &str) -> Self {
        Event::of(
            "ticket.created",
            ticket,
            Some(description),
            ticket.created_at,
        )
    }

    /// `changes` has the fields that differ, each with `from` and `to`.
    pub fn updated(
        ticket: &Summary,
        description: Option<&str>,
        changes: &Map<String, Value>,
    ) -> Self {
        let event = Event::of("ticket.updated", ticket, description, ticket.updated_at);
        event.with("changes", changes.clone().into())
    }

    /// Of a public comment.
    pub fn commented(ticket: &Summary, description: Option<&str>, comment: &Comment) -> Self {
        let event = Event::of("ticket.commented", ticket, description, comment.created_at);
        event.with("comment", sql::to_json(comment).into())
    }

    pub fn solved(ticket: &Summary, description: Option<&str>) -> Self {
        Event::of("ticket.solved", ticket, description, ticket.updated_at)
    }

    /// Of a ticket in which something was made unreadable: as it is since.
    pub fn redacted(ticket: &Summary, description: Option<&str>) -> Self {
        Event::of("ticket.redacted", ticket, description, ticket.updated_at)
    }

    /// The event for a deleted ticket, without its contents.
    pub fn deleted(ticket_id: &str, occurred_at: Timestamp) -> Self {
        Event {
            kind: "ticket.deleted",
            ticket_id: ticket_id.to_string(),
            occurred_at,
            data: json!({"ticket": {"id": ticket_id, "ticket_id": ticket_id}}),
        }
    }

    /// The event for a clock that is due soon, or overdue.
    pub fn of_clock(
        kind: &'static str,
        ticket: &Summary,
        description: Option<&str>,
        at: Timestamp,
        clock: Value,
    ) -> Self {
        Event::of(kind, ticket, description, at).with("sla", clock)
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.data[name] = value;
        self
    }

    /// The data, within its bound; a deleted ticket lacks no description.
    fn bounded(&self) -> Value {
        match self.kind {
            "ticket.deleted" => self.data.clone(),
            _ => bounded(self.data.clone()),
        }
    }

    /// The message, under an id of its own.
    pub fn message(&self) -> Message {
        let body = json!({
            "event_id": id::new("evt"),
            "type": self.kind,
            "occurred_at": self.occurred_at,
            "data": self.bounded(),
        });
        Message::json(&body).in_group(&self.ticket_id)
    }
}

/// What differs between two versions of a ticket.
pub fn changes(before: &Summary, after: &Summary) -> Map<String, Value> {
    let before = sql::to_json(before);
    let after = sql::to_json(after).into_iter();
    let differing = after.filter_map(|(field, to)| {
        let from = before.get(&field)?;
        (*from != to).then(|| (field, json!({"from": from, "to": to})))
    });
    differing.collect()
}

/// The data with `truncated`: JSON pointers to what had to be left out. The longest
/// goes first, so that as much as possible is said.
fn bounded(mut data: Value) -> Value {
    let mut left_out: Vec<String> = Vec::new();
    if data["ticket"].get("description").is_none() {
        left_out.push("/ticket/description".into());
    }
    loop {
        data["truncated"] = left_out.clone().into();
        let fits = data.to_string().len() <= DATA_BYTES_MAX;
        let Some((part, name)) = longest(&data).filter(|_| !fits) else {
            return data;
        };
        if let Some(members) = data[&part].as_object_mut() {
            members.remove(&name);
        }
        left_out.push(["/", &part, "/", &name].concat());
    }
}

/// Of the members of the objects in the data the one with the longest text.
fn longest(data: &Value) -> Option<(String, String)> {
    let parts = data.as_object()?.iter();
    let members = parts.flat_map(|(part, object)| {
        let members = object.as_object().into_iter().flatten();
        members.map(move |(name, value)| (value.to_string().len(), part, name))
    });
    let (_, part, name) = members.max()?;
    Some((part.clone(), name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(description: usize, tags: usize, body: usize) -> Value {
        let text = |length: usize| "x".repeat(length);
        let tags = vec![text(64); tags];
        json!({
            "ticket": {"id": "tkt_1", "description": text(description), "tags": tags},
            "comment": {"id": "cmt_1", "body": text(body)},
        })
    }

    #[test]
    fn what_fits_is_whole() {
        let fitting = bounded(data(9_000, 50, 6_000));
        assert_eq!(fitting["truncated"], json!([]));
        assert_eq!(
            fitting["ticket"]["description"].as_str().unwrap().len(),
            9_000
        );
    }

    #[test]
    fn the_longest_is_left_out_and_named_until_the_rest_fits() {
        let one = bounded(data(15_000, 2, 14_000));
        assert_eq!(one["truncated"], json!(["/ticket/description"]));
        assert_eq!(one["ticket"].get("description"), None);
        assert_eq!(one["comment"]["body"].as_str().unwrap().len(), 14_000);
        let two = bounded(data(30_000, 2, 40_000));
        assert_eq!(
            two["truncated"],
            json!(["/comment/body", "/ticket/description"])
        );
        for bounded in [one, two] {
            assert!(bounded.to_string().len() <= DATA_BYTES_MAX);
            assert_eq!(bounded["ticket"]["id"], "tkt_1");
        }
    }

    #[test]
    fn description_that_nobody_read_is_named_too() {
        let mut without = data(1, 0, 1);
        without["ticket"]
            .as_object_mut()
            .unwrap()
            .remove("description");
        let told = bounded(without);
        assert_eq!(told["truncated"], json!(["/ticket/description"]));
    }
}
