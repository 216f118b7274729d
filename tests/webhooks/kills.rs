//! Hosts that are killed while events are told and delivered.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use crate::harness::host::runs;

/// What was told and what became of it, as far as the client knows.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    refused: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Tells events, with ids of its own, for as long as it may. Every fifth does not fit
/// its type and is refused.
async fn tell(url: Arc<Mutex<String>>, key: String, stop: Arc<AtomicBool>) -> Told {
    let client = Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let mut told = Told::default();
    for number in 0_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let url = format!("{}/webhooks/events", url.lock().unwrap());
        let id = format!("evt_{}", Uuid::now_v7());
        let payload = match number % 5 {
            4 => json!({}),
            _ => json!({"n": number}),
        };
        let body = json!({"id": id, "type": "a", "payload": payload});
        let request = client.post(url).header("x-api-key", &key).json(&body);
        match request.send().await.map(|answer| answer.status()) {
            Ok(StatusCode::ACCEPTED) => drop(told.acknowledged.insert(id)),
            Ok(StatusCode::UNPROCESSABLE_ENTITY) => drop(told.refused.insert(id)),
            _ => drop(told.unknown.insert(id)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    told
}

/// All events that the host has.
async fn committed(webhooks: &Webhooks) -> BTreeSet<String> {
    let (mut ids, mut path) = (BTreeSet::new(), Some("/events?limit=100".to_string()));
    while let Some(next) = path.take() {
        let page = webhooks.get(&next).await;
        let events = page["events"].as_array().unwrap().iter();
        ids.extend(events.map(|event| event["id"].as_str().unwrap().to_string()));
        let cursor = page["next_cursor"].as_str();
        path = cursor.map(|cursor| format!("/events?limit=100&cursor={cursor}"));
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hosts_deliver_every_committed_event_and_none_that_was_not() {
    let mut webhooks = Webhooks::start();
    let receiver = Receiver::start().await;
    // A few milliseconds, so that kills hit deliveries that are under way.
    receiver.answers(Answer::Late(204, Duration::from_millis(5)));
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let schema = json!({"schema": {"required": ["n"]}});
    webhooks
        .ask(reqwest::Method::PUT, "/event-types/a", schema)
        .await;
    let (url, stop) = (
        Arc::new(Mutex::new(webhooks.host.url.clone())),
        Arc::new(AtomicBool::new(false)),
    );
    let tellers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(tell(url.clone(), webhooks.key.clone(), stop.clone())))
        .collect();
    for _ in 0..runs(30, 300) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..600))).await;
        webhooks.host.kill();
        webhooks.host.restart();
        *url.lock().unwrap() = webhooks.host.url.clone();
    }
    stop.store(true, Relaxed);
    let mut all = Told::default();
    for teller in tellers {
        let told = teller.await.unwrap();
        all.acknowledged.extend(told.acknowledged);
        all.refused.extend(told.refused);
        all.unknown.extend(told.unknown);
    }
    let committed = committed(&webhooks).await;
    let began = Instant::now();
    settled(&receiver, &committed).await;
    let settled = began.elapsed();
    let delivered: BTreeSet<String> = receiver.ids().into_iter().collect();
    assert!(
        all.acknowledged.len() > 100,
        "the load did something: {}",
        all.acknowledged.len()
    );
    let lost: Vec<_> = all.acknowledged.difference(&committed).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    assert!(all.refused.is_disjoint(&delivered) && !all.refused.is_empty());
    assert_eq!(
        delivered, committed,
        "every committed event, and none that was not"
    );
    let duplicates = receiver.ids().len() - delivered.len();
    let stats = webhooks.get(&format!("/endpoints/{endpoint}/stats")).await;
    println!(
        "{} events, {duplicates} sent twice, the last one {settled:.0?} after the last kill, {stats}",
        delivered.len()
    );
}

/// Until everything was delivered, though nobody tells anything more. What killed hosts
/// had taken is free again after half a minute.
async fn settled(receiver: &Receiver, committed: &BTreeSet<String>) {
    for _ in 0..200 {
        let ids: BTreeSet<String> = receiver.ids().into_iter().collect();
        if ids.is_superset(committed) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
