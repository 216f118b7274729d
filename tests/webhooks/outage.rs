//! A receiver that is down for days, by a clock that the test puts forward.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::fixture::{self, Webhooks};
use super::receiver::{Answer, Receiver};
use super::wait_after;
use crate::harness::postgres::until;

/// Seconds from each attempt to the next, before jitter.
const SCHEDULE: [f64; 9] = [
    5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0,
];

/// The host's clock, and how far it was put forward.
struct Calendar<'w> {
    webhooks: &'w Webhooks,
    offset: Duration,
}

impl Calendar<'_> {
    /// Puts the clock forward so that this instant is past.
    fn forward_past(&mut self, instant: &Value) {
        let instant: Timestamp = instant.as_str().unwrap().parse().unwrap();
        let now = Timestamp::now() + self.offset;
        let left = instant.duration_since(now).max(jiff::SignedDuration::ZERO);
        self.forward(left.unsigned_abs());
    }

    fn forward(&mut self, by: Duration) {
        self.offset += by;
        self.webhooks.forward_to(self.offset);
    }
}

/// Follows a delivery from attempt to attempt until it waits no longer.
async fn follow(calendar: &mut Calendar<'_>, event: &str, endpoint: &str) -> Vec<f64> {
    let webhooks = calendar.webhooks;
    let (mut waits, mut next) = (Vec::new(), json!(Timestamp::now().to_string()));
    for count in 1.. {
        let before = retried(webhooks).await;
        calendar.forward_past(&next);
        webhooks.until_attempts(event, endpoint, count).await;
        let delivery = webhooks.delivery(event, endpoint).await;
        if delivery["status"] != "pending" {
            break;
        }
        let attempts = webhooks.attempts(event).await;
        waits.push(wait_after(attempts.last().unwrap(), &delivery));
        next = delivery["next_attempt_at"].clone();
        // Not before its message waits: how long, is reckoned by the clock as it is.
        until(async || retried(webhooks).await > before).await;
    }
    waits
}

/// How often a message was told to come again.
async fn retried(webhooks: &Webhooks) -> f64 {
    let labels = ["webhook-deliveries", "disposition=\"retry\""];
    let name = "hearth_consumer_messages_total";
    webhooks.host.metric(name, &labels).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_that_is_down_for_days_is_tried_by_the_schedule_then_disabled_then_gets_the_rest()
{
    let webhooks = Webhooks::start();
    let (down, well) = (Receiver::start().await, Receiver::start().await);
    down.answers(Answer::Status(503));
    let endpoint = webhooks
        .endpoint(&down.url, json!({"event_types": ["a"]}))
        .await;
    webhooks
        .endpoint(&well.url, json!({"event_types": ["endpoint.disabled"]}))
        .await;
    let mut calendar = Calendar {
        webhooks: &webhooks,
        offset: Duration::ZERO,
    };
    let began = Timestamp::now();
    let first = webhooks.event("a").await;
    let waits = follow(&mut calendar, &first, &endpoint).await;
    assert_eq!(waits.len(), SCHEDULE.len(), "{waits:?}");
    for (wait, base) in waits.iter().zip(SCHEDULE) {
        // The next attempt is reckoned a moment after the answer is there.
        let range = base * 0.8..=base * 1.2 + 2.0;
        assert!(
            range.contains(wait),
            "{wait} is not within a fifth of {base}"
        );
    }
    assert_eq!(down.ids(), vec![first.clone(); 10], "the same id each time");
    let dead = webhooks.get("/dlq").await;
    assert_eq!(dead["deliveries"][0]["event_id"], json!(first));
    assert_eq!(dead["deliveries"][0]["attempts"], 10);
    assert!(calendar.offset > Duration::from_secs(2 * 86_400));

    // Five days after the first failure the next one ends it.
    let before = retried(&webhooks).await;
    let second = webhooks.event("a").await;
    webhooks.until_attempts(&second, &endpoint, 1).await;
    until(async || retried(&webhooks).await > before).await;
    calendar.forward(Duration::from_secs(5 * 86_400).saturating_sub(calendar.offset));
    webhooks.until_status(&second, &endpoint, "stopped").await;
    let shown = webhooks.get(&format!("/endpoints/{endpoint}")).await;
    assert_eq!(shown["disabled_reason"], "failing", "{shown}");
    until(async || !well.seen().is_empty()).await;
    assert_eq!(well.seen()[0].json()["data"]["reason"], "failing");
    assert_eq!(
        fixture::waiting(&webhooks.host, "notification-events").await,
        1
    );
    let missed = webhooks.event("a").await;
    assert_eq!(webhooks.delivery(&missed, &endpoint).await, Value::Null);

    // It is up again, and gets the rest.
    down.answers(Answer::Status(204));
    webhooks
        .post(&format!("/endpoints/{endpoint}/enable"), Value::Null)
        .await;
    let since = json!({"since": began.to_string()});
    let told = webhooks
        .post(&format!("/endpoints/{endpoint}/recover"), since.clone())
        .await;
    assert_eq!(
        told,
        json!({"status": "queued", "deliveries": 2, "more": false})
    );
    for event in [&first, &second] {
        webhooks.until_status(event, &endpoint, "delivered").await;
    }
    let told = webhooks
        .post(
            &format!("/endpoints/{endpoint}/replay-missing"),
            since.clone(),
        )
        .await;
    assert_eq!(told["deliveries"], 1);
    webhooks.until_status(&missed, &endpoint, "delivered").await;
    let told = webhooks
        .post(&format!("/endpoints/{endpoint}/replay-missing"), since)
        .await;
    assert_eq!(told["deliveries"], 0, "it has everything");
    assert_eq!(webhooks.get("/dlq").await["deliveries"], json!([]));
    assert_eq!(well.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_scheduled_for_later_is_sent_when_somebody_asks_for_what_was_missed() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    for job in ["recover", "replay-missing"] {
        // An hour is more than the schedule's first wait.
        receiver.answers(Answer::With(500, "retry-after", "3600".into()));
        let mut events = Vec::new();
        for _ in 0..3 {
            let event = webhooks.event("a").await;
            webhooks.until_attempts(&event, &endpoint, 1).await;
            events.push(event);
        }
        receiver.answers(Answer::Status(204));
        let path = format!("/endpoints/{endpoint}/{job}");
        let since = json!({"since": "2020-01-01T00:00:00Z"});
        let told = webhooks.post(&path, since.clone()).await;
        assert_eq!(told["deliveries"], 3, "{job}");
        for event in &events {
            webhooks.until_status(event, &endpoint, "delivered").await;
            assert_eq!(webhooks.attempts(event).await.len(), 2, "{job}: once more");
        }
        let told = webhooks.post(&path, since).await;
        assert_eq!(told["deliveries"], 0, "{job}: it has everything");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_on_over_many_pages() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks
        .endpoint(&receiver.url, json!({"enabled": false}))
        .await;
    let count = 250;
    for _ in 0..count {
        webhooks.event("a").await;
    }
    webhooks
        .post(&format!("/endpoints/{endpoint}/enable"), Value::Null)
        .await;
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let told = webhooks
        .post(&format!("/endpoints/{endpoint}/replay-missing"), since)
        .await;
    assert_eq!(
        told,
        json!({"status": "queued", "deliveries": 90, "more": true})
    );
    until(async || receiver.seen().len() >= count).await;
    let mut ids = receiver.ids();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        (ids.len(), receiver.seen().len()),
        (count, count),
        "each once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_tried_again_where_they_are_named() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Status(500));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let mut calendar = Calendar {
        webhooks: &webhooks,
        offset: Duration::ZERO,
    };
    let mut events = Vec::new();
    for _ in 0..2 {
        let event = webhooks.event("a").await;
        follow(&mut calendar, &event, &endpoint).await;
        events.push(event);
        // A new start, or five days of failure would disable it.
        webhooks
            .post(&format!("/endpoints/{endpoint}/disable"), Value::Null)
            .await;
        webhooks
            .post(&format!("/endpoints/{endpoint}/enable"), Value::Null)
            .await;
    }
    receiver.answers(Answer::Status(204));
    let named = json!({"event_ids": [events[0]]});
    let told = webhooks.post("/dlq/redrive", named).await;
    assert_eq!(told["deliveries"], 1);
    webhooks
        .until_status(&events[0], &endpoint, "delivered")
        .await;
    let dead = webhooks.get(&format!("/dlq?endpoint_id={endpoint}")).await;
    assert_eq!(dead["deliveries"].as_array().unwrap().len(), 1);
    let told = webhooks.post("/dlq/redrive", json!({"all": true})).await;
    assert_eq!(told["deliveries"], 1);
    webhooks
        .until_status(&events[1], &endpoint, "delivered")
        .await;
    // What was delivered can be sent once more, too.
    let path = format!("/events/{}/endpoints/{endpoint}/resend", events[1]);
    let before = receiver.seen().len();
    webhooks.post(&path, Value::Null).await;
    until(async || receiver.seen().len() == before + 1).await;
    assert_eq!(receiver.ids().last(), Some(&events[1]));
}
