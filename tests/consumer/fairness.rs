//! Messages and requests share a plugin's places: neither starves the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reqwest::StatusCode;
use serde_json::json;

use super::fixture::{Worker, jobs};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// Requests that take a while, without a pause, until they are stopped.
fn flood(worker: &Worker, key: &str, clients: usize) -> Flood {
    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..clients).map(|_| {
        let (request, stop) = (worker.host.get("/worker?ms=50", key), stop.clone());
        tokio::spawn(async move {
            let mut answered = 0;
            while !stop.load(Relaxed) {
                let answer = request.try_clone().unwrap().send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answered += 1;
            }
            answered
        })
    });
    Flood {
        clients: clients.collect(),
        stop,
    }
}

struct Flood {
    clients: Vec<tokio::task::JoinHandle<usize>>,
    stop: Arc<AtomicBool>,
}

impl Flood {
    async fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        let mut answered = 0;
        for client in self.clients {
            answered += client.await.unwrap();
        }
        answered
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_while_a_flood_of_messages_is_consumed() {
    let limits = "[plugin_defaults]\nin_flight_max = 2\nwait_ms_max = 60_000";
    let worker = Worker::start("batch = 1\nconcurrency = 8", limits).await;
    let key = worker.key("acme");
    let count = runs(150, 2_000);
    worker
        .send(&key, "?how=enqueue", &jobs(0..count, json!({"ms": 20})))
        .await;
    worker.until_more().await;
    for _ in 0..10 {
        let answer = worker.host.get("/worker", &key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let consumed = worker.recorded().await;
    assert!(consumed < count, "the requests were answered last");
    worker.until_recorded(count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_consumed_while_requests_flood() {
    let limits = "[plugin_defaults]\nin_flight_max = 2\nwait_ms_max = 60_000";
    let worker = Worker::start("", limits).await;
    let (acme, many) = (worker.key("acme"), worker.key("many"));
    let flood = flood(&worker, &many, 16);
    until(async || worker.host.metric("hearth_calls_waiting", &[]).await >= 8.0).await;
    worker
        .send(&acme, "?how=enqueue", &jobs(0..50, json!({})))
        .await;
    worker.until_recorded(50).await;
    assert!(flood.end().await > 0);
}

/// One place for everything, and nothing to consume: the place is the request's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_consumer_keeps_no_place_from_a_request() {
    let limits =
        "[plugin_defaults]\nin_flight_max = 1\nwaiting_max = 10\n[engine]\ninstances_max = 1";
    let worker = Worker::start("", limits).await;
    let key = worker.key("acme");
    for _ in 0..20 {
        let answer = worker.host.get("/worker", &key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    worker.send(&key, "", &jobs(0..1, json!({}))).await;
    worker.until_recorded(1).await;
}

/// The permit comes before the receive: whoever has to wait for one burns no
/// delivery, however short the visibility is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_waits_for_room_without_an_attempt_being_burnt() {
    let limits = "[plugin_defaults]\nin_flight_max = 1\nwall_ms_max = 30_000";
    let worker = Worker::start("visibility_ms = 1_000\nattempts_max = 1", limits).await;
    let key = worker.key("acme");
    worker
        .send(&key, "?delay_ms=1500", &jobs(0..3, json!({})))
        .await;
    let slow = worker
        .host
        .get("/worker?ms=6000", &key)
        .send()
        .await
        .unwrap();
    assert_eq!(slow.status(), StatusCode::OK);
    worker.until_settled("done", 3).await;
    worker.until_empty().await;
    let attempts = worker.column("SELECT attempt::text FROM ROWS").await;
    assert_eq!(attempts, ["1", "1", "1"]);
    assert!(worker.dead().await.is_empty());
}
