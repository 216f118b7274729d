//! What leaves the host says which trace it is of, whatever the guest says.

use serde_json::{Value, json};

use super::{TRACE, named, traceparent};
use crate::harness::collector::Collector;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;
use crate::webhooks::receiver::Receiver;

const GRANTS: [&str; 2] = ["outbound:http://*:*", "outbound:https://*:*"];
const LOOPBACK: &str = "[outbound]\nallow_addresses = [\"127.0.0.0/8\"]\n";
const FORGED: &str = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01";

fn setup() -> Setup {
    Setup::new()
        .config(LOOPBACK)
        .guest("outbound", &GRANTS, "")
        .guest("wasihttp", &GRANTS[..1], "")
}

/// What the receiver is told of the trace, by the host's interface and by the standard's.
async fn told(host: &Host, receiver: &Receiver) -> [String; 2] {
    let key = host.key("acme", &[]);
    let headers = json!([["traceparent", FORGED]]);
    let own = json!({"method": "POST", "url": receiver.url, "headers": headers});
    let authority = receiver.url.strip_prefix("http://").unwrap();
    let standard = json!({"method": "POST", "scheme": "http", "authority": authority,
        "path": "/", "headers": headers});
    for (path, body) in [("/outbound/send", own), ("/wasihttp/send", standard)] {
        let request = host
            .post(path, &key)
            .header("traceparent", traceparent("01"));
        let request = request.header("tracestate", "vendor=1");
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }
    let seen = receiver.seen();
    [0, 1].map(|at| seen[at].headers["traceparent"].to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_of_a_guest_carries_the_trace_and_not_what_the_guest_says_of_it() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let host = collector.configure(setup(), "sample_ratio = 0.0").start();
    let told = told(&host, &receiver).await;
    until(async || {
        let spans = collector.trace(TRACE);
        spans.iter().filter(|span| span.name() == "POST").count() == 2
    })
    .await;
    let spans = collector.trace(TRACE);
    for (header, guest) in told.iter().zip(["outbound handle", "wasihttp handle"]) {
        let span = spans.iter().find(|span| span.traceparent() == *header);
        let span = span.unwrap_or_else(|| panic!("{header}: {spans:?}"));
        assert_eq!(span.parent(), named(&spans, guest).id());
    }
    for seen in receiver.seen() {
        assert_eq!(seen.headers["tracestate"], "vendor=1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_does_not_reach_the_collector_whatever_range_is_open() {
    let collector = Collector::start().await;
    let host = collector.configure(setup(), "sample_ratio = 0.0").start();
    let key = host.key("acme", &[]);
    let url = format!("{}/v1/traces", collector.url);
    let body = json!({"method": "POST", "url": url});
    let request = host.post("/outbound/send", &key).json(&body);
    let told: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(told[0]["error"], "BlockedAddress");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_s_own_header_goes_out_where_nobody_traces() {
    let receiver = Receiver::start().await;
    let host = setup().start();
    assert_eq!(told(&host, &receiver).await, [FORGED, FORGED]);
}
