//! Accepts an event: writes its row, its deliveries and their messages in one
//! transaction. All events come through here, whoever sends them.

use hearth_plugin::consumer::{Batch as Messages, Disposition};
use hearth_plugin::json::{self, RawValue};
use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;
use hearth_plugin::sql::Batch;

use crate::deliver::failed;
use crate::order::{Order, Spread};
use crate::sql::deliveries::insert_deliveries;
use crate::sql::events::{Subscriptions, insert_event, insert_sender_id};
use crate::sql::requeue::begin_first;

/// The queue of this plugin to itself: one message for each delivery.
pub const DELIVERIES: &str = "webhook-deliveries";

/// Messages of one event that go to its endpoints directly. Endpoints that want
/// their events in order are fewer than these (`endpoint::ORDERED_MAX`).
pub const DIRECT_MAX: usize = 90;

/// Bytes of an event's payload at most, as JSON text (Standard Webhooks).
pub const PAYLOAD_BYTES_MAX: usize = 20_000;

/// An event to be accepted.
pub struct Event {
    pub id: String,
    /// The sender's own, which names no other event of the customer.
    pub sender_id: Option<String>,
    pub kind: String,
    pub body: String,
    /// A test is for this endpoint alone.
    pub only_endpoint: Option<String>,
    pub occurred_at: Timestamp,
    pub created_at: Timestamp,
}

impl Event {
    /// The payload is JSON, and is sent as it is written.
    pub fn new(
        id: String,
        kind: &str,
        payload: &str,
        occurred_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Event {
            id,
            sender_id: None,
            kind: kind.into(),
            body: body(kind, occurred_at, payload),
            only_endpoint: None,
            occurred_at,
            created_at: now,
        }
    }
}

/// What receivers get. It is made once: each attempt sends these bytes.
fn body(kind: &str, occurred_at: Timestamp, payload: &str) -> String {
    let (kind, time) = (Value::from(kind), json!(occurred_at));
    format!(r#"{{"type":{kind},"timestamp":{time},"data":{payload}}}"#)
}

/// The payload in a body, as it was written.
pub fn payload(body: &str) -> Option<&RawValue> {
    json::member(body.as_bytes(), "data")
}

/// Whether a payload is small enough to be sent.
pub fn fits(payload: &str) -> bool {
    payload.len() <= PAYLOAD_BYTES_MAX
}

/// An endpoint that gets an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub id: String,
    pub ordered: bool,
}

/// The endpoints that subscribe to the event.
pub fn targets(met: &Subscriptions) -> Vec<Target> {
    let list = match &met.targets {
        Some(Json(Value::Array(list))) => list.as_slice(),
        _ => &[],
    };
    let target = |value: &Value| {
        let id = value.get("id")?.as_str()?.to_string();
        let ordered = value.get("ordered")?.as_bool()?;
        Some(Target { id, ordered })
    };
    list.iter().filter_map(target).collect()
}

fn ids(targets: &[Target]) -> Vec<String> {
    targets.iter().map(|target| target.id.clone()).collect()
}

/// The messages of an event: one for each ordered endpoint, first, and one for every so
/// many of the rest.
fn messages(event: &Event, targets: &[Target]) -> Vec<Message> {
    let mut targets: Vec<&Target> = targets.iter().collect();
    targets.sort_by_key(|target| !target.ordered);
    let (direct, further) = targets.split_at(targets.len().min(DIRECT_MAX));
    let order = |target: &&Target| {
        let order = Order {
            event_id: event.id.clone(),
            endpoint_id: target.id.clone(),
            round: 1,
        };
        order.message(target.ordered)
    };
    let spread = |chunk: &[&Target]| {
        Message::json(&Spread {
            event_id: event.id.clone(),
            endpoint_ids: chunk.iter().map(|target| target.id.clone()).collect(),
        })
    };
    let direct = direct.iter().map(order);
    direct
        .chain(further.chunks(DIRECT_MAX).map(spread))
        .collect()
}

/// Accepts an event in one round trip; `UniqueViolation` where it is there already.
pub fn accept(database: &Database, event: &Event, targets: &[Target]) -> Result<(), sql::Error> {
    let mut batch = Batch::new();
    add(&mut batch, event, targets);
    batch.run(database).map(drop)
}

/// Accepts all of these or, where one of them is there already, none.
pub fn accept_all(database: &Database, events: &[(Event, Vec<Target>)]) -> Result<(), sql::Error> {
    let mut batch = Batch::new();
    for (event, targets) in events {
        add(&mut batch, event, targets);
    }
    batch.run(database).map(drop)
}

fn add(batch: &mut Batch, event: &Event, targets: &[Target]) {
    batch.add(insert_event::step(
        &event.id,
        event.sender_id.as_deref(),
        &event.kind,
        &event.body,
        event.only_endpoint.as_deref(),
        event.occurred_at,
        event.created_at,
    ));
    if let Some(sender_id) = &event.sender_id {
        batch.add(insert_sender_id::step(sender_id, &event.id));
    }
    if !targets.is_empty() {
        let ids = ids(targets);
        batch.add(insert_deliveries::step(&event.id, &ids, event.created_at));
    }
    for message in messages(event, targets) {
        batch.enqueue(DELIVERIES, message);
    }
}

/// Accepts an event of the plugin's own together with whatever else a transaction does.
pub fn accept_in(tx: &Transaction, event: &Event, targets: &[Target]) -> Result<(), sql::Error> {
    insert_event(
        tx,
        &event.id,
        None,
        &event.kind,
        &event.body,
        event.only_endpoint.as_deref(),
        event.occurred_at,
        event.created_at,
    )?;
    if !targets.is_empty() {
        insert_deliveries(tx, &event.id, &ids(targets), event.created_at)?;
    }
    for message in messages(event, targets) {
        tx.enqueue(DELIVERIES, message)?;
    }
    Ok(())
}

/// Sends the messages of deliveries that have none yet. Each begins a round: should the
/// same be done again, there are none of the first left.
pub fn spread(batch: &Messages, spread: &Spread) -> Disposition {
    let database = batch.database();
    let done = database.transaction(Isolation::ReadCommitted, |tx| {
        for row in begin_first(tx, &spread.event_id, &spread.endpoint_ids)? {
            let order = Order {
                event_id: row.event_id,
                endpoint_id: row.endpoint_id,
                round: row.round,
            };
            tx.enqueue(DELIVERIES, order.message(row.ordered))?;
        }
        Ok::<_, sql::Error>(())
    });
    done.map_or_else(failed, |()| Disposition::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_that_of_standard_webhooks_and_gives_its_payload_back() {
        let time = Timestamp::parse("2026-11-23T07:30:00Z").unwrap();
        let data = r#"{"b" : [1.50, "ä\"\n"], "a": null}"#;
        let body = body("invoice.paid", time, data);
        let expected =
            r#"{"type":"invoice.paid","timestamp":"2026-11-23T07:30:00.000000Z","data":"#;
        assert_eq!(body, [expected, data, "}"].concat());
        assert_eq!(payload(&body).unwrap().get(), data);
    }

    #[test]
    fn no_event_sends_more_messages_than_a_transaction_may() {
        let time = Timestamp::default();
        let event = Event::new("evt_1".into(), "a", "{}", time, time);
        let target = |number: usize| Target {
            id: format!("ep_{number}"),
            ordered: number == 199,
        };
        let count = |targets: usize| {
            let targets: Vec<_> = (0..targets).map(target).collect();
            messages(&event, &targets).len()
        };
        assert_eq!(
            [0, 1, 90, 91, 180, 181, 200].map(count),
            [0, 1, 90, 91, 91, 92, 92]
        );
        let all: Vec<_> = (0..200).map(target).collect();
        let first = format!("{:?}", messages(&event, &all)[0]);
        assert!(first.contains("group: Some(\"ep_199\")"), "{first}");
    }

    #[test]
    fn targets_are_read_from_the_row() {
        let met = |targets| Subscriptions {
            schema: None,
            targets,
        };
        let list = json!([{"id": "ep_1", "ordered": true}]);
        let target = Target {
            id: "ep_1".into(),
            ordered: true,
        };
        assert_eq!(targets(&met(Some(Json(list)))), [target]);
        assert_eq!(targets(&met(None)), []);
    }
}
