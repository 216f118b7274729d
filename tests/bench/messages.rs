//! Small messages through the queue in Postgres.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use crate::consumer::fixture::{Worker, jobs};

/// Small messages from a transaction's enqueue to their effect in Postgres: how
/// many a second one host consumes, with four intakes' worth of calls at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn small_ones_through_a_consumer() {
    let worker = Worker::start("concurrency = 8", "").await;
    let keys: Vec<String> = (0..8)
        .map(|n| worker.key(&format!("customer-{n}")))
        .collect();
    const EACH: usize = 100;
    let per_customer = 2_000;
    let began = Instant::now();
    for first in (0..per_customer).step_by(EACH) {
        let some = jobs(first..first + EACH, json!({}));
        let all = keys
            .iter()
            .map(|key| worker.send(key, "?how=enqueue", &some));
        join_all(all).await;
    }
    let sent = began.elapsed();
    let count = per_customer * keys.len();
    worker.until_settled("done", count).await;
    let (all, sent) = (began.elapsed().as_secs_f64(), sent.as_secs_f64());
    println!(
        "{count} messages: sent in {sent:.1} s, consumed within {all:.1} s: {:.0} a second",
        count as f64 / all
    );
}
