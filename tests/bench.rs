//! Benchmarks: they report, and assert nothing about time. `make bench` runs them.

mod dynamodb;
mod forecast;
mod reuse;
mod webhooks;

use serde_json::{Value, json};

use crate::consumer::fixture::{Worker, jobs};
use crate::harness::host::{Host, Setup, binary};

const REQUESTS: &str = "20000";
const CONCURRENCY: &str = "16";

/// Runs `hearth load` against a path and reads its report.
fn load(host: &Host, key: &str, path: &str) -> Value {
    let output = std::process::Command::new(binary())
        .args([
            "load", "--url", &host.url, "--key", key, "--method", "GET", "--path", path,
        ])
        .args([
            "--requests",
            REQUESTS,
            "--concurrency",
            CONCURRENCY,
            "--json",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rate(report: &Value) -> f64 {
    report["requests_per_second"].as_f64().unwrap()
}

/// A trivial guest in a fresh instance for each request, against the host's own
/// answer without a guest: what the sandbox costs, on this machine, in one run.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn fresh_guest_against_native_answer() {
    let host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let native = load(&host, &key, "/healthz");
    let guest = load(&host, &key, "/echo");
    let (native, guest) = (rate(&native), rate(&guest));
    println!(
        "native {native:.0} req/s, fresh guest {guest:.0} req/s, ratio {:.2}",
        guest / native
    );
}

/// Small messages from a transaction's enqueue to their effect in Postgres: how
/// many a second one host consumes, with four intakes' worth of calls at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn small_messages_through_a_consumer() {
    let worker = Worker::start("concurrency = 8", "").await;
    let keys: Vec<String> = (0..8)
        .map(|n| worker.key(&format!("customer-{n}")))
        .collect();
    const EACH: usize = 100;
    let per_customer = 2_000;
    let began = std::time::Instant::now();
    for first in (0..per_customer).step_by(EACH) {
        let some = jobs(first..first + EACH, json!({}));
        let all = keys
            .iter()
            .map(|key| worker.send(key, "?how=enqueue", &some));
        futures_util::future::join_all(all).await;
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
