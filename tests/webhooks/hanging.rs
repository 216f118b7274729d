//! Receivers that hang: they hold up neither those who tell events nor the others.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// The median time of so many events told.
async fn told(webhooks: &Webhooks, count: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        webhooks.event("a").await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_is_accepted_while_every_receiver_hangs() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Hang);
    let without = told(&webhooks, runs(50, 500)).await;
    for number in 0..5 {
        let url = format!("{}/{number}", receiver.url);
        webhooks.endpoint(&url, Value::Null).await;
    }
    webhooks.event("a").await;
    until(async || receiver.seen().len() >= 5).await;
    let hanging = told(&webhooks, runs(50, 500)).await;
    println!(
        "an event is told in {without:?} without receivers, in {hanging:?} with five that hang"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_receivers_that_hang_hold_up_no_other() {
    let webhooks = Webhooks::start();
    let (hanging, well) = (Receiver::start().await, Receiver::start().await);
    hanging.answers(Answer::Hang);
    let only = |kind: &str| json!({"event_types": [kind]});
    let good = webhooks.endpoint(&well.url, only("good")).await;
    let first = webhooks.event("good").await;
    webhooks.until_status(&first, &good, "delivered").await;
    for number in 0..runs(60, 100) {
        webhooks
            .endpoint(&format!("{}/{number}", hanging.url), only("bad"))
            .await;
    }
    for _ in 0..3 {
        webhooks.event("bad").await;
    }
    until(async || hanging.seen().len() >= 20).await;
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(webhooks.event("good").await);
    }
    for event in &sent {
        webhooks.until_status(event, &good, "delivered").await;
    }
    let one = webhooks.get("/endpoints?limit=100").await;
    let hangs = one["endpoints"].as_array().unwrap().last().unwrap()["id"].clone();
    let stats = webhooks
        .get(&format!("/endpoints/{}/stats", hangs.as_str().unwrap()))
        .await;
    assert_eq!(stats["delivered"], 0);
    assert!(stats["pending"]["count"].as_u64().unwrap() > 0);
    assert_eq!(well.seen().len(), 21);
    let answer = webhooks
        .host
        .get("/webhooks/endpoints", &webhooks.key)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "requests are served, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_that_hangs_is_cut_off_after_fifteen_seconds_and_rests() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Hang);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let event = webhooks.event("a").await;
    webhooks.until_attempts(&event, &endpoint, 1).await;
    let attempt = &webhooks.attempts(&event).await[0];
    assert_eq!(attempt["outcome"], "timeout");
    assert!(
        attempt["duration_ms"].as_u64().unwrap() >= 15_000,
        "{attempt}"
    );
    let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
    assert!(stats["paused_until"].is_string(), "{stats}");
    receiver.answers(Answer::Status(204));
    webhooks.until_status(&event, &endpoint, "delivered").await;
}
