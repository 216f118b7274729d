//! Hosts that are killed while notifications are written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::fixture::{Customer, Inbox, id};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// More than a worker makes of a round before it is killed.
const ROUND_MAX: usize = 10_000;

/// Posts one or a few at a time to the round's own recipient, every other with a key,
/// until the host is gone. Answers the ids of what was acknowledged.
fn work(
    customer: &Customer<'_>,
    round: usize,
    told: &Arc<AtomicUsize>,
) -> JoinHandle<BTreeSet<String>> {
    let (request, told) = (customer.request(Method::POST, ""), told.clone());
    tokio::spawn(async move {
        let mut acknowledged = BTreeSet::new();
        for number in 0..ROUND_MAX {
            let one = json!({"title": format!("{number}"), "recipient": format!("round-{round}")});
            let body = match number % 4 {
                0 => one,
                few => json!({"notifications": vec![one; few * 3]}),
            };
            let mut request = request.try_clone().unwrap().json(&body);
            if number % 2 == 0 {
                request = request.header("idempotency-key", Uuid::now_v7().to_string());
            }
            let Ok(answer) = request.send().await else {
                return acknowledged;
            };
            let status = answer.status();
            let Ok(answer) = answer.json::<Value>().await else {
                return acknowledged;
            };
            acknowledged.extend(taken(status, &answer));
            told.fetch_add(1, Relaxed);
        }
        panic!("the host was never killed")
    })
}

/// The ids that an answer acknowledges.
fn taken(status: StatusCode, answer: &Value) -> Vec<String> {
    match status {
        StatusCode::CREATED => vec![id(answer)],
        StatusCode::MULTI_STATUS => {
            let results = answer["results"].as_array().unwrap().iter();
            results.filter(|one| one["status"] == 201).map(id).collect()
        }
        status => panic!("{status}: {answer}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_hosts_have_every_notification_that_was_acknowledged() {
    let mut inbox = Inbox::start();
    let (mut posted, mut more) = (0, 0);
    for round in 0..runs(20, 200) {
        let told = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4)
            .map(|_| work(&inbox.customer(), round, &told))
            .collect();
        until(async || told.load(Relaxed) >= 8).await;
        let millis = 20 + u64::from(rand::random::<u8>());
        tokio::time::sleep(Duration::from_millis(millis)).await;
        inbox.host.kill();
        let mut acknowledged = BTreeSet::new();
        for worker in workers {
            acknowledged.extend(worker.await.unwrap());
        }
        tokio::task::block_in_place(|| inbox.host.restart());
        let customer = inbox.customer();
        let there = customer.ids(&format!("&recipient=round-{round}")).await;
        let count = customer.unread(&format!("recipient=round-{round}")).await;
        assert_eq!(count, there.len().min(1_000) as u64, "list and count agree");
        let there: BTreeSet<String> = there.into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(
            lost.is_empty(),
            "round {round}: acknowledged and gone: {lost:?}"
        );
        posted += acknowledged.len();
        more += there.len() - acknowledged.len();
    }
    println!("{posted} acknowledged, {more} stored whose answer was lost");
}
