//! From whoever sends a message to whoever consumes it.

use serde_json::json;

use super::{TRACE, ancestors, lines, named, traceparent, until_named};
use crate::consumer::fixture::{Worker, jobs, packed};
use crate::harness::collector::Collector;

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
async fn line_that_a_guest_logs_says_which_trace_it_is_of() {
    let collector = Collector::start().await;
    let (worker, key) = worker(&collector, 0).await;
    let request = worker.host.post("/worker/jobs", &key);
    let request = request.header("traceparent", traceparent("01"));
    let job = jobs(0..1, json!({"do": "trap"}));
    request.json(&job).send().await.unwrap();
    until_named(&collector, "process jobs", 1).await;
    let spans = collector.trace(TRACE);
    let failed = named(&spans, "process jobs");
    assert!(failed.has_failed());
    assert_eq!(failed.attribute("error.type"), "trap");
    assert!(
        lines(&worker.host, "access")
            .iter()
            .any(|line| line["trace_id"] == TRACE)
    );
}
