//! The tree of one ticket: from the edge to the delivery of its webhook.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PARENT, TRACE, ancestors, lines, named, names, traceparent, until_named};
use crate::harness::collector::{CollectedSpan, Collector};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;
use crate::webhooks::fixture;
use crate::webhooks::receiver::Receiver;

/// What a customer sent, and no collector shall see.
const CANARY: &str = "canary-4711";

async fn endpoint(host: &Host, key: &str, url: &str) {
    let body = json!({"url": url, "event_types": ["ticket.created"]});
    let request = host.post("/webhooks/endpoints", key).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
}

async fn create(host: &Host, key: &str) {
    let text = |what: &str| format!("{what} {CANARY}");
    let body = json!({"subject": text("subject"), "description": text("description"),
        "priority": "low", "tags": [CANARY]});
    let request = host.post(&format!("/support/tickets?{CANARY}"), key);
    let request = request
        .header("traceparent", traceparent("01"))
        .header("x-thing", CANARY)
        .header("cookie", CANARY)
        .header("user-agent", CANARY)
        .header("idempotency-key", CANARY);
    let answer = request.json(&body).send().await.unwrap();
    let status = answer.status();
    assert_eq!(
        status,
        StatusCode::CREATED,
        "{}",
        answer.text().await.unwrap()
    );
}

/// The spans of a ticket whose webhook was delivered, and the `traceparent` that its
/// receiver saw.
async fn traced() -> (Vec<CollectedSpan>, String) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let setup = fixture::setup(Setup::new()).tickets_telling("webhook-events");
    let host = collector.configure(setup, "sample_ratio = 0.0").start();
    let key = host.key("acme", &[]);
    endpoint(&host, &key, &format!("{}/{CANARY}?{CANARY}", receiver.url)).await;
    create(&host, &key).await;
    until(async || receiver.seen().len() == 1).await;
    // Each part of the trace is exported once it has ended.
    for name in ["POST", "process webhook-events", "POST /support"] {
        until_named(&collector, name, 1).await;
    }
    let is_traced = |line: &Value| line["trace_id"] == TRACE;
    until(async || lines(&host, "access").iter().any(is_traced)).await;
    let header = receiver.seen()[0].headers["traceparent"].clone();
    let text = format!("{:?}", collector.spans());
    for secret in [CANARY, &key, "INSERT", "SELECT"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(collector.resource("service.name"), "hearth");
    (collector.trace(TRACE), header.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticket_is_one_trace_from_the_edge_to_the_delivery_of_its_webhook() {
    let (spans, header) = traced().await;
    let edge = named(&spans, "POST /support");
    assert_eq!(
        (edge.parent().as_str(), edge.kind()),
        (PARENT, SpanKind::Server)
    );
    assert_eq!(edge.attribute("http.response.status_code"), "201");
    assert_eq!(edge.attribute("url.path"), "/support/tickets");
    assert_eq!(edge.attribute("hearth.plugin"), "tickets@1");
    for name in [
        "authenticate",
        "read body",
        "claim idempotency key",
        "tickets handle",
    ] {
        assert_eq!(named(&spans, name).parent(), edge.id(), "{name}");
    }

    let insert = spans.iter().find(|span| span.name() == "insert_ticket");
    let insert = insert.unwrap_or_else(|| panic!("{:?}", names(&spans)));
    assert_eq!(insert.kind(), SpanKind::Client);
    assert_eq!(insert.attribute("db.system.name"), "postgresql");
    assert_eq!(insert.attribute("db.query.summary"), insert.name());
    assert_eq!(insert.attribute("hearth.outcome"), "ok");
    let above = ["transaction", "tickets handle", "POST /support"];
    assert_eq!(ancestors(&spans, insert)[1..], above);

    let delivery = spans.iter().find(|span| span.name() == "POST").unwrap();
    let whole_way = [
        "POST",
        "webhooks consume",
        "process webhook-deliveries",
        "send webhook-deliveries",
        "transaction",
        "webhooks consume",
        "process webhook-events",
        "send webhook-events",
        "transaction",
        "tickets handle",
        "POST /support",
    ];
    assert_eq!(ancestors(&spans, delivery), whole_way);
    assert_eq!(delivery.kind(), SpanKind::Client);
    assert_eq!(delivery.attribute("server.address"), "127.0.0.1");
    assert_eq!(delivery.attribute("http.response.status_code"), "204");
    assert_eq!(header, delivery.traceparent());
    let kind = |name: &str| named(&spans, name).kind();
    assert_eq!(kind("send webhook-events"), SpanKind::Producer);
    assert_eq!(kind("process webhook-events"), SpanKind::Consumer);
    let failed: Vec<_> = spans.iter().filter(|span| span.has_failed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
