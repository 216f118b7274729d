//! What a customer with thousands of events that are due at once does to another one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::postgres::until;
use crate::webhooks::fixture::{Webhooks, tell};
use crate::webhooks::receiver::{Answer, Receiver};

/// Events that wait for one receiver.
const DUE: usize = 3_000;
/// Events that plugins tell of another customer beside them.
const BESIDE: usize = 200;
/// Events told at once.
const EACH: usize = 20;

/// The longest wait in an endpoint's line is five minutes.
const PAST_THE_LINE: Duration = Duration::from_secs(301);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn neighbour_s_events_beside_thousands_that_are_due_at_once() {
    let (webhooks, busy, other) = (
        Webhooks::start(),
        Receiver::start().await,
        Receiver::start().await,
    );
    let neighbour = webhooks.host.key("neighbour", &[]);
    webhooks.endpoint(&busy.url, Value::Null).await;
    let made = webhooks.host.post("/webhooks/endpoints", &neighbour);
    let made = made.json(&json!({"url": other.url})).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    beside(&webhooks, &neighbour, 1).await;
    webhooks.event("due").await;
    until(async || busy.seen().len() + other.seen().len() == 2).await;
    let alone = Instant::now();
    beside(&webhooks, &neighbour, BESIDE).await;
    until(async || other.seen().len() == 1 + BESIDE).await;
    let alone = alone.elapsed();
    busy.answers(Answer::Late(204, Duration::from_secs(2)));
    for _ in 0..DUE / EACH {
        join_all((0..EACH).map(|_| webhooks.event("due"))).await;
    }
    busy.answers(Answer::Late(204, Duration::from_millis(10)));
    let before = busy.seen().len();
    webhooks.forward_to(PAST_THE_LINE);
    let began = Instant::now();
    beside(&webhooks, &neighbour, BESIDE).await;
    until(async || other.seen().len() == 1 + 2 * BESIDE).await;
    let with = began.elapsed();
    until(async || busy.seen().len() > DUE).await;
    println!(
        "{BESIDE} events of a neighbour: {alone:.1?} alone, {with:.1?} beside {} that were \
         due, which went out in {:.1?}",
        DUE + 1 - before,
        began.elapsed()
    );
}

/// Tells events through the queue that plugins tell theirs by.
async fn beside(webhooks: &Webhooks, key: &str, count: usize) {
    let event = || {
        json!({"event_id": format!("evt_{}", uuid::Uuid::now_v7()), "type": "beside",
            "occurred_at": "2026-11-23T07:30:00Z", "data": Value::Null})
    };
    for _ in 0..count.div_ceil(EACH) {
        let events: Vec<_> = (0..EACH.min(count)).map(|_| event()).collect();
        let told = events.iter().map(|event| tell(&webhooks.host, key, event));
        join_all(told).await;
    }
}
