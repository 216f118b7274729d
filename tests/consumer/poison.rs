//! One message is to blame: the others have their effect, once.

use serde_json::json;

use super::fixture::{Worker, jobs};
use crate::harness::postgres::until;

/// What one transaction has sent is received together.
const TOGETHER: &str = "concurrency = 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poison_message_of_ten_is_dead_after_five_attempts_and_nine_are_committed_once() {
    let worker = Worker::start(TOGETHER, "").await;
    let key = worker.key("acme");
    let mut ten = jobs(0..10, json!({}));
    ten[4]["do"] = json!("trap");
    let ids = worker.send(&key, "?how=enqueue", &ten).await;
    worker.until_settled("dead-letter", 1).await;
    worker.until_empty().await;
    let committed = worker
        .column("SELECT number::text FROM ROWS r ORDER BY r.number")
        .await;
    assert_eq!(committed, ["0", "1", "2", "3", "5", "6", "7", "8", "9"]);
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"], "nobody else's attempts count");
    let dead = worker.dead().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(
        (&dead[0]["id"], &dead[0]["attempts"]),
        (&json!(ids[4]), &json!(5))
    );
    let reason = dead[0]["reason"].as_str().unwrap();
    assert!(reason.contains("the guest trapped"), "{reason}");
    // One of ten together, and five of the one alone.
    assert_eq!(
        worker
            .host
            .metric("hearth_guest_traps_total", &["trap"])
            .await,
        6.0
    );
    assert_eq!(
        (worker.settled("done").await, worker.settled("failed").await),
        (9.0, 4.0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_of_another_length_fails_all_and_in_the_end_the_one_that_causes_it() {
    let worker = Worker::start("concurrency = 1\nattempts_max = 2", "").await;
    let key = worker.key("acme");
    let mut ten = jobs(0..10, json!({}));
    ten[9]["do"] = json!("short");
    worker.send(&key, "?how=enqueue", &ten).await;
    worker.until_settled("dead-letter", 1).await;
    worker.until_empty().await;
    let dead = worker.dead().await;
    let reason = dead[0]["reason"].as_str().unwrap();
    assert_eq!(reason, "the guest answered 0 dispositions to 1");
    assert_eq!((dead.len(), worker.settled("done").await), (1, 9.0));
    assert_eq!(
        worker.effects().await.len(),
        10,
        "it had its effect and hid it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_computes_for_ever_is_to_blame_for_its_cpu_time() {
    let worker = Worker::start("concurrency = 1\nattempts_max = 2", "").await;
    let key = worker.key("acme");
    let mut three = jobs(0..3, json!({}));
    three[0]["do"] = json!("spin");
    worker.send(&key, "?how=enqueue", &three).await;
    worker.until_settled("dead-letter", 1).await;
    worker.until_empty().await;
    assert_eq!(worker.effects().await, ["1", "2"]);
    let dead = worker.dead().await;
    let reason = dead[0]["reason"].as_str().unwrap();
    assert!(reason.contains("CPU"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_past_its_deadline_counts_as_an_attempt() {
    let limits = "[plugin_defaults]\nwall_ms_max = 500";
    let worker = Worker::start("attempts_max = 2", limits).await;
    let key = worker.key("acme");
    worker
        .send(&key, "", &jobs(0..1, json!({"ms": 60_000})))
        .await;
    worker.until_settled("dead-letter", 1).await;
    let dead = worker.dead().await;
    assert_eq!(dead[0]["attempts"], 2);
    assert_eq!(dead[0]["reason"], "the deadline passed");
    assert_eq!(worker.recorded().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_is_to_wait_burns_no_attempt() {
    let worker = Worker::start("attempts_max = 1", "").await;
    let key = worker.key("acme");
    worker
        .send(&key, "", &jobs(0..5, json!({"do": "retry"})))
        .await;
    worker.until_settled("done", 5).await;
    worker.until_empty().await;
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"]);
    assert_eq!(
        worker.recorded().await,
        15,
        "twice it waited, and then it was done"
    );
    assert!(worker.dead().await.is_empty());
}

/// A guest works for longer than the visibility: the heartbeat holds the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_is_held_for_as_long_as_its_call_goes_on() {
    // A heartbeat may be two seconds late before the message comes to another.
    let worker = Worker::start("visibility_ms = 3_000", "").await;
    let key = worker.key("acme");
    worker
        .send(&key, "", &jobs(0..1, json!({"ms": 8_000})))
        .await;
    worker.until_settled("done", 1).await;
    worker.until_empty().await;
    let attempts = worker.column("SELECT attempt::text FROM ROWS").await;
    assert_eq!(attempts, ["1"], "it came once");
}

/// No call of it ends, and so no call can say that it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_with_which_its_hosts_died_is_dead_in_the_end() {
    let mut worker = Worker::start("visibility_ms = 1_000\nattempts_max = 2", "").await;
    let key = worker.key("acme");
    worker
        .send(&key, "", &jobs(0..1, json!({"ms": 9_000})))
        .await;
    for _ in 0..2 {
        let under_way = async || worker.host.metric("hearth_consumer_in_flight", &[]).await == 1.0;
        until(under_way).await;
        worker.host.kill();
        worker.host.restart();
    }
    worker.until_empty().await;
    let dead = worker.dead().await;
    assert_eq!(dead[0]["reason"], "no call for it ended, in 2 attempts");
    assert_eq!(worker.recorded().await, 0);
}
