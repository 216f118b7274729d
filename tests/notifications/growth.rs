//! What lists and counts read does not grow with the inbox, counted at a proxy in front of
//! DynamoDB; and what is noted to that end hides nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Behind, Customer, Inbox, behind, event, id};
use crate::harness::dynamodb::{Fate, Read};
use crate::harness::postgres::until;
use crate::webhooks::fixture::waiting;

const HOUR: Duration = Duration::from_secs(3_600);

/// Of which an inbox has few.
const FEW: usize = 40;

/// Fills the inbox of this recipient with so many that were read, seen and done with, and
/// among them few that were not.
async fn fill(customer: &Customer<'_>, recipient: &str, common: usize) {
    let each = common / FEW;
    let one = |category: &str| json!({"title": "t", "category": category, "recipient": recipient});
    let all = (0..FEW).flat_map(|_| {
        let common = vec![one("common"); each];
        std::iter::once(one("rare")).chain(common)
    });
    let all: Vec<Value> = all.collect();
    for some in all.chunks(1_000) {
        let results = customer.many(some).await;
        assert!(results.iter().all(|one| one["status"] == 201));
    }
    for path in ["/read", "/seen"] {
        let path = format!("{path}?recipient={recipient}");
        customer
            .done(Method::POST, &path, json!({"category": "common"}))
            .await;
    }
}

/// What a request costs once others like it were made before.
async fn cost(behind: &Behind, path: &str) -> (usize, Read) {
    let customer = behind.inbox.customer();
    for _ in 0..4 {
        customer.get(path).await;
    }
    behind.seen.clear();
    customer.get(path).await;
    behind.seen.read()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_counts_read_the_same_of_100_and_of_thousands() {
    let behind = behind(|_| async { Fate::Pass }).await;
    let customer = behind.inbox.customer();
    fill(&customer, "small", 60).await;
    fill(&customer, "large", 6_000).await;
    behind.inbox.forward_to(HOUR);
    for path in [
        "/count?",
        "/count?max=9&",
        "/count?category=rare&",
        "/count?category=common&",
        "?",
        "?limit=10&",
        "?unread=true&limit=20&",
        "?unread=false&limit=20&",
        "?archived=true&",
        "?snoozed=true&",
        "?category=rare&limit=20&",
        "?category=common&limit=20&",
        "?category=none&",
    ] {
        let (_, small) = cost(&behind, &format!("{path}recipient=small")).await;
        let (requests, large) = cost(&behind, &format!("{path}recipient=large")).await;
        assert!(requests <= 15, "{path}: {requests} requests");
        assert!(
            large.items <= small.items + 300,
            "{path}: {large:?}, and {small:?}"
        );
        assert!(
            large.bytes <= small.bytes + 120_000,
            "{path}: {large:?}, and {small:?}"
        );
    }
    let counts = customer.get("/count?recipient=large").await;
    let exact = json!({"count": FEW, "exact": true});
    assert_eq!(counts, json!({"unread": exact, "unseen": exact}));
    assert_eq!(
        customer.list("&recipient=large&unread=true").await.len(),
        FEW
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_reads_no_more_than_it_was_asked_to_count() {
    let behind = behind(|_| async { Fate::Pass }).await;
    let customer = behind.inbox.customer();
    for _ in 0..3 {
        customer.titled_all((0..1_000).map(|n| n.to_string())).await;
    }
    for (path, count, items) in [
        ("/count?max=9", 9, 22),
        ("/count?max=99", 99, 202),
        ("/count", 1_000, 2_004),
    ] {
        behind.seen.clear();
        let told = customer.get(path).await;
        let more = json!({"count": count, "exact": false});
        assert_eq!(told, json!({"unread": more, "unseen": more}));
        let (_, read) = behind.seen.read();
        assert!(read.items <= items, "{path}: {read:?}");
    }
    for wrong in ["/count?max=0", "/count?max=1001", "/count?max=x"] {
        let (status, _) = customer.ask(Method::GET, wrong, Value::Null).await;
        assert_eq!(status, 400, "{wrong}");
    }
}

/// An inbox of which it is noted where the few lie that are unread.
async fn noted(inbox: &Inbox) -> Vec<String> {
    let customer = inbox.customer();
    let ids = customer.titled_all((0..60).map(|n| n.to_string())).await;
    customer.done(Method::POST, "/read", json!({})).await;
    customer.patch(&ids[3], json!({"read": false})).await;
    inbox.forward_to(HOUR);
    for _ in 0..2 {
        assert_eq!(customer.ids("&unread=true").await, ids[3..4]);
        assert_eq!(customer.unread("").await, 1);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mark_that_is_taken_back_is_found_where_there_was_nothing_before() {
    let inbox = Inbox::start_thrifty();
    let (ids, customer) = (noted(&inbox).await, inbox.customer());
    customer.patch(&ids[30], json!({"read": false})).await;
    assert_eq!(
        customer.ids("&unread=true").await,
        [&ids[30], &ids[3]].map(Clone::clone)
    );
    assert_eq!(customer.unread("").await, 2);
    customer.patch(&ids[30], json!({"archived": true})).await;
    assert_eq!(customer.unread("").await, 1);
    customer.patch(&ids[30], json!({"archived": false})).await;
    assert_eq!(customer.unread("").await, 2);
    customer.patch(&ids[3], json!({"read": true})).await;
    assert_eq!(customer.ids("&unread=true").await, ids[30..31]);
    customer.done(Method::POST, "/read", json!({})).await;
    assert_eq!(customer.unread("").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_comes_hours_late_is_found_where_there_was_nothing_before() {
    let inbox = Inbox::start_thrifty();
    let (ids, customer) = (noted(&inbox).await, inbox.customer());
    for category in ["late", "none"] {
        let none = [] as [Value; 0];
        assert_eq!(customer.list(&format!("&category={category}")).await, none);
    }
    let mut late = event(1, "late.told", json!({}));
    late["occurred_at"] = json!(jiff::Timestamp::now().to_string());
    customer.tell(&late).await;
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    let listed = customer.list("&category=late").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let late = id(&listed[0]);
    assert!(ids[3] < late);
    assert_eq!(
        customer.ids("&unread=true").await,
        [&late, &ids[3]].map(Clone::clone)
    );
    assert_eq!(customer.unread("").await, 2);
}
