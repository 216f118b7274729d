//! What requests cost, counted at a proxy in front of DynamoDB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::fixture::{Behind, behind, id};
use crate::harness::dynamodb::Fate;
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// A host whose requests all go through.
async fn counted() -> Behind {
    behind(|_| async { Fate::Pass }).await
}

fn titles(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("number {number}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_of_100_is_4_calls() {
    let behind = counted().await;
    let customer = behind.inbox.customer();
    let ids = customer.titled_all(titles(100)).await;
    assert_eq!(behind.seen.batches(), [25; 4]);
    let mut listed = customer.ids("").await;
    listed.reverse();
    assert_eq!(listed, ids, "in the order of the request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundred_concurrent_requests_of_one_are_at_most_8_calls() {
    let open = Arc::new(watch::channel(true).0);
    let first = Arc::new(AtomicBool::new(true));
    let (held, is_first) = (open.clone(), first.clone());
    let behind = behind(move |request| {
        let is_held = request.is_batch() && is_first.swap(false, Relaxed);
        let mut open = held.subscribe();
        async move {
            if is_held {
                open.wait_for(|open| *open).await.unwrap();
            }
            Fate::Pass
        }
    })
    .await;
    let (customer, host) = (behind.inbox.customer(), &behind.inbox.host);
    // What the plugin reads once, it has read.
    customer.titled("before").await;
    let rounds = runs(2, 20);
    for round in 1..=rounds {
        behind.seen.clear();
        open.send_replace(false);
        first.store(true, Relaxed);
        let posts: Vec<_> = titles(100)
            .map(|title| {
                customer
                    .request(Method::POST, "")
                    .json(&json!({"title": title}))
            })
            .map(|post| tokio::spawn(post.send()))
            .collect();
        // The first call is held until all have arrived.
        let arrived = 1.0 + 100.0 * round as f64;
        until(async || {
            let waiting = host.metric("hearth_documents_waiting", &[]).await;
            let written = host.metric("hearth_documents_items_total", &["written"]);
            waiting + written.await == arrived
        })
        .await;
        open.send_replace(true);
        for post in posts {
            assert_eq!(post.await.unwrap().unwrap().status(), StatusCode::CREATED);
        }
        let batches = behind.seen.batches();
        assert_eq!(batches.iter().sum::<usize>(), 100, "{batches:?}");
        assert!(batches.len() <= 8, "{batches:?}");
    }
    assert_eq!(customer.ids("").await.len(), 1 + 100 * rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_listing_count_and_look_up_is_one_query() {
    let behind = counted().await;
    let customer = behind.inbox.customer();
    let ids = customer.titled_all(titles(60)).await;
    for id in &ids[..20] {
        customer.patch(id, json!({"read": true})).await;
    }
    let one = format!("/{}", ids[30]);
    for path in [
        "?limit=50",
        "?unread=true&limit=20",
        "?archived=true",
        "/count",
        &one,
    ] {
        behind.seen.clear();
        customer.get(path).await;
        assert_eq!(
            behind.seen.count("Query"),
            1,
            "{path}: {:?}",
            behind.seen.operations()
        );
        assert_eq!(behind.seen.count("Scan"), 0);
    }
}

/// The operations that change something.
fn writes(behind: &Behind) -> Vec<String> {
    let reads = ["GetItem", "Query", "BatchGetItem", "DescribeTable"];
    let mut all = behind.seen.operations();
    all.retain(|operation| !reads.contains(&operation.as_str()));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_all_is_one_write_however_many_there_are() {
    let behind = counted().await;
    let customer = behind.inbox.customer();
    customer.titled_all(titles(200)).await;
    for (path, field) in [
        ("/seen", "seen_at"),
        ("/read", "read_at"),
        ("/archive", "archived_at"),
    ] {
        behind.seen.clear();
        customer.done(Method::POST, path, json!({})).await;
        assert_eq!(writes(&behind), ["UpdateItem"], "{path}");
        let archived = field == "archived_at";
        let listed = customer.list(&format!("&archived={archived}")).await;
        assert_eq!(listed.len(), 200);
        assert!(listed.iter().all(|one| one[field].is_string()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_one_leaves_the_notification_itself_alone() {
    let behind = counted().await;
    let customer = behind.inbox.customer();
    let id = customer.titled("immutable").await;
    behind.seen.clear();
    customer
        .patch(&id, json!({"read": true, "seen": true}))
        .await;
    customer.patch(&id, json!({"read": false})).await;
    let seen = behind.seen.written();
    assert!(
        !seen.is_empty() && seen.iter().all(|sort| *sort != id),
        "{seen:?}"
    );
    let shown = customer.find(&id).await;
    assert!(
        shown["seen_at"].is_string() && shown["read_at"].is_null(),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_that_leaves_items_undone_or_throttles_loses_nothing() {
    let behind = behind(|request| async move {
        match (request.is_batch(), rand::random_range(0..4)) {
            (true, 0) => Fate::Throttle,
            (true, 1) => Fate::Unprocessed((0..request.writes()).step_by(2).collect()),
            _ => Fate::Pass,
        }
    })
    .await;
    let customer = behind.inbox.customer();
    let mut taken = Vec::new();
    for _ in 0..runs(10, 100) {
        let all: Vec<Value> = titles(40).map(|title| json!({"title": title})).collect();
        for result in customer.many(&all).await {
            match result["status"].as_u64() {
                Some(201) => taken.push(id(&result)),
                Some(503 | 504) => {}
                _ => panic!("{result}"),
            }
        }
    }
    let listed = customer.ids("").await;
    let lost: Vec<_> = taken.iter().filter(|id| !listed.contains(id)).collect();
    assert!(lost.is_empty() && !taken.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_away_is_503_and_what_was_refused_is_not_claimed() {
    let away = Arc::new(watch::channel(false).0);
    let is_away = away.clone();
    let behind = behind(move |_| {
        let fate = match *is_away.borrow() {
            true => Fate::Cut,
            false => Fate::Pass,
        };
        async move { fate }
    })
    .await;
    let customer = behind.inbox.customer();
    let kept = customer.titled("kept").await;
    away.send_replace(true);
    for (method, path, body) in [
        (Method::POST, String::new(), json!({"title": "refused"})),
        (Method::GET, String::new(), Value::Null),
        (Method::GET, "/count".into(), Value::Null),
        (Method::PATCH, format!("/{kept}"), json!({"read": true})),
        (Method::POST, "/read".into(), json!({})),
    ] {
        let (status, told) = customer.ask(method, &path, body).await;
        let refusals = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        assert!(refusals.contains(&status), "{path}: {status} {told}");
    }
    away.send_replace(false);
    until(async || {
        let (status, _) = customer.ask(Method::GET, "", Value::Null).await;
        status == StatusCode::OK
    })
    .await;
    let titles = customer.titles("").await;
    assert!(titles.contains(&"kept".to_string()), "{titles:?}");
    assert_eq!(customer.find(&kept).await["title"], "kept");
    customer.titled("after").await;
}
