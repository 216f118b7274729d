//! A host that stops ends what it has begun and gives the rest back.

use serde_json::json;

use super::fixture::{Worker, jobs};
use crate::harness::postgres::until;

/// Nothing comes again by itself while a test runs.
const FOR_LONG: &str = "visibility_ms = 600_000";

async fn under_way(worker: &Worker) {
    until(async || worker.host.metric("hearth_consumer_in_flight", &[]).await >= 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_the_call_under_way_and_gives_back_what_was_not_begun() {
    let queue = format!("{FOR_LONG}\nwindow_ms = 2_000\nconcurrency = 1");
    let mut worker = Worker::start(&queue, "").await;
    for number in 0..4 {
        let key = worker.key(&format!("customer-{number}"));
        worker
            .send(&key, "", &jobs(number..number + 1, json!({"ms": 500})))
            .await;
    }
    under_way(&worker).await;
    assert!(worker.host.stop().success());
    let ended = worker.recorded().await;
    assert!(
        (1..4).contains(&ended),
        "{ended} calls ended before the host did"
    );
    let next = worker.another("", |setup| setup);
    worker.until_recorded(4).await;
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"]);
    let done = next
        .metric("hearth_consumer_messages_total", &["done"])
        .await;
    assert_eq!(done, (4 - ended) as f64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_that_is_cut_by_the_end_of_a_drain_counts_no_attempt() {
    let mut worker = Worker::start(FOR_LONG, "[server]\ndrain_ms_max = 200").await;
    let key = worker.key("acme");
    worker
        .send(&key, "", &jobs(0..1, json!({"ms": 5_000})))
        .await;
    under_way(&worker).await;
    assert!(worker.host.stop().success());
    assert_eq!(worker.recorded().await, 0, "it was cut");
    let _next = worker.another("", |setup| setup);
    worker.until_recorded(1).await;
    let attempts = worker.column("SELECT attempt::text FROM ROWS").await;
    assert_eq!(attempts, ["1"]);
}
