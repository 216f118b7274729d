//! Events of other plugins, from the queue `webhook-events`. Each is accepted once,
//! however often its message is delivered, and those of one call together.

use std::collections::BTreeMap;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::json::RawValue;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;
use serde::Deserialize;

use crate::accept::{self, Event, Target};
use crate::deliver::{failed, is_final};
use crate::sql::events::subscriptions;
use crate::topic;

/// What plugins say to each other about something that happened.
#[derive(Deserialize)]
struct EventMessage {
    event_id: String,
    r#type: String,
    occurred_at: String,
    /// Sent on as the other plugin wrote it.
    data: Box<RawValue>,
}

/// The queue of other plugins' events.
pub const EVENTS: &str = "webhook-events";

/// Deliveries that begin in one transaction, but for those of an event that has more.
const DELIVERIES_MAX: usize = 100;

/// An event with the endpoints that get it.
type AddressedEvent = (Event, Vec<Target>);

/// Accepts the events of a call's messages, and answers what shall become of each.
pub fn ingest(batch: &Batch) -> Vec<Disposition> {
    let mut addresser = Addresser {
        database: batch.database(),
        targets: BTreeMap::new(),
    };
    let (mut events, mut refusals) = (Vec::new(), Vec::new());
    for message in &batch.messages {
        refusals.push(match addresser.address(message, Timestamp::now()) {
            Ok(event) => {
                events.push(event);
                None
            }
            Err(refusal) => Some(refusal),
        });
    }
    let mut accepted = addresser.accept(&events).into_iter();
    let each = refusals.into_iter();
    each.filter_map(|refusal| refusal.or_else(|| accepted.next()))
        .collect()
}

/// What was looked up for some events, to be used for the others.
struct Addresser {
    database: Database,
    targets: BTreeMap<String, Vec<Target>>,
}

impl Addresser {
    fn address(
        &mut self,
        message: &Message,
        now: Timestamp,
    ) -> Result<AddressedEvent, Disposition> {
        let dead = |reason: &str| Disposition::DeadLetter(reason.into());
        let event = read(message, now).map_err(dead)?;
        let targets = match self.targets.get(&event.kind) {
            Some(targets) => targets.clone(),
            None => {
                let patterns = topic::patterns_of(&event.kind);
                let met = subscriptions(&self.database, &event.kind, &patterns).map_err(failed)?;
                let targets = accept::targets(&met);
                self.targets.insert(event.kind.clone(), targets.clone());
                targets
            }
        };
        Ok((event, targets))
    }

    fn accept(&self, mut events: &[AddressedEvent]) -> Vec<Disposition> {
        let mut dispositions = Vec::new();
        while !events.is_empty() {
            let (first, others) = events.split_at(fitting(events));
            dispositions.extend(self.accept_together(first));
            events = others;
        }
        dispositions
    }

    /// In one transaction, or each in one of its own where one of them was accepted
    /// before or cannot be.
    fn accept_together(&self, events: &[AddressedEvent]) -> Vec<Disposition> {
        let of_all = match accept::accept_all(&self.database, events) {
            Ok(()) => Disposition::Done,
            Err(error) if is_final(&error) => {
                return events
                    .iter()
                    .map(|event| self.accept_alone(event))
                    .collect();
            }
            Err(error) => failed(error),
        };
        vec![of_all; events.len()]
    }

    fn accept_alone(&self, (event, targets): &AddressedEvent) -> Disposition {
        match accept::accept(&self.database, event, targets) {
            Ok(()) | Err(Error::UniqueViolation(_)) => Disposition::Done,
            Err(error) => failed(error),
        }
    }
}

/// How many of the first events fit into one transaction; at least one.
fn fitting(events: &[AddressedEvent]) -> usize {
    let mut deliveries = 0;
    let mut fits = |(_, targets): &&AddressedEvent| {
        deliveries += targets.len();
        deliveries <= DELIVERIES_MAX
    };
    events.iter().take_while(|event| fits(event)).count().max(1)
}

fn read(message: &Message, now: Timestamp) -> Result<Event, &'static str> {
    let message: EventMessage = message
        .json()
        .ok_or("the message body is not a valid event")?;
    if !id::is("evt", &message.event_id) {
        return Err("event_id is invalid: it must be evt_ and a UUID");
    }
    if !topic::is_name(&message.r#type) {
        return Err("type is not a valid event type name");
    }
    if !accept::fits(message.data.get()) {
        return Err("data is too large for a webhook");
    }
    let occurred_at =
        Timestamp::parse(&message.occurred_at).ok_or("occurred_at is not a valid time")?;
    Ok(Event::new(
        message.event_id,
        &message.r#type,
        message.data.get(),
        occurred_at,
        now,
    ))
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

    fn body() -> Value {
        json!({"event_id": "evt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "type": "ticket.created",
            "occurred_at": "2026-11-23T07:30:00Z", "data": {"id": "tkt_1"}})
    }

    #[test]
    fn an_event_keeps_its_id_and_its_time() {
        let event = read_body(&body()).unwrap();
        assert_eq!(event.id, body()["event_id"]);
        assert_eq!(event.occurred_at.to_string(), "2026-11-23T07:30:00.000000Z");
        let payload = accept::payload(&event.body).unwrap();
        assert_eq!(payload.get(), body()["data"].to_string());
    }

    #[test]
    fn transaction_begins_a_bounded_number_of_deliveries() {
        let event = |targets: usize| {
            let target = |number: usize| Target {
                id: format!("ep_{number}"),
                ordered: false,
            };
            let targets = (0..targets).map(target).collect();
            (read_body(&body()).unwrap(), targets)
        };
        let fits = |targets: &[usize]| {
            let events: Vec<_> = targets.iter().map(|targets| event(*targets)).collect();
            fitting(&events)
        };
        assert_eq!(fits(&[0, 0, 0]), 3);
        assert_eq!(fits(&[60, 40, 1]), 2);
        assert_eq!(fits(&[200, 1]), 1);
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
            let mut body = body();
            body[name] = value;
            assert!(read_body(&body).is_err(), "{name}");
        }
        assert!(read_body(&json!([])).is_err());
    }
}
