//! Seen, read and archived are three things; what is snoozed comes back; what is
//! deleted does not, and what is old is gone.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, Two, heard, id, text};
use crate::harness::host::runs;
use crate::harness::postgres::until;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// So long after now, by the machine's clock.
fn later(by: Duration) -> String {
    (jiff::Timestamp::now() + by).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seen_read_and_archived_are_three_things_and_can_be_taken_back() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let id = customer.titled("t").await;
    let marks =
        |shown: &Value| ["seen_at", "read_at", "archived_at"].map(|name| shown[name].is_string());
    for (change, expected) in [
        (json!({"seen": true}), [true, false, false]),
        (json!({"read": true}), [true, true, false]),
        (json!({"archived": true}), [true, true, true]),
        (json!({"read": false}), [true, false, true]),
        (
            json!({"archived": false, "seen": false}),
            [false, false, false],
        ),
        (json!({"seen": true, "read": true}), [true, true, false]),
    ] {
        let shown = customer.patch(&id, change.clone()).await;
        assert_eq!(marks(&shown), expected, "{change}");
        let archived = if expected[2] { "&archived=true" } else { "" };
        let listed = customer.list(archived).await;
        assert_eq!(listed, std::slice::from_ref(&shown), "{change}");
        assert_eq!(customer.find(&id).await, shown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_all_is_about_what_there_was_and_what_matches() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    for (title, category) in [("a1", "a"), ("b1", "b"), ("a2", "a")] {
        customer
            .post(json!({"title": title, "category": category}))
            .await;
    }
    customer
        .done(Method::POST, "/read", json!({"category": "a"}))
        .await;
    customer.post(json!({"title": "a3", "category": "a"})).await;
    assert_eq!(customer.titles("&unread=true").await, ["a3", "b1"]);
    assert_eq!(customer.titles("&unread=false").await, ["a2", "a1"]);
    // One of those is taken back, and another mark for all comes after it.
    let first = customer.list("&unread=false").await;
    customer.patch(&id(&first[1]), json!({"read": false})).await;
    assert_eq!(customer.titles("&unread=true").await, ["a3", "b1", "a1"]);
    customer.done(Method::POST, "/read", json!({})).await;
    assert_eq!(customer.unread("").await, 0);
    customer
        .done(Method::POST, "/archive", json!({"category": "b"}))
        .await;
    assert_eq!(customer.titles("").await, ["a3", "a2", "a1"]);
    assert_eq!(customer.titles("&archived=true").await, ["b1"]);
    let seen = customer.list("").await;
    assert!(seen.iter().all(|one| one["seen_at"].is_null()), "{seen:?}");
    customer.done(Method::POST, "/seen", json!({})).await;
    let seen = customer.list("").await;
    assert!(
        seen.iter().all(|one| one["seen_at"].is_string()),
        "{seen:?}"
    );
    customer.titled("new").await;
    assert_eq!(customer.titles("&unread=true").await, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_up_to_one_leaves_what_is_newer() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let ids = customer.titled_all(["a", "b", "c"].map(String::from)).await;
    let marked = customer
        .done(Method::POST, "/read", json!({"upto": ids[1]}))
        .await;
    assert_eq!(
        (&marked["marked"], &marked["upto"]),
        (&json!("read"), &json!(ids[1]))
    );
    assert_eq!(customer.titles("&unread=true").await, ["c"]);
    customer.patch(&ids[0], json!({"read": false})).await;
    assert_eq!(customer.titles("&unread=true").await, ["c", "a"]);
    // An older line says nothing of what a newer one covers, but it is the later word.
    customer
        .done(Method::POST, "/read", json!({"upto": ids[0]}))
        .await;
    assert_eq!(customer.titles("&unread=true").await, ["c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snooze_that_is_taken_back_is_over() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let id = customer.titled("t").await;
    let path = format!("/{id}/snooze");
    customer
        .done(Method::POST, &path, json!({"until": later(HOUR)}))
        .await;
    assert_eq!(customer.unread("").await, 0);
    customer
        .done(Method::POST, &path, json!({"until": later(3 * HOUR)}))
        .await;
    inbox.forward_to(2 * HOUR);
    assert_eq!(customer.unread("").await, 0, "the later snooze holds");
    let shown = customer
        .done(Method::POST, &path, json!({"until": null}))
        .await;
    assert_eq!(shown["snoozed_until"], Value::Null);
    assert_eq!(customer.ids("").await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snoozed_notification_is_away_and_comes_back_and_is_heard_again() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut stream = customer.listen("").await;
    let snoozed = customer.titled("later").await;
    customer.titled("now").await;
    for title in ["later", "now"] {
        assert_eq!(text(&heard(&mut stream).await, "title"), title);
    }
    let path = format!("/{snoozed}/snooze");
    let until = later(HOUR);
    let shown = customer
        .done(Method::POST, &path, json!({"until": until}))
        .await;
    assert_eq!(shown["id"], json!(snoozed));
    assert!(shown["snoozed_until"].is_string(), "{shown}");
    assert_eq!(customer.titles("").await, ["now"]);
    assert_eq!(customer.titles("&snoozed=true").await, ["later"]);
    assert_eq!(customer.unread("").await, 1);
    inbox.forward_to(HOUR - Duration::from_secs(60));
    assert_eq!(customer.titles("").await, ["now"]);
    inbox.forward_to(HOUR + Duration::from_secs(5));
    assert_eq!(
        customer.titles("").await,
        ["now", "later"],
        "it lies where it lay"
    );
    assert_eq!(customer.unread("").await, 2);
    let again = heard(&mut stream).await;
    assert_eq!(again, customer.find(&snoozed).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_notification_is_gone_from_everywhere() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let ids = customer.titled_all(["a", "b"].map(String::from)).await;
    let path = format!("/{}", ids[0]);
    let (status, _) = customer.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(customer.ids("").await, ids[1..]);
    assert_eq!(customer.unread("").await, 1);
    assert_eq!(customer.list("&archived=true").await, [] as [Value; 0]);
    for (method, path, body) in [
        (Method::GET, path.clone(), Value::Null),
        (Method::PATCH, path.clone(), json!({"read": true})),
        (Method::DELETE, path.clone(), Value::Null),
        (
            Method::POST,
            format!("{path}/snooze"),
            json!({"until": later(HOUR)}),
        ),
    ] {
        let (status, _) = customer.ask(method.clone(), &path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_are_gone_when_the_time_of_their_category_is_over() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer("", json!({"categories": {"brief": {"retention_days": 1}}}))
        .await;
    let brief = customer
        .post(json!({"title": "brief", "category": "brief"}))
        .await;
    customer.titled("long").await;
    customer.patch(&id(&brief), json!({"read": true})).await;
    inbox.forward_to(DAY - HOUR);
    assert_eq!(customer.titles("").await, ["long", "brief"]);
    inbox.forward_to(DAY + HOUR);
    assert_eq!(customer.titles("").await, ["long"]);
    assert_eq!(customer.unread("").await, 1);
    let path = format!("/{}", id(&brief));
    let (status, _) = customer
        .ask(Method::PATCH, &path, json!({"read": false}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    inbox.forward_to(91 * DAY);
    assert_eq!(customer.list("").await, [] as [Value; 0]);
    customer.titled("new").await;
    assert_eq!(customer.titles("").await, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_says_how_long_notifications_are_kept() {
    let file = crate::harness::host::plugin("notifications");
    let grants = crate::harness::setup::NOTIFICATIONS_GRANTS;
    let more = "[plugins.notifications.config]\nretention_days = \"2\"";
    let setup = crate::harness::host::Setup::new();
    let inbox = Inbox::start_on(setup.plugin("notifications", &file, &grants, more));
    let customer = inbox.customer();
    let mut stream = customer.listen("").await;
    customer.titled("t").await;
    assert_eq!(text(&heard(&mut stream).await, "title"), "t");
    inbox.forward_to(DAY + HOUR);
    assert_eq!(customer.unread("").await, 1);
    inbox.forward_to(2 * DAY + HOUR);
    assert_eq!(customer.unread("").await, 0);
}

/// Asks until the others let it: `busy` is no refusal.
async fn insist(customer: &Customer<'_>, method: Method, path: &str, body: Value) {
    until(async || {
        let (status, told) = customer.ask(method.clone(), path, body.clone()).await;
        assert!(
            status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE,
            "{path}: {status} {told}"
        );
        status.is_success()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_say_at_once_holds_of_each() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let all: Vec<Value> = (0..60)
        .map(|number| json!({"title": "t", "category": format!("c{}", number % 6)}))
        .collect();
    let results = customer.many(&all).await;
    let ids: Vec<String> = results.iter().map(id).collect();
    for round in 0..runs(3, 50) {
        customer.done(Method::POST, "/read", json!({})).await;
        // The first 20 are taken back, one by one, while categories are marked anew as
        // seen, and the others as archived or not.
        let paths: Vec<String> = ids.iter().map(|id| format!("/{id}")).collect();
        let unread = paths[..20]
            .iter()
            .map(|path| insist(&customer, Method::PATCH, path, json!({"read": false})));
        let archived = paths[20..40].iter().map(|path| {
            insist(
                &customer,
                Method::PATCH,
                path,
                json!({"archived": round % 2 == 0}),
            )
        });
        let categories: Vec<Value> = (0..6)
            .map(|n| json!({"category": format!("c{n}")}))
            .collect();
        let seen = categories
            .iter()
            .map(|body| insist(&customer, Method::POST, "/seen", body.clone()));
        tokio::join!(join_all(unread), join_all(archived), join_all(seen));
        let archived = customer.list("&archived=true").await;
        let mut there = customer.list("").await;
        assert_eq!(archived.len(), if round % 2 == 0 { 20 } else { 0 });
        there.extend(archived);
        assert_eq!(there.len(), 60);
        for one in there {
            let place = ids.iter().position(|known| *known == id(&one)).unwrap();
            assert_eq!(
                one["read_at"].is_null(),
                place < 20,
                "{place} in round {round}"
            );
            assert!(one["seen_at"].is_string());
        }
        assert_eq!(customer.unread("").await, 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_all_leaves_what_is_posted_after_its_answer_and_takes_what_was_before() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let [one, other] = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    for _ in 0..runs(20, 500) {
        let before = [one.titled("before").await, other.titled("before").await];
        one.done(Method::POST, "/read", json!({})).await;
        let after = [one.titled("after").await, other.titled("after").await];
        let unread = other.ids("&unread=true").await;
        assert!(before.iter().all(|id| !unread.contains(id)));
        assert!(after.iter().all(|id| unread.contains(id)));
    }
}
