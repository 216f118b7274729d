//! The webhooks plugin as its customers and their receivers see it: through HTTP, on a
//! real host.

mod answers;
mod attack;
mod cost;
mod endpoints;
pub mod fixture;
mod hanging;
mod kills;
mod order;
mod outage;
mod payloads;
mod plans;
pub mod receiver;
mod rest;
mod schemas;
mod secrets;
mod signatures;
mod swaps;
mod tickets;
mod versions;

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::fixture::Webhooks;
use self::receiver::{Answer, Receiver};
use crate::harness::host::runs;
use crate::harness::postgres::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_arrives_as_it_was_told_and_its_attempt_is_kept() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Says(201, b"thank you".to_vec()));
    let endpoint = webhooks
        .endpoint(&receiver.url, json!({"headers": {"X-Own": "hunter2"}}))
        .await;
    let told = json!({"type": "invoice.paid", "occurred_at": "2026-11-23T09:30:00+02:00",
        "payload": {"amount": 19.90, "note": "\u{fc}\"\n"}});
    let event = webhooks.post("/events", told.clone()).await;
    let event = event["id"].as_str().unwrap();
    webhooks.until_status(event, &endpoint, "delivered").await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    let (headers, body) = (&seen[0].headers, seen[0].json());
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], event);
    assert_eq!(headers["x-own"], "hunter2");
    let expected = json!({"type": "invoice.paid", "timestamp": "2026-11-23T07:30:00.000000Z",
        "data": told["payload"]});
    assert_eq!(body, expected);
    let attempts = webhooks.attempts(event).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["status"], 201);
    assert_eq!(attempts[0]["outcome"], "delivered");
    assert_eq!(attempts[0]["response_body"], "thank you");
    assert_eq!(attempts[0]["number"], 1);
    assert_eq!(attempts[0]["url"], receiver.url.as_str());
    let shown = &attempts[0]["request_headers"];
    for name in [
        "content-type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ] {
        assert_eq!(shown[name], headers[name].to_str().unwrap(), "{name}");
    }
    assert_eq!(shown["x-own"], "***", "its values may be secrets");
    let of_endpoint = webhooks
        .get(&format!("/endpoints/{endpoint}/attempts"))
        .await;
    assert_eq!(of_endpoint["attempts"], json!(attempts));
    let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
    assert_eq!(
        (&stats["delivered"], &stats["failed"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(stats["success_rate"], json!(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_tell_the_last_success_whatever_came_after_it() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let last_success = async || {
        let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
        stats["last_success_at"].as_str().map(String::from)
    };
    assert_eq!(last_success().await, None);
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = webhooks.event("a").await;
        webhooks.until_status(&event, &endpoint, "delivered").await;
        let started = webhooks.attempts(&event).await[0]["started_at"].clone();
        told.extend([
            started.as_str().unwrap().to_string(),
            last_success().await.unwrap(),
        ]);
    }
    assert!(told.is_sorted(), "each is later than its attempt: {told:?}");
    receiver.answers(Answer::Status(500));
    let failed = webhooks.event("a").await;
    webhooks.until_attempts(&failed, &endpoint, 1).await;
    assert_eq!(last_success().await, told.pop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_get_what_they_want_and_nothing_of_other_customers() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let url = |path: &str| [&receiver.url, path].concat();
    let all = webhooks.endpoint(&url("/all"), Value::Null).await;
    webhooks
        .endpoint(&url("/invoices"), json!({"event_types": ["invoice.*"]}))
        .await;
    webhooks
        .endpoint(&url("/exact"), json!({"event_types": ["order.made"]}))
        .await;
    webhooks
        .endpoint(&url("/off"), json!({"enabled": false}))
        .await;
    let other = webhooks.host.key("other", &[]);
    let body = json!({"url": url("/theirs")});
    let theirs = webhooks
        .host
        .post("/webhooks/endpoints", &other)
        .json(&body);
    assert_eq!(theirs.send().await.unwrap().status(), StatusCode::CREATED);
    for kind in ["invoice.paid", "invoice", "order.made"] {
        let event = webhooks.event(kind).await;
        webhooks.until_status(&event, &all, "delivered").await;
        let read = webhooks
            .host
            .get(&format!("/webhooks/events/{event}"), &other);
        assert_eq!(read.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    until(async || receiver.seen().len() == 5).await;
    let got = |path: &str| {
        let seen = receiver.seen().into_iter().filter(|seen| seen.path == path);
        let mut kinds: Vec<_> = seen.map(|seen| seen.json()["type"].clone()).collect();
        kinds.sort_by_key(ToString::to_string);
        json!(kinds)
    };
    assert_eq!(
        got("/all"),
        json!(["invoice", "invoice.paid", "order.made"])
    );
    assert_eq!(got("/invoices"), json!(["invoice.paid"]));
    assert_eq!(got("/exact"), json!(["order.made"]));
    assert_eq!(got("/off"), json!([]));
    assert_eq!(got("/theirs"), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_told_twice_with_one_id_is_delivered_once() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let id = "evt_0199f3a6-5c1e-7a31-9d0e-3f4b6a1c2d5e";
    let body = json!({"id": id, "type": "a", "payload": {"n": 1}});
    for _ in 0..3 {
        let (status, told) = webhooks.ask(Method::POST, "/events", body.clone()).await;
        assert_eq!((status, &told["id"]), (StatusCode::ACCEPTED, &json!(id)));
    }
    let other = json!({"id": id, "type": "a", "payload": {"n": 2}});
    let (status, _) = webhooks.ask(Method::POST, "/events", other).await;
    assert_eq!(status, StatusCode::CONFLICT);
    webhooks.until_status(id, &endpoint, "delivered").await;
    let last = webhooks.event("b").await;
    webhooks.until_status(&last, &endpoint, "delivered").await;
    assert_eq!(receiver.ids(), [id, &last]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_disables_the_endpoint_and_the_others_are_told() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers_at("/gone", Answer::Status(410));
    let url = |path: &str| [&receiver.url, path].concat();
    let only = json!({"event_types": ["a"]});
    let gone = webhooks.endpoint(&url("/gone"), only).await;
    webhooks
        .endpoint(&url("/other"), json!({"event_types": ["endpoint.*"]}))
        .await;
    let event = webhooks.event("a").await;
    webhooks.until_status(&event, &gone, "stopped").await;
    let shown = webhooks.get(&format!("/endpoints/{gone}")).await;
    assert_eq!(
        (&shown["enabled"], &shown["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
    until(async || receiver.seen().len() == 2).await;
    let told = receiver.seen().pop().unwrap();
    assert_eq!(told.path, "/other");
    assert_eq!(told.json()["type"], "endpoint.disabled");
    assert_eq!(told.json()["data"]["endpoint_id"], json!(gone));
    assert_eq!(told.json()["data"]["reason"], "gone");
    // What comes from now on makes no delivery, and nothing can be begun by hand.
    let later = webhooks.event("a").await;
    assert_eq!(webhooks.delivery(&later, &gone).await, Value::Null);
    for path in ["/test", "/recover", "/replay-missing"] {
        let path = format!("/endpoints/{gone}{path}");
        let body = match path.ends_with("/test") {
            true => json!({}),
            false => json!({"since": "2026-01-01T00:00:00Z"}),
        };
        let (status, _) = webhooks.ask(Method::POST, &path, body).await;
        assert_eq!(status, StatusCode::CONFLICT, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_fail_and_are_not_followed() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let elsewhere = [&receiver.url, "/elsewhere"].concat();
    receiver.answers_at("/", Answer::With(307, "location", elsewhere));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let event = webhooks.event("a").await;
    webhooks.until_attempts(&event, &endpoint, 1).await;
    let delivery = webhooks.delivery(&event, &endpoint).await;
    assert_eq!(
        (&delivery["status"], &delivery["last_status"]),
        (&json!("pending"), &json!(307))
    );
    assert!(receiver.seen().iter().all(|seen| seen.path == "/"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_that_wants_rest_gets_it_for_all_of_its_deliveries() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::With(429, "retry-after", "8".into()));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let first = webhooks.event("a").await;
    webhooks.until_attempts(&first, &endpoint, 1).await;
    let attempt = &webhooks.attempts(&first).await[0];
    let wait = wait_after(attempt, &webhooks.delivery(&first, &endpoint).await);
    assert!(
        (8.0..8.5).contains(&wait),
        "it wished 8 s, and waits {wait}"
    );
    receiver.answers(Answer::Status(204));
    let second = webhooks.event("a").await;
    let rested = async || {
        let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
        stats["paused_until"].is_string()
    };
    assert!(rested().await);
    webhooks.until_status(&second, &endpoint, "delivered").await;
    webhooks.until_status(&first, &endpoint, "delivered").await;
    let seen = receiver.seen();
    let gap = seen[1].at - seen[0].at;
    assert!(
        gap >= Duration::from_secs(8),
        "the second event had to wait, too: {gap:?}"
    );
    assert!(!rested().await, "it is well again");
}

/// Seconds from an attempt's end to the next one of its delivery.
pub fn wait_after(attempt: &Value, delivery: &Value) -> f64 {
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let next = time(&delivery["next_attempt_at"]).duration_since(time(&attempt["started_at"]));
    next.as_secs_f64() - attempt["duration_ms"].as_f64().unwrap() / 1000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_other_plugins_arrive_once_with_their_own_ids() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks
        .endpoint(&receiver.url, json!({"event_types": ["ticket.*"]}))
        .await;
    let id = "evt_0199f3a6-5c1e-7a31-9d0e-3f4b6a1c2d5e";
    let told = json!({"event_id": id, "type": "ticket.created",
        "occurred_at": "2026-11-23T07:30:00Z", "data": {"id": "tkt_1"}});
    for _ in 0..2 {
        fixture::tell(&webhooks.host, &webhooks.key, &told).await;
    }
    until(async || !receiver.seen().is_empty()).await;
    webhooks.until_status(id, &endpoint, "delivered").await;
    let last = webhooks.event("ticket.last").await;
    webhooks.until_status(&last, &endpoint, "delivered").await;
    assert_eq!(receiver.ids(), [id, &last]);
    assert_eq!(receiver.seen()[0].json()["data"], told["data"]);
    fixture::tell(&webhooks.host, &webhooks.key, &json!({"event_id": "evt_1"})).await;
    until(async || fixture::dead(&webhooks.host, "webhook-events").await == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_for_more_endpoints_than_a_transaction_has_messages_reaches_each_once() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let count = runs(95, 200);
    for number in 0..count {
        let url = format!("{}/{number}", receiver.url);
        webhooks
            .endpoint(&url, json!({"ordered": number % 10 == 0}))
            .await;
    }
    let events = [webhooks.event("a").await, webhooks.event("a").await];
    until(async || fixture::waiting(&webhooks.host, "webhook-deliveries").await == 0).await;
    for event in events {
        let shown = webhooks.get(&format!("/events/{event}")).await;
        let deliveries = shown["deliveries"].as_array().unwrap();
        assert_eq!(deliveries.len(), count);
        for delivery in deliveries {
            assert_eq!(delivery["status"], "delivered", "{delivery}");
            assert_eq!(delivery["attempts"], 1, "no second message: {delivery}");
        }
    }
    let paths: BTreeSet<String> = receiver.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths.len(), count);
}
