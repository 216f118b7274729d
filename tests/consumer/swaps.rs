//! Another deployment takes over: every message is consumed, and by one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::fixture::{Worker, admin, change, jobs, second};
use crate::harness::host::runs;

/// Sends jobs until it is stopped, no faster than they are consumed; answers how
/// many.
fn load(worker: &Worker, key: &str, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    let (request, stop) = (
        worker.host.post("/worker/jobs?how=enqueue", key),
        stop.clone(),
    );
    tokio::spawn(async move {
        let mut sent = 0;
        while !stop.load(Relaxed) {
            let some = jobs(sent..sent + 10, json!({"ms": 1}));
            let request = request.try_clone().unwrap().json(&some);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            sent += 10;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        sent
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_of_messages_lose_none_and_redeliver_none() {
    let worker = Worker::start("", "").await;
    let key = worker.key("acme");
    let deploy = admin(&worker.host, Method::POST, "/deployments").body(second(""));
    let deployed = change(deploy).await;
    assert_eq!(deployed["label"], "worker@2", "{deployed}");
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..2).map(|_| load(&worker, &key, &stop)).collect();
    for number in 0..runs(20, 300) {
        let path = format!("/plugins/worker/rollback?to={}", 1 + number % 2);
        let swapped = change(admin(&worker.host, Method::POST, &path)).await;
        assert_eq!(swapped["result"], "serving", "{swapped}");
    }
    stop.store(true, Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    worker.until_empty().await;
    assert_eq!(worker.recorded().await, sent, "each once");
    let ids = worker
        .column("SELECT count(DISTINCT id)::text FROM ROWS")
        .await;
    assert_eq!(ids, [sent.to_string()]);
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"]);
    let versions = worker
        .column("SELECT DISTINCT version FROM ROWS ORDER BY 1")
        .await;
    assert_eq!(versions, ["version-1", "version-2"], "both consumed");
    assert_eq!(
        worker.host.metric("hearth_deployments_live", &[]).await,
        1.0
    );
}

/// The intakes of the old deployment end with their calls; what they received and
/// had no call for is the new one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swap_gives_back_what_was_not_begun_and_what_was_ends_on_the_old_version() {
    let worker = Worker::start(
        "window_ms = 2_000\nconcurrency = 1\nvisibility_ms = 600_000",
        "",
    )
    .await;
    let keys: Vec<String> = (0..10)
        .map(|number| worker.key(&format!("customer-{number}")))
        .collect();
    // Together they take longer than a deploy does on a busy machine.
    for (number, key) in keys.iter().enumerate() {
        let job = jobs(number..number + 1, json!({"ms": 2_000}));
        worker.send(key, "", &job).await;
    }
    let under_way = async || worker.host.metric("hearth_consumer_in_flight", &[]).await == 1.0;
    crate::harness::postgres::until(under_way).await;
    let deploy = admin(&worker.host, Method::POST, "/deployments").body(second(""));
    let deployed = change(deploy).await;
    assert_eq!(deployed["label"], "worker@2", "{deployed}");
    worker.until_settled("done", 10).await;
    let of_old = worker
        .column("SELECT id FROM ROWS WHERE version = 'version-1'")
        .await;
    assert!(of_old.len() < 10, "the old version consumed all");
    assert!(
        !of_old.is_empty(),
        "the call under way ended on the new version"
    );
    assert_eq!(worker.recorded().await, 10);
    let attempts = worker
        .column("SELECT DISTINCT attempt::text FROM ROWS")
        .await;
    assert_eq!(attempts, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undeployed_plugin_consumes_nothing_and_loses_nothing() {
    let worker = Worker::start("batch = 1\nconcurrency = 1", "").await;
    let key = worker.key("acme");
    let ids = worker.send(&key, "", &jobs(0..1, json!({}))).await;
    worker.until_recorded(ids.len()).await;
    let some = jobs(1..30, json!({"ms": 50}));
    worker.send(&key, "?how=enqueue", &some).await;
    let gone = super::fixture::api(&worker.host, Method::DELETE, "/plugins/worker").await;
    assert_eq!(gone["result"], "undeployed");
    let before = worker.recorded().await;
    assert!(before < 30, "all were consumed before it went");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(worker.recorded().await, before);
    let back = admin(&worker.host, Method::POST, "/plugins/worker/rollback?to=1");
    assert_eq!(change(back).await["result"], "serving");
    worker.until_recorded(30).await;
    worker.until_empty().await;
    assert_eq!(worker.recorded().await, 30);
}
