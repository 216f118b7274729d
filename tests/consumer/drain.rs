//! A host that stops ends what it has begun and gives the rest back.

use serde_json::json;

use super::fixture::{Worker, jobs};
use crate::harness::host::runs;
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
    let left = (4 - ended) as f64;
    let name = "hearth_consumer_messages_total";
    until(async || next.metric(name, &["done"]).await == left).await;
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

/// What was about to be received when the host stopped is another's at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_stops_in_a_flood_keeps_no_message_leased() {
    let mut worker = Worker::start(&format!("{FOR_LONG}\nconcurrency = 8"), "").await;
    let key = worker.key("acme");
    let count = runs(3_000, 30_000);
    worker
        .send(&key, "?how=enqueue", &jobs(0..count, json!({})))
        .await;
    worker.until_more().await;
    assert!(worker.host.stop().success());
    let leased = "SELECT count(*)::text FROM hearth.outbox WHERE lease IS NOT NULL";
    assert_eq!(worker.column(leased).await, ["0"]);
    let attempts = "SELECT DISTINCT attempts::text FROM hearth.outbox";
    assert_eq!(
        worker.column(attempts).await,
        ["0"],
        "some are left, and none was begun"
    );
}
