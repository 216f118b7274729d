//! Announces notifications that are durable: to the customer's webhooks, and to who
//! listens.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_plugin::documents::Item;
use hearth_plugin::prelude::*;
use hearth_plugin::push::{self, Event};
use hearth_plugin::queue::{self, Message};

use crate::deliver::{Delivery, Outcome, Stream};
use crate::inbox::Inbox;
use crate::jobs::{self, Job};

/// The kind of the stream's events.
const KIND: &str = "notification";
/// The webhooks' queue, and the type of the event in it.
const WEBHOOKS: &str = "webhook-events";
const CREATED: &str = "notification.created";
/// Bytes of an event's data at most, as JSON text. Source: Standard Webhooks, of a
/// payload.
const WEBHOOK_BYTES_MAX: usize = 20_000;
/// For how long what is held outside of the inbox outlives the quiet hours.
const HELD: Duration = Duration::from_secs(86_400);

/// When the stream is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is held for listeners, and of no inbox.
pub fn deferred(item: Item, inbox: &Inbox, end: Timestamp) -> Item {
    Item {
        partition: inbox.deferred_partition(),
        expires_at: Some(end.after(HELD)),
        ..item
    }
}

/// Announces all of them. One that could not be announced to somebody fails, to be sent
/// again.
pub fn announce(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    webhooks(deliveries);
    defer(deliveries, now);
    stream(deliveries);
}

/// The deliveries for which this holds, and their places.
fn those(
    deliveries: &[Result<Delivery, Problem>],
    holds: impl Fn(&Delivery) -> bool,
) -> Vec<(usize, &Delivery)> {
    let delivered = deliveries.iter().enumerate();
    let delivered = delivered.filter_map(|(place, one)| Some((place, one.as_ref().ok()?)));
    delivered.filter(|(_, one)| holds(one)).collect()
}

fn fail(deliveries: &mut [Result<Delivery, Problem>], place: usize, problem: Problem) {
    if let Some(delivery) = deliveries.get_mut(place) {
        *delivery = Err(problem);
    }
}

fn webhooks(deliveries: &mut [Result<Delivery, Problem>]) {
    let told = those(deliveries, |delivery| delivery.webhook);
    if told.is_empty() {
        return;
    }
    let messages = told.iter().map(|(_, delivery)| webhook(delivery)).collect();
    let places: Vec<usize> = told.iter().map(|(place, _)| *place).collect();
    let sent = queue::send_many(WEBHOOKS, messages);
    for (place, sent) in places.into_iter().zip(sent) {
        if let Err(error) = sent {
            fail(deliveries, place, error.into());
        }
    }
}

/// The event, whose id derives from the notification's.
fn webhook(delivery: &Delivery) -> Message {
    let at = delivery.draft.at;
    let event_id = id::derived("evt", at, 0, &[&delivery.draft.id]);
    Message::json(&json!({
        "event_id": event_id,
        "type": CREATED,
        "occurred_at": at,
        "data": bounded(delivery.to_json()),
    }))
}

/// As much as a webhook may have: without the data, and then without the body, where that
/// is too much; `truncated` says so.
fn bounded(mut notification: Value) -> Value {
    let mut left_out: Vec<&str> = Vec::new();
    notification["truncated"] = json!(left_out);
    for (name, pointer) in [("data", "/data"), ("body", "/body")] {
        if notification.to_string().len() <= WEBHOOK_BYTES_MAX {
            break;
        }
        notification[name] = Value::Null;
        left_out.push(pointer);
        notification["truncated"] = json!(left_out);
    }
    notification
}

/// Has the stream told of some at the end of their quiet hours.
fn defer(deliveries: &mut [Result<Delivery, Problem>], now: Timestamp) {
    let mut groups = Groups::new();
    for (place, delivery) in those(deliveries, |delivery| delivery.stream != Stream::Never) {
        if let Stream::At(end) = delivery.stream {
            let group = groups.entry((delivery.draft.inbox.clone(), now.until(end)));
            group.or_default().push(place);
        }
    }
    for (place, problem) in announce_later(deliveries, groups) {
        fail(deliveries, place, problem);
    }
}

fn stream(deliveries: &mut [Result<Delivery, Problem>]) {
    let told = those(deliveries, |delivery| delivery.stream == Stream::Now);
    let heard = told.iter().map(|(_, delivery)| {
        let draft = &delivery.draft;
        (
            draft.inbox.partition(),
            draft.id.as_str(),
            delivery.to_json(),
        )
    });
    let heard = publish(&heard.collect::<Vec<_>>());
    if let Err(problem) = heard {
        let places = told.iter().map(|(place, _)| *place).collect();
        retry(deliveries, places, &problem);
    }
}

/// Has the stream told of what is kept in a moment, in place of now; what is not fails.
fn retry(deliveries: &mut [Result<Delivery, Problem>], places: Vec<usize>, why: &Problem) {
    let mut groups = Groups::new();
    for place in places {
        match deliveries.get(place) {
            Some(Ok(delivery)) if delivery.outcome == Outcome::Created => {
                let group = groups.entry((delivery.draft.inbox.clone(), AGAIN));
                group.or_default().push(place);
            }
            _ => fail(deliveries, place, why.clone()),
        }
    }
    for (place, _) in announce_later(deliveries, groups) {
        fail(deliveries, place, why.clone());
    }
}

/// The places of deliveries, by their inboxes and how long listeners are to wait.
type Groups = BTreeMap<(Inbox, Duration), Vec<usize>>;

/// Has listeners told after so long. Answers those of whom they will not be told.
fn announce_later(
    deliveries: &[Result<Delivery, Problem>],
    groups: Groups,
) -> Vec<(usize, Problem)> {
    let (mut jobs, mut whose) = (Vec::new(), Vec::new());
    for ((inbox, delay), places) in groups {
        for places in places.chunks(jobs::IDS_MAX) {
            let (inbox, ids) = (inbox.clone(), ids(deliveries, places));
            jobs.push((Job::Tell { inbox, ids }, delay));
            whose.push(places.to_vec());
        }
    }
    let sent = whose.into_iter().zip(jobs::send_all(&jobs));
    let failed = sent.filter_map(|(places, sent)| Some((places, sent.err()?)));
    let each = failed.flat_map(|(places, problem)| {
        let places = places.into_iter();
        places.map(move |place| (place, problem.clone()))
    });
    each.collect()
}

fn ids(deliveries: &[Result<Delivery, Problem>], places: &[usize]) -> Vec<String> {
    let places = places.iter().filter_map(|place| deliveries.get(*place));
    let deliveries = places.filter_map(|delivery| delivery.as_ref().ok());
    deliveries.map(|one| one.draft.id.clone()).collect()
}

/// Publishes notifications, as clients see them, to the channels of their inboxes.
pub fn publish(told: &[(String, &str, Value)]) -> Result<(), Problem> {
    if told.is_empty() {
        return Ok(());
    }
    let publications = told.iter().map(|(channel, id, shown)| {
        let event = Event::new(shown.to_string()).kind(KIND).id(id);
        (channel.as_str(), event)
    });
    let publications: Vec<_> = publications.collect();
    push::publish_many(&publications)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_leaves_out_what_is_too_much_and_says_so() {
        let text = |length: usize| "x".repeat(length);
        for (data, body, left_out) in [
            (10, 10, json!([])),
            (19_990, 10, json!(["/data"])),
            (10, 24_000, json!(["/data", "/body"])),
        ] {
            let whole = json!({"id": "ntf_1", "title": "t", "body": text(body),
                "data": {"text": text(data)}});
            let bounded = bounded(whole);
            assert_eq!(bounded["truncated"], left_out);
            assert!(bounded.to_string().len() <= WEBHOOK_BYTES_MAX);
            assert_eq!(bounded["id"], "ntf_1");
        }
    }
}
