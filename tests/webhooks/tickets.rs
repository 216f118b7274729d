//! What happens to tickets, told to a receiver by hosts that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::fixture;
use super::receiver::{Answer, Receiver};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, runs};

/// Two hosts on one database, with the plugins tickets and webhooks.
struct Pair {
    hosts: [Host; 2],
    key: String,
    // It goes last.
    _fleet: Fleet,
}

impl Pair {
    async fn start() -> Pair {
        let fleet = Fleet::start().await;
        let host = || fleet.host(|with| fixture::setup(with).tickets_telling("webhook-events"));
        let hosts = [host(), host()];
        let key = hosts[0].key("acme", &[]);
        Pair {
            hosts,
            key,
            _fleet: fleet,
        }
    }

    async fn endpoint(&self, url: &str) {
        let body = json!({"url": url, "event_types": ["ticket.created"]});
        let request = self.hosts[0].post("/webhooks/endpoints", &self.key);
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }

    /// All tickets that there are.
    async fn committed(&self) -> BTreeSet<String> {
        let (mut ids, mut query) = (BTreeSet::new(), Some(String::new()));
        while let Some(cursor) = query.take() {
            let path = format!("/support/tickets?limit=100{cursor}");
            let answer = self.hosts[0].get(&path, &self.key).send().await.unwrap();
            let page: Value = answer.json().await.unwrap();
            let tickets = page["tickets"].as_array().unwrap().iter();
            ids.extend(tickets.map(|ticket| ticket["id"].as_str().unwrap().to_string()));
            let next = page["next_cursor"].as_str();
            query = next.map(|next| format!("&cursor={next}"));
        }
        ids
    }
}

fn ticket() -> Value {
    json!({"subject": "Printer", "description": "It smokes.", "priority": "low"})
}

/// Makes tickets at either host for as long as it may; answers those that were
/// acknowledged.
async fn make(
    urls: Arc<Mutex<[String; 2]>>,
    key: String,
    stop: Arc<AtomicBool>,
) -> BTreeSet<String> {
    let client = Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let body = ticket();
    let mut acknowledged = BTreeSet::new();
    for number in 0_usize.. {
        if stop.load(Relaxed) {
            break;
        }
        let url = format!("{}/support/tickets", urls.lock().unwrap()[number % 2]);
        let request = client.post(url).header("x-api-key", &key).json(&body);
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                // Killed between head and body it is no acknowledgement.
                if let Ok(ticket) = answer.json::<Value>().await {
                    acknowledged.insert(ticket["id"].as_str().unwrap().to_string());
                }
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    acknowledged
}

/// The ids under which each ticket's event came.
fn delivered(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for seen in receiver.seen() {
        let ticket = seen.json()["data"]["ticket"]["id"].clone();
        let ticket = ticket.as_str().unwrap().to_string();
        ids.entry(ticket).or_default().insert(seen.id());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ticket_that_was_committed_is_told_however_often_hosts_are_killed() {
    let mut pair = Pair::start().await;
    let receiver = Receiver::start().await;
    // A few milliseconds, so that kills hit deliveries that are under way.
    receiver.answers(Answer::Late(204, Duration::from_millis(5)));
    pair.endpoint(&receiver.url).await;
    let urls = pair.hosts.each_ref().map(|host| host.url.clone());
    let (urls, stop) = (Arc::new(Mutex::new(urls)), Arc::new(AtomicBool::new(false)));
    let makers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(make(urls.clone(), pair.key.clone(), stop.clone())))
        .collect();
    for number in 0..runs(30, 300) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..600))).await;
        let host = &mut pair.hosts[number % 2];
        host.kill();
        host.restart();
        urls.lock().unwrap()[number % 2] = host.url.clone();
    }
    stop.store(true, Relaxed);
    let mut acknowledged = BTreeSet::new();
    for maker in makers {
        acknowledged.extend(maker.await.unwrap());
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let committed = pair.committed().await;
    let lost: Vec<_> = acknowledged.difference(&committed).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    let began = Instant::now();
    settled(&receiver, &committed).await;
    let settled = began.elapsed();
    let delivered = delivered(&receiver);
    let told: BTreeSet<String> = delivered.keys().cloned().collect();
    assert_eq!(told, committed, "each that there is, and no other");
    assert!(
        delivered.values().all(|ids| ids.len() == 1),
        "{delivered:?}"
    );
    let twice = receiver.seen().len() - delivered.len();
    println!(
        "{} tickets, {twice} told twice, the last one {settled:.0?} after the last kill",
        delivered.len()
    );
}

/// Until all were told, though no ticket is made any more. What killed hosts had taken is
/// free again after half a minute.
async fn settled(receiver: &Receiver, committed: &BTreeSet<String>) {
    for _ in 0..200 {
        if delivered(receiver).len() >= committed.len() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
