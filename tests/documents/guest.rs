//! The capability as a component uses it, on a real host with a DynamoDB of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::dynamodb::{Fate, Private, Proxy, Request};
use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;

fn setup() -> Setup {
    Setup::new().guest("documents", &["documents"], "")
}

async fn ask(host: &Host, key: &str, method: Method, path: &str, body: &Value) -> Value {
    let request = host.request(method, &format!("/documents{path}"), key);
    let answer = request.json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_keeps_documents_for_its_caller() {
    let host = setup().start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let attributes = json!({"title": "Hello", "n": 12345678901234567u64, "tags": ["a", null]});
    ask(&host, &acme, Method::PUT, "/items/inbox/1", &attributes).await;
    let got = ask(&host, &acme, Method::GET, "/items/inbox/1", &json!(null)).await;
    assert_eq!(got, json!({"sort": "1", "attributes": attributes}));
    let foreign = ask(&host, &globex, Method::GET, "/items/inbox/1", &json!(null)).await;
    assert_eq!(foreign, Value::Null);
    let many: serde_json::Map<_, _> = (0..150).map(|n| (format!("{n:03}"), json!({}))).collect();
    let outcomes = ask(&host, &acme, Method::POST, "/many/box", &Value::from(many)).await;
    assert_eq!(outcomes, json!(vec!["ok"; 150]));
    let listed = ask(&host, &acme, Method::GET, "/list/box", &json!(null)).await;
    assert_eq!(listed.as_array().unwrap().len(), 150);
    for n in 1..=3 {
        let tally = ask(&host, &acme, Method::POST, "/tally/box/tally", &json!(null)).await;
        assert_eq!(tally["attributes"], json!({"n": n}));
    }
    let outcomes = ask(
        &host,
        &acme,
        Method::DELETE,
        "/many/box",
        &json!(["000", "001"]),
    )
    .await;
    assert_eq!(outcomes, json!(["ok", "ok"]));
    assert_eq!(
        ask(&host, &acme, Method::GET, "/count/box", &json!(null)).await,
        149
    );
    assert_eq!(
        ask(&host, &globex, Method::GET, "/count/box", &json!(null)).await,
        0
    );
    assert_eq!(
        host.metric("hearth_documents_items_total", &["written"])
            .await,
        153.0
    );
}

/// A host on a private DynamoDB of the test's, behind a proxy.
struct Behind {
    host: Host,
    key: String,
    _parts: (Proxy, Private),
}

async fn behind<F>(decide: impl Fn(Arc<Request>) -> F + Send + Sync + 'static) -> Behind
where
    F: Future<Output = Fate> + Send + 'static,
{
    let private = Private::start().await;
    let proxy = Proxy::start(private.url(), decide).await;
    let section = format!(
        "[dynamodb]\nendpoint_url = {:?}\ncreate_tables = true",
        proxy.url
    );
    let setup = setup()
        .config(&section)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let host = tokio::task::spawn_blocking(|| setup.start()).await.unwrap();
    let key = host.key("acme", &[]);
    Behind {
        host,
        key,
        _parts: (proxy, private),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_one_put_each_are_merged_over_all_instances() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let open = Arc::new(watch::channel(false).0);
    let (seen, held) = (calls.clone(), open.clone());
    let behind = behind(move |request| {
        let is_first = request.is_batch() && {
            let mut calls = seen.lock().unwrap();
            calls.push(request.writes());
            calls.len() == 1
        };
        let mut open = held.subscribe();
        async move {
            if is_first {
                open.wait_for(|open| *open).await.unwrap();
            }
            Fate::Pass
        }
    })
    .await;
    let host = &behind.host;
    let many: serde_json::Map<_, _> = (0..100).map(|n| (format!("{n:03}"), json!({}))).collect();
    open.send_replace(true);
    let outcomes = ask(
        host,
        &behind.key,
        Method::POST,
        "/many/box",
        &Value::from(many),
    )
    .await;
    assert_eq!(outcomes, json!(vec!["ok"; 100]));
    assert_eq!(
        calls.lock().unwrap().as_slice(),
        [25; 4],
        "one request of 100"
    );
    open.send_replace(false);
    calls.lock().unwrap().clear();
    let puts: Vec<_> = (0..100)
        .map(|n| {
            let path = format!("/documents/items/single/{n}");
            let put = host
                .request(Method::PUT, &path, &behind.key)
                .json(&json!({"n": n}));
            tokio::spawn(put.send())
        })
        .collect();
    until(async || {
        let waiting = host.metric("hearth_documents_waiting", &[]).await;
        waiting
            + host
                .metric("hearth_documents_items_total", &["written"])
                .await
            == 200.0
    })
    .await;
    open.send_replace(true);
    for put in puts {
        assert_eq!(put.await.unwrap().unwrap().status(), StatusCode::NO_CONTENT);
    }
    let calls = calls.lock().unwrap();
    assert_eq!(calls.iter().sum::<usize>(), 100);
    assert!(calls.len() <= 8, "100 requests of one: {calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_away_is_503_and_the_host_recovers_by_itself() {
    let away = Arc::new(watch::channel(false).0);
    let is_away = away.clone();
    let behind = behind(move |_| {
        let fate = if *is_away.borrow() {
            Fate::Cut
        } else {
            Fate::Pass
        };
        async move { fate }
    })
    .await;
    let (host, key) = (&behind.host, &behind.key);
    ask(host, key, Method::PUT, "/items/p/s", &json!({"n": 1})).await;
    away.send_replace(true);
    let got = host.get("/documents/items/p/s", key).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.headers().contains_key("retry-after"));
    away.send_replace(false);
    let got = ask(host, key, Method::GET, "/items/p/s", &json!(null)).await;
    assert_eq!(got["attributes"], json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_started_while_dynamodb_was_away_makes_its_tables_when_it_is_back() {
    let away = Arc::new(watch::channel(true).0);
    let is_away = away.clone();
    let behind = behind(move |_| {
        let fate = if *is_away.borrow() {
            Fate::Cut
        } else {
            Fate::Pass
        };
        async move { fate }
    })
    .await;
    let (host, key) = (&behind.host, &behind.key);
    let get = async || {
        let got = host.get("/documents/items/p/s", key).send().await;
        got.unwrap().status()
    };
    assert_eq!(get().await, StatusCode::SERVICE_UNAVAILABLE);
    away.send_replace(false);
    until(async || get().await == StatusCode::OK).await;
}

/// What one worker was told is there: sort keys with their numbers.
type Acknowledged = BTreeMap<String, u64>;

/// Puts new items and one of always the same key, until the host is gone.
fn work(
    host: &Host,
    key: &str,
    (worker, round): (usize, usize),
    told: &Arc<AtomicUsize>,
) -> JoinHandle<Acknowledged> {
    let told = told.clone();
    let url = format!("{}/documents/many/round-{round}", host.url);
    let request = host.client.post(url).header("x-api-key", key);
    tokio::spawn(async move {
        let mut acknowledged = Acknowledged::new();
        for n in 0.. {
            let mut items = serde_json::Map::new();
            for place in 0..n % 40 {
                items.insert(format!("w{worker}-{n}-{place}"), json!({"n": n}));
            }
            items.insert(format!("w{worker}"), json!({"n": n}));
            let sorts: Vec<String> = items.keys().cloned().collect();
            let sent = request.try_clone().unwrap().json(&items).send().await;
            let Ok(answer) = sent else {
                return acknowledged;
            };
            let Ok(outcomes) = answer.json::<Vec<String>>().await else {
                return acknowledged;
            };
            let pairs = sorts.into_iter().zip(outcomes);
            let taken = pairs.filter(|(_, outcome)| outcome == "ok");
            acknowledged.extend(taken.map(|(sort, _)| (sort, n)));
            told.fetch_add(1, Relaxed);
        }
        unreachable!()
    })
}

/// What is there of a round.
async fn there(host: &Host, key: &str, round: usize) -> Acknowledged {
    let path = format!("/list/round-{round}");
    let listed = ask(host, key, Method::GET, &path, &json!(null)).await;
    let items = listed.as_array().unwrap().iter();
    let number = |item: &Value| {
        let n = item["attributes"]["n"].as_u64().unwrap();
        (item["sort"].as_str().unwrap().to_owned(), n)
    };
    items.map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_during_writes_loses_nothing_that_was_acknowledged() {
    let mut host = setup().start();
    let key = host.key("acme", &[]);
    for round in 0..runs(20, 200) {
        let told = Arc::new(AtomicUsize::new(0));
        let workers = (0..4).map(|worker| work(&host, &key, (worker, round), &told));
        let workers: Vec<_> = workers.collect();
        until(async || told.load(Relaxed) >= 4).await;
        let millis = 50 + u64::from(rand::random::<u8>());
        tokio::time::sleep(Duration::from_millis(millis)).await;
        host.kill();
        let mut acknowledged = Acknowledged::new();
        for worker in workers {
            acknowledged.extend(worker.await.unwrap());
        }
        tokio::task::block_in_place(|| host.restart());
        let there = there(&host, &key, round).await;
        for (sort, n) in &acknowledged {
            let found = there.get(sort.as_str()).copied();
            // A later write of the key may have been taken and its answer lost.
            let is_there =
                found.is_some_and(|found| found == *n || (!sort.contains('-') && found > *n));
            assert!(
                is_there,
                "round {round}: {sort} was acknowledged with {n}, and is {found:?}"
            );
        }
    }
}
