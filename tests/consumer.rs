//! Queues are consumed: by whom, how often, and what becomes of what fails.

mod clock;
mod dead_letters;
mod drain;
mod fairness;
pub mod fixture;
mod poison;
mod refusals;
pub mod sqs;
mod swaps;

use serde_json::json;

use self::fixture::{Worker, jobs};
use crate::harness::host::runs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_consumed_once_on_behalf_of_who_sent_them() {
    let worker = Worker::start("", "").await;
    let (acme, other) = (worker.key("acme"), worker.key("other"));
    worker
        .send(&acme, "?how=enqueue", &jobs(0..20, json!({})))
        .await;
    worker.send(&other, "", &jobs(100..115, json!({}))).await;
    worker.until_recorded(35).await;
    let owners = worker.column("SELECT customer_id || ' ' || (number >= 100) FROM ROWS GROUP BY 1");
    assert_eq!(owners.await.len(), 2, "each customer's are its own");
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"]);
    worker.until_settled("done", 35).await;
    worker.until_empty().await;
    assert_eq!(worker.recorded().await, 35);
    let latency = worker
        .host
        .metric("hearth_consumer_seconds_count", &["jobs"]);
    assert_eq!(latency.await, 35.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_gathers_a_batch() {
    let worker = Worker::start("window_ms = 5_000\nconcurrency = 1", "").await;
    let key = worker.key("acme");
    for number in 0..10 {
        worker
            .send(&key, "", &jobs(number..number + 1, json!({})))
            .await;
    }
    worker.until_settled("done", 10).await;
    let batches = worker
        .host
        .metric("hearth_consumer_batch_messages_count", &[]);
    assert_eq!(
        batches.await,
        1.0,
        "ten messages, sent apart, are one batch"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn group_is_consumed_in_the_order_in_which_it_was_sent() {
    let worker = Worker::start("concurrency = 4\nattempts_max = 2", "").await;
    let key = worker.key("acme");
    let count = runs(40, 400);
    for number in 0..count {
        let act = match number {
            // One waits, one fails for good: the rest of the group waits with them.
            7 => json!({"do": "retry"}),
            13 => json!({"do": "trap"}),
            _ => json!({}),
        };
        let some = jobs(number..number + 1, act);
        worker.send(&key, "?group=g", &some).await;
        worker
            .send(&key, "", &jobs(number + 1_000..number + 1_001, json!({})))
            .await;
    }
    worker.until_settled("done", 2 * count - 1).await;
    let order = "SELECT number::text FROM ROWS WHERE number < 1000 ORDER BY place";
    let mut order = worker.column(order).await;
    order.dedup();
    let wanted = (0..count).filter(|number| *number != 13);
    assert_eq!(
        order,
        wanted.map(|number| number.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(worker.dead().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_host_leaves_every_message_to_be_consumed_and_effects_happen_once() {
    let mut worker = Worker::start("visibility_ms = 1_000\nattempts_max = 100", "").await;
    let key = worker.key("acme");
    let (kills, each) = (runs(3, 30), 100);
    for kill in 0..kills {
        let some = jobs(kill * each..(kill + 1) * each, json!({"ms": 5}));
        worker.send(&key, "?how=enqueue", &some).await;
        worker.until_more().await;
        worker.host.kill();
        worker.host.restart();
    }
    worker.until_empty().await;
    let effects = worker.effects().await;
    let all = (0..kills * each).map(|number| number.to_string());
    assert_eq!(effects, all.collect::<Vec<_>>());
    assert!(worker.dead().await.is_empty());
}
