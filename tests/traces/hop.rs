//! From whoever sends a message to whoever consumes it.

use serde_json::json;

use super::{TRACE, ancestors, named, traceparent, until_named};
use crate::consumer::fixture::{Worker, jobs, packed};
use crate::consumer::sqs::{config, credentials};
use crate::harness::collector::Collector;
use crate::harness::sqs::{Make, Sqs};

/// A worker whose batches wait for so long for others.
async fn worker(collector: &Collector, window_ms: u64) -> (Worker, String) {
    let plugin = packed("0.1.0", &format!("batch = 10\nwindow_ms = {window_ms}"), "");
    let with = |setup| collector.configure(setup, "sample_ratio = 0.0");
    let worker = Worker::start_with(&plugin, "", with).await;
    let key = worker.key("acme");
    (worker, key)
}

async fn send(worker: &Worker, key: &str, how: &str, traceparent: &str) {
    let request = worker.host.post(&format!("/worker/jobs{how}"), key);
    let request = request.header("traceparent", traceparent);
    let answer = request.json(&jobs(0..1, json!({}))).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumer_s_call_goes_on_with_the_sender_s_trace_in_or_out_of_a_transaction() {
    for (how, between) in [("", &[][..]), ("?how=enqueue", &["transaction"])] {
        let collector = Collector::start().await;
        let (worker, key) = worker(&collector, 0).await;
        send(&worker, &key, how, &traceparent("01")).await;
        until_named(&collector, "process jobs", 1).await;
        until_named(&collector, "POST /worker", 1).await;
        let spans = collector.trace(TRACE);
        let process = named(&spans, "process jobs");
        let mut way = vec!["process jobs", "send jobs"];
        way.extend(between);
        way.extend(["worker handle", "POST /worker"]);
        assert_eq!(ancestors(&spans, process), way);
        assert_eq!(process.attribute("messaging.batch.message_count"), "1");
        let inside = ["deliver", "transaction", "worker consume", "process jobs"];
        assert_eq!(ancestors(&spans, named(&spans, "deliver"))[..4], inside);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_goes_through_the_outbox_and_sqs() {
    let (collector, sqs) = (Collector::start().await, Sqs::start(Make::Rustack).await);
    let plugin = packed("0.1.0", "batch = 10", "");
    let with = |setup| collector.configure(credentials(setup), "sample_ratio = 0.0");
    let worker = Worker::start_with(&plugin, &config(&sqs), with).await;
    let key = worker.key("acme");
    send(&worker, &key, "?how=enqueue", &traceparent("01")).await;
    for name in ["process jobs", "POST /worker", "relay jobs"] {
        until_named(&collector, name, 1).await;
    }
    let spans = collector.trace(TRACE);
    let above = ["send jobs", "transaction", "worker handle", "POST /worker"];
    for name in ["process jobs", "relay jobs"] {
        assert_eq!(ancestors(&spans, named(&spans, name))[1..], above, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_with_messages_of_several_traces_has_a_link_to_each() {
    let collector = Collector::start().await;
    let (worker, key) = worker(&collector, 5_000).await;
    let other = "a".repeat(32);
    send(&worker, &key, "", &traceparent("01")).await;
    send(&worker, &key, "", &traceparent("01").replace(TRACE, &other)).await;
    until_named(&collector, "process jobs", 1).await;
    let spans = collector.spans();
    let process = named(&spans, "process jobs");
    let links = process.0.links.iter();
    let mut linked: Vec<_> = links.map(|link| hex::encode(&link.trace_id)).collect();
    linked.sort();
    assert_eq!(linked, [TRACE.to_owned(), other]);
    assert_eq!(process.parent(), "");
    assert!(![TRACE, &"a".repeat(32)].contains(&&*process.trace()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_that_traps_is_exported_with_its_kind() {
    let collector = Collector::start().await;
    let (worker, key) = worker(&collector, 0).await;
    let request = worker.host.post("/worker/jobs", &key);
    let request = request.header("traceparent", traceparent("00"));
    let job = jobs(0..1, json!({"do": "trap"}));
    request.json(&job).send().await.unwrap();
    until_named(&collector, "process jobs", 1).await;
    let spans = collector.trace(TRACE);
    let failed = named(&spans, "process jobs");
    assert!(failed.has_failed());
    assert_eq!(failed.attribute("error.type"), "trap");
}
