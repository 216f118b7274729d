//! Events of other plugins, from the queue `webhook-events`. They are accepted once,
//! however often their messages come.

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::json::RawValue;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;
use serde::Deserialize;

use crate::accept::{self, Event};
use crate::deliver::failed;
use crate::sql::events::meet;
use crate::topic;

/// What plugins say to each other about something that happened.
#[derive(Deserialize)]
struct Told {
    event_id: String,
    r#type: String,
    occurred_at: String,
    /// Sent on as the other plugin wrote it.
    data: Box<RawValue>,
}

/// Accepts the event of a message.
pub fn ingest(batch: &Batch, message: &Message) -> Disposition {
    let now = Timestamp::now();
    match read(message, now) {
        Ok(event) => write(&batch.database(), &event).unwrap_or_else(failed),
        Err(reason) => Disposition::DeadLetter(reason.into()),
    }
}

fn read(message: &Message, now: Timestamp) -> Result<Event, &'static str> {
    let told: Told = message.json().ok_or("the body is no event")?;
    if !id::is("evt", &told.event_id) {
        return Err("event_id is not evt_ and a UUID");
    }
    if !topic::is_name(&told.r#type) {
        return Err("type is no name of an event type");
    }
    if !accept::fits(told.data.get()) {
        return Err("data is larger than a webhook may be");
    }
    let occurred_at = Timestamp::parse(&told.occurred_at).ok_or("occurred_at is no time")?;
    Ok(Event::new(
        told.event_id,
        &told.r#type,
        told.data.get(),
        occurred_at,
        now,
    ))
}

fn write(database: &Database, event: &Event) -> Result<Disposition, Error> {
    let met = meet(database, &event.kind, &topic::patterns_of(&event.kind))?;
    match accept::accept(database, event, &accept::targets(&met)) {
        Ok(()) | Err(Error::UniqueViolation(_)) => Ok(Disposition::Done),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body(body: &Value) -> Result<Event, &'static str> {
        let message = Message {
            id: "1".into(),
            queue: "webhook-events".into(),
            body: body.to_string().into_bytes(),
            attributes: Vec::new(),
            attempt: 1,
            sent_at: Timestamp::default(),
        };
        read(&message, Timestamp::default())
    }

    fn told() -> Value {
        json!({"event_id": "evt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "type": "ticket.created",
            "occurred_at": "2026-11-23T07:30:00Z", "data": {"id": "tkt_1"}})
    }

    #[test]
    fn an_event_keeps_its_id_and_its_time() {
        let event = read_body(&told()).unwrap();
        assert_eq!(event.id, told()["event_id"]);
        assert_eq!(event.occurred_at.to_string(), "2026-11-23T07:30:00.000000Z");
        let payload = accept::payload(&event.body).unwrap();
        assert_eq!(payload.get(), told()["data"].to_string());
    }

    #[test]
    fn what_is_no_event_is_a_dead_letter() {
        for (name, value) in [
            ("event_id", json!("evt_1")),
            ("event_id", json!(null)),
            ("type", json!("")),
            ("occurred_at", json!("today")),
            ("data", json!("x".repeat(20_000))),
        ] {
            let mut body = told();
            body[name] = value;
            assert!(read_body(&body).is_err(), "{name}");
        }
        assert!(read_body(&json!([])).is_err());
    }
}
