//! Endpoints that ask for rest: how long they get it, for what, and who ends it.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use super::wait_after;
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// Until when an endpoint rests, if it does.
async fn paused_until(webhooks: &Webhooks, endpoint: &str) -> Option<Timestamp> {
    let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
    let instant = stats["paused_until"].as_str()?;
    Some(instant.parse().unwrap())
}

/// How long an endpoint rests from the last attempt of an event on.
async fn rest_after(webhooks: &Webhooks, event: &str, endpoint: &str) -> Duration {
    let until = paused_until(webhooks, endpoint).await.unwrap();
    let attempt = webhooks.attempts(event).await.pop().unwrap();
    let started: Timestamp = attempt["started_at"].as_str().unwrap().parse().unwrap();
    let duration = Duration::from_millis(attempt["duration_ms"].as_u64().unwrap());
    until.duration_since(started + duration).unsigned_abs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_fails_holds_up_no_other_of_its_host() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers_at("/bad", Answer::Status(503));
    for path in ["/bad", "/good"] {
        let url = [&receiver.url, path].concat();
        webhooks.endpoint(&url, Value::Null).await;
    }
    let count = runs(30, 300);
    for _ in 0..count {
        webhooks.event("a").await;
    }
    let arrived = |path: &str| {
        receiver
            .seen()
            .iter()
            .filter(|one| one.path == path)
            .count()
    };
    until(async || arrived("/good") == count && arrived("/bad") >= count).await;
    let host = &webhooks.host;
    let open = host.metric("hearth_outbound_breakers_open", &[]).await;
    let unsent = host.metric("hearth_outbound_calls_total", &["breaker_open"]);
    assert_eq!((open, unsent.await), (0.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blip_is_over_in_seconds_also_for_events_that_came_meanwhile() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Status(502));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    for shortest in [1.0, 2.0] {
        let event = webhooks.event("a").await;
        webhooks.until_attempts(&event, &endpoint, 1).await;
        let rest = rest_after(&webhooks, &event, &endpoint).await.as_secs_f64();
        assert!((shortest..30.0).contains(&rest), "it rests {rest} s");
    }
    receiver.answers(Answer::Status(204));
    let event = webhooks.event("a").await;
    webhooks.until_status(&event, &endpoint, "delivered").await;
    assert_eq!(paused_until(&webhooks, &endpoint).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_attempt_is_never_sooner_than_the_receiver_asks_for() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let url = |path: &str| [&receiver.url, path].concat();
    for (status, asked, waits) in [
        (429, "60", 60.0),
        (503, "60", 60.0),
        (429, "86400", 7_205.0),
    ] {
        let path = format!("/{status}-{asked}");
        receiver.answers_at(&path, Answer::With(status, "retry-after", asked.into()));
        let endpoint = webhooks.endpoint(&url(&path), Value::Null).await;
        let event = webhooks.event("a").await;
        webhooks.until_attempts(&event, &endpoint, 1).await;
        let attempt = &webhooks.attempts(&event).await;
        let attempt = attempt.iter().find(|one| one["endpoint_id"] == endpoint);
        let delivery = webhooks.delivery(&event, &endpoint).await;
        let wait = wait_after(attempt.unwrap(), &delivery);
        assert!((waits..waits + 5.0).contains(&wait), "{path}: {wait}");
        let rest = paused_until(&webhooks, &endpoint).await;
        assert!(rest.is_some(), "{path}: so do all others of the endpoint");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_tests_resends_recovers_enables_or_moves_an_endpoint_ends_its_rest() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let of_endpoint = |rest: &str| format!("/endpoints/{endpoint}{rest}");
    let moved = json!({"url": format!("{}/moved", receiver.url)});
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    for (method, path, body) in [
        (Method::POST, "/test", json!({})),
        (Method::POST, "resend", json!({})),
        (Method::POST, "/enable", json!({})),
        (Method::PATCH, "", json!({"enabled": true})),
        (Method::PATCH, "", moved),
        (Method::POST, "/recover", since.clone()),
        (Method::POST, "/replay-missing", since),
    ] {
        receiver.answers(Answer::With(429, "retry-after", "3600".into()));
        let event = webhooks.event("a").await;
        webhooks.until_attempts(&event, &endpoint, 1).await;
        assert!(paused_until(&webhooks, &endpoint).await.is_some());
        receiver.answers(Answer::Status(204));
        let path = match path {
            "resend" => format!("/events/{event}/endpoints/{endpoint}/resend"),
            path => of_endpoint(path),
        };
        let (status, told) = webhooks.ask(method, &path, body).await;
        assert!(status.is_success(), "{path}: {told}");
        let next = webhooks.event("a").await;
        webhooks.until_status(&next, &endpoint, "delivered").await;
        // What waited comes too, where that is asked for. Under way any longer it would meet
        // the next refusal, and make the endpoint rest before the next event.
        if path.ends_with("/resend") {
            webhooks.until_status(&event, &endpoint, "delivered").await;
        }
        if path.ends_with("/recover") || path.ends_with("/replay-missing") {
            let stats = of_endpoint("/stats");
            until(async || webhooks.get(&stats).await["pending"]["count"] == 0).await;
        }
        assert_eq!(paused_until(&webhooks, &endpoint).await, None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_of_five_a_second_gets_nearly_as_many() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let first = webhooks.event("a").await;
    webhooks.until_status(&first, &endpoint, "delivered").await;
    receiver.answers(Answer::Limited(5));
    let count = runs(25, 400);
    for _ in 0..count {
        webhooks.event("a").await;
    }
    let path = format!("/endpoints/{endpoint}/stats");
    until(async || webhooks.get(&path).await["pending"]["count"] == 0).await;
    let stats = webhooks.get(&path).await;
    assert_eq!(stats["delivered"], count + 1);
    let refused = stats["failed"].as_u64().unwrap();
    assert!(refused <= count as u64, "asked in vain {refused} times");
}
