//! Another version takes over while notifications are posted, told and listened to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hearth::plugin::package::{PackageParts, pack};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::fixture::{Customer, Inbox, event, event_id, heard, id};
use crate::harness::host::{plugin, runs};
use crate::harness::postgres::until;
use crate::webhooks::fixture::{admin, waiting};

/// Posts until it is stopped; answers the ids of what was made.
fn post(customer: &Customer<'_>, stop: &Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    let (request, stop) = (customer.request(Method::POST, ""), stop.clone());
    tokio::spawn(async move {
        let mut made = Vec::new();
        while !stop.load(Relaxed) {
            let post = request.try_clone().unwrap().json(&json!({"title": "t"}));
            let answer = post.send().await.expect("no reset");
            assert_eq!(answer.status(), StatusCode::CREATED);
            made.push(id(&answer.json().await.unwrap()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        made
    })
}

/// Tells events until it is stopped; answers how many.
fn tell(customer: &Customer<'_>, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let request = customer
        .host
        .post("/teller/notification-events", customer.key);
    let stop = stop.clone();
    tokio::spawn(async move {
        for number in 0.. {
            if stop.load(Relaxed) {
                return number;
            }
            let told = event(number, "invoice.paid", json!({}));
            let answer = request
                .try_clone()
                .unwrap()
                .json(&told)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!()
    })
}

/// The plugin as it is, under another version.
fn second() -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/notifications");
    let mut parts = PackageParts::read(&folder.join("plugin.toml")).unwrap();
    parts.manifest = parts.manifest.replacen("0.1.0", "0.1.1", 1);
    let packed = std::fs::read(plugin("notifications")).unwrap();
    pack(&packed, &parts).unwrap()
}

async fn change(request: RequestBuilder) -> Value {
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_nothing_and_end_no_stream() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut stream = customer.listen("").await;
    let deployed = change(admin(&inbox.host, Method::POST, "/deployments").body(second())).await;
    assert_eq!(deployed["label"], "notifications@2", "{deployed}");
    let stop = Arc::new(AtomicBool::new(false));
    let posting: Vec<_> = (0..2).map(|_| post(&customer, &stop)).collect();
    let telling = tell(&customer, &stop);
    for number in 0..runs(10, 100) {
        let path = format!("/plugins/notifications/rollback?to={}", 1 + number % 2);
        let swapped = change(admin(&inbox.host, Method::POST, &path)).await;
        assert_eq!(swapped["result"], "serving", "{swapped}");
    }
    stop.store(true, Relaxed);
    let mut made = BTreeSet::new();
    for posting in posting {
        made.extend(posting.await.unwrap());
    }
    let told = telling.await.unwrap();
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    let listed = customer.list("").await;
    let (of_events, posted): (Vec<_>, Vec<_>) =
        listed.iter().partition(|one| one["event"].is_object());
    assert_eq!(posted.into_iter().map(id).collect::<BTreeSet<_>>(), made);
    let sources = of_events
        .iter()
        .map(|one| one["event"]["id"].as_str().unwrap().to_string());
    assert_eq!(
        sources.collect::<BTreeSet<_>>(),
        (0..told).map(event_id).collect()
    );
    let mut missing: BTreeSet<_> = listed.iter().map(id).collect();
    while !missing.is_empty() {
        missing.remove(&id(&heard(&mut stream).await));
    }
}
