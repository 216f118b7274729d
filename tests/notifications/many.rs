//! Up to 1,000 notifications in one request, to one recipient or to many.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, behind, digest_of_an_hour, id, text};
use crate::harness::dynamodb::Fate;
use crate::webhooks::fixture::waiting;

/// One for each of so many recipients.
fn each(count: usize, more: &Value) -> Vec<Value> {
    let one = |number: usize| {
        let mut one =
            json!({"title": "Maintenance tonight", "recipient": format!("user:{number}")});
        let more = more.as_object().unwrap().clone();
        one.as_object_mut().unwrap().extend(more);
        one
    };
    (0..count).map(one).collect()
}

/// A few of those recipients have what they were told.
async fn arrived(customer: &Customer<'_>, results: &[Value]) {
    for number in [0, 1, 499, 999] {
        let listed = customer.ids(&format!("&recipient=user:{number}")).await;
        assert_eq!(listed, [id(&results[number])]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_recipients_get_theirs_with_a_result_each() {
    let behind = behind(|_| async { Fate::Pass }).await;
    let customer = behind.inbox.customer();
    behind.seen.clear();
    let results = customer.many(&each(1_000, &json!({}))).await;
    assert_eq!(results.len(), 1_000);
    for (place, result) in results.iter().enumerate() {
        assert_eq!(
            (&result["index"], &result["status"]),
            (&json!(place), &json!(201))
        );
    }
    let ids: BTreeSet<String> = results.iter().map(id).collect();
    assert_eq!(ids.len(), 1_000);
    assert_eq!(behind.seen.batches(), [25; 40]);
    assert_eq!(behind.seen.count("BatchGetItem"), 10, "all preferences");
    assert!(behind.seen.count("GetItem") <= 1, "the customer's");
    arrived(&customer, &results).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_recipients_wait_for_the_end_of_their_quiet_hours() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let clock = |hours: i64| {
        (&now + jiff::Span::new().hours(hours))
            .strftime("%H:%M")
            .to_string()
    };
    let quiet = json!({"time_zone": "UTC", "start": clock(-1), "end": clock(2)});
    customer.prefer("", json!({"quiet_hours": quiet})).await;
    let results = customer.many(&each(1_000, &json!({}))).await;
    assert!(results.iter().all(|one| one["status"] == 201));
    arrived(&customer, &results).await;
    assert_eq!(waiting(&inbox.host, "notification-digests").await, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_recipients_wait_for_a_digest_each() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer.prefer("", digest_of_an_hour()).await;
    let all = each(1_000, &json!({"category": "build"}));
    for _ in 0..2 {
        let results = customer.many(&all).await;
        assert!(
            results.iter().all(|one| one["status"] == 202),
            "{:?}",
            results[0]
        );
    }
    // The second ones join the windows of the first.
    assert_eq!(waiting(&inbox.host, "notification-digests").await, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_of_the_longest_bodies_fit_into_one_request() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let results = customer
        .many(&each(1_000, &json!({"body": "b".repeat(4_000)})))
        .await;
    assert!(results.iter().all(|one| one["status"] == 201));
    arrived(&customer, &results).await;
    let found = customer.list("&recipient=user:999").await;
    assert_eq!(text(&found[0], "body").len(), 4_000);
    // More than 4 MiB are refused as a whole.
    let data = json!({"text": "x".repeat(19_000)});
    let all = json!({"notifications": each(300, &json!({"data": data}))});
    let (status, _) = customer.ask(Method::POST, "", all).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}
