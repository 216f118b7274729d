//! Events of other plugins, from the queue `notification-events`: notifications in the
//! customer's own inbox, whose ids are derived from those of the events.

use hearth_plugin::consumer::Message;
use hearth_plugin::prelude::*;
use serde::Deserialize;

use crate::draft::{self, Draft};
use crate::message::Event;
use crate::templates::{self, TemplateId};

/// What plugins say to each other about something that happened.
#[derive(Deserialize)]
struct EventMessage {
    event_id: String,
    r#type: String,
    occurred_at: String,
    data: Json,
}

/// A valid event.
pub struct ValidEvent {
    event: Event,
    at: Timestamp,
    data: Value,
}

/// Reads a message; what is wrong with it, if anything is.
pub fn read(message: &Message) -> Result<ValidEvent, &'static str> {
    let message: EventMessage = message
        .json()
        .ok_or("the message body is not a valid event")?;
    if !id::is("evt", &message.event_id) {
        return Err("event_id is invalid: it must be evt_ and a UUID");
    }
    if TemplateId::read(&message.r#type).is_none() {
        return Err("type is not a valid event type name");
    }
    let at = Timestamp::parse(&message.occurred_at).ok_or("occurred_at is not a valid time")?;
    if at < Timestamp::default() {
        return Err("occurred_at is invalid: it is before 1970");
    }
    let event = Event {
        id: message.event_id,
        r#type: message.r#type,
    };
    Ok(ValidEvent {
        event,
        at,
        data: message.data.0,
    })
}

impl ValidEvent {
    /// The notification that it becomes.
    pub fn drafted(self, customer: &str) -> Result<Draft, Problem> {
        let template = templates::find(&self.event.r#type)?;
        let texts = [customer, "event", &self.event.id];
        let id = id::derived("ntf", self.at, 0, &texts);
        let (at, event) = (self.at, self.event);
        Ok(draft::of_event(
            id,
            at,
            event,
            template.as_ref(),
            &self.data,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body(body: &Value) -> Result<ValidEvent, &'static str> {
        read(&Message {
            id: "1".into(),
            queue: "notification-events".into(),
            body: body.to_string().into_bytes(),
            attributes: Vec::new(),
            attempt: 1,
            sent_at: Timestamp::default(),
        })
    }

    fn body() -> Value {
        json!({"event_id": "evt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "type": "ticket.created",
            "occurred_at": "2026-11-23T07:30:00Z", "data": {"id": "tkt_1"}})
    }

    #[test]
    fn event_keeps_its_id_and_its_time() {
        let happened = read_body(&body()).unwrap();
        assert_eq!(happened.event.id, body()["event_id"]);
        assert_eq!(happened.at.to_string(), "2026-11-23T07:30:00.000000Z");
    }

    #[test]
    fn what_is_no_event_is_a_dead_letter() {
        for (name, value) in [
            ("event_id", json!("evt_1")),
            ("event_id", json!(null)),
            ("type", json!("")),
            ("occurred_at", json!("today")),
            ("occurred_at", json!("1969-12-31T23:59:59Z")),
        ] {
            let mut body = body();
            body[name] = value;
            assert!(read_body(&body).is_err(), "{name}");
        }
        assert!(read_body(&json!([])).is_err());
    }
}
