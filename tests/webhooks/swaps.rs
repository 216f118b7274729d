//! Another version takes over while events are told and delivered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hearth::plugin::package::{PackageParts, pack};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Webhooks, admin, waiting};
use super::receiver::{Answer, Receiver};
use crate::harness::host::{plugin, runs};

/// Tells events until it is stopped; answers their ids.
fn load(webhooks: &Webhooks, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<String>> {
    let (request, stop) = (
        webhooks.host.post("/webhooks/events", &webhooks.key),
        stop.clone(),
    );
    tokio::spawn(async move {
        let mut told = Vec::new();
        while !stop.load(Relaxed) {
            let body = json!({"type": "a", "payload": {}});
            let answer = request
                .try_clone()
                .unwrap()
                .json(&body)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            let event: Value = answer.json().await.unwrap();
            told.push(event["id"].as_str().unwrap().to_string());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        told
    })
}

/// The plugin as it is, under another version.
fn second() -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/webhooks");
    let mut parts = PackageParts::read(&folder.join("plugin.toml")).unwrap();
    parts.manifest = parts.manifest.replacen("0.1.0", "0.1.1", 1);
    let packed = std::fs::read(plugin("webhooks")).unwrap();
    pack(&packed, &parts).unwrap()
}

async fn change(request: RequestBuilder) -> Value {
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_no_event_and_send_none_twice() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Late(204, Duration::from_millis(30)));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let deployed = change(admin(&webhooks.host, Method::POST, "/deployments").body(second())).await;
    assert_eq!(deployed["label"], "webhooks@2", "{deployed}");
    let stop = Arc::new(AtomicBool::new(false));
    let tellers: Vec<_> = (0..2).map(|_| load(&webhooks, &stop)).collect();
    for number in 0..runs(10, 100) {
        let path = format!("/plugins/webhooks/rollback?to={}", 1 + number % 2);
        let swapped = change(admin(&webhooks.host, Method::POST, &path)).await;
        assert_eq!(swapped["result"], "serving", "{swapped}");
    }
    stop.store(true, Relaxed);
    let mut told = BTreeSet::new();
    for teller in tellers {
        told.extend(teller.await.unwrap());
    }
    // The messages of deliveries that were taken along wait for their turn all the same.
    let end = Instant::now() + Duration::from_secs(600);
    while waiting(&webhooks.host, "webhook-deliveries").await > 0 {
        assert!(Instant::now() < end, "messages are left");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ids = receiver.ids();
    let delivered: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(delivered, told, "none was lost");
    assert_eq!(ids.len(), told.len(), "none was sent twice");
    let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
    assert_eq!(stats["failed"], 0, "{stats}");
}
