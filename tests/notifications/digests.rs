//! Many of a kind become one, once the time of their window is over.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, behind, digest_of_an_hour, event, heard, id, text};
use crate::harness::dynamodb::Fate;
use crate::harness::host::runs;
use crate::harness::postgres::until;
use crate::webhooks::fixture::waiting;

const HOUR: Duration = Duration::from_secs(3_600);

/// Posts one to be gathered; answers what is told.
async fn gathered(customer: &Customer<'_>, key: Value) -> Value {
    let body = json!({"title": "t", "category": "build", "digest_key": key});
    let (status, told) = customer.ask(Method::POST, "", body).await;
    assert_eq!(
        (status.as_u16(), &told["outcome"]),
        (202, &json!("gathered")),
        "{told}"
    );
    told
}

/// How many each digest stands for, by its key; and which are none.
fn digests(listed: &[Value]) -> Vec<(Value, Value)> {
    let mut all: Vec<_> = listed
        .iter()
        .map(|one| (one["digest"]["key"].clone(), one["digest"]["count"].clone()))
        .collect();
    all.sort_by_key(|one| format!("{one:?}"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_of_one_key_become_one_at_the_end_of_their_window() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer.prefer("", digest_of_an_hour()).await;
    let mut stream = customer.listen("").await;
    let mut due = Vec::new();
    for key in [json!("x"), json!("y"), json!("x"), Value::Null, json!("x")] {
        let told = gathered(&customer, key.clone()).await;
        assert_eq!(told["digest"]["key"], key);
        due.push((key, text(&told["digest"], "due_at")));
    }
    assert_eq!((&due[0], &due[0]), (&due[2], &due[4]), "one window");
    assert_eq!(customer.list("").await, [] as [Value; 0]);
    let critical =
        json!({"title": "critical", "category": "build", "critical": true, "digest_key": "x"});
    customer.post(critical).await;
    assert_eq!(text(&heard(&mut stream).await, "title"), "critical");
    inbox.forward_to(HOUR + Duration::from_secs(30));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(heard(&mut stream).await);
    }
    told.sort_by_key(|one| std::cmp::Reverse(id(one)));
    let mut listed = customer.list("").await;
    listed.retain(|one| one["title"] != "critical");
    assert_eq!(listed, told);
    let of_x = listed
        .iter()
        .find(|one| one["digest"]["key"] == "x")
        .unwrap();
    assert_eq!(
        (&of_x["digest"]["count"], &of_x["category"]),
        (&json!(3), &json!("build"))
    );
    let (from, to) = (text(&of_x["digest"], "from"), text(&of_x["digest"], "to"));
    assert!(from < to, "{from} {to}");
    // The next window is another.
    let mut due = Vec::new();
    for _ in 0..2 {
        let told = gathered(&customer, json!("x")).await;
        due.push(text(&told["digest"], "due_at"));
    }
    assert_eq!(due[0], due[1], "one window");
    inbox.forward_to(2 * HOUR + Duration::from_secs(90));
    // A clock that jumps may have the first ones told again.
    let known = |one: &Value| told.iter().any(|told| told["id"] == one["id"]);
    let mut next = heard(&mut stream).await;
    while known(&next) {
        next = heard(&mut stream).await;
    }
    assert_eq!(
        (&next["digest"]["key"], &next["digest"]["count"]),
        (&json!("x"), &json!(2))
    );
}

/// What says when a window ends may say so of the next one by the time the first closes:
/// deleting it then would split the next one in two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_a_window_leaves_alone_what_the_next_one_is_opened_by() {
    let behind = behind(|_| async { Fate::Pass }).await;
    let customer = behind.inbox.customer();
    customer.prefer("", digest_of_an_hour()).await;
    gathered(&customer, json!("x")).await;
    let of_windows = || {
        let mut written = behind.seen.written();
        written.retain(|sort| sort.starts_with("window/"));
        written.len()
    };
    assert_eq!(of_windows(), 2, "one opens it, one has it expire");
    behind.inbox.forward_to(HOUR + Duration::from_secs(30));
    until(async || !customer.list("").await.is_empty()).await;
    let host = &behind.inbox.host;
    until(async || waiting(host, "notification-digests").await == 0).await;
    assert_eq!(of_windows(), 2, "{:?}", behind.seen.written());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_gathered_once_each_though_told_twice() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer(
            "",
            json!({"categories": {"ticket": {"digest_seconds": 3600}}}),
        )
        .await;
    let mut stream = customer.listen("").await;
    for number in 0..5 {
        let told = event(number, "ticket.updated", json!({"ticket": {"id": "tkt_1"}}));
        customer.tell(&told).await;
        customer.tell(&told).await;
    }
    customer.tell(&event(9, "other.last", json!({}))).await;
    assert_eq!(heard(&mut stream).await["event"]["type"], "other.last");
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    inbox.forward_to(HOUR + Duration::from_secs(30));
    let mut count = 0;
    while count < 5 {
        count += heard(&mut stream).await["digest"]["count"]
            .as_u64()
            .unwrap_or(1);
    }
    let listed = customer.list("&category=ticket").await;
    let counts = listed
        .iter()
        .map(|one| one["digest"]["count"].as_u64().unwrap_or(1));
    assert_eq!(counts.sum::<u64>(), 5, "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_are_of_one_recipient_each() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer("", json!({"categories": {"build": {"digest_seconds": 60}}}))
        .await;
    let new = |recipient: &str| json!({"title": "t", "category": "build", "recipient": recipient});
    let results = customer
        .many(&[new("ada"), new("bob"), new("ada"), new("bob"), new("bob")])
        .await;
    assert!(
        results.iter().all(|one| one["status"] == 202),
        "{results:?}"
    );
    inbox.forward_to(Duration::from_secs(90));
    for (recipient, count) in [("ada", 2), ("bob", 3)] {
        let query = format!("&recipient={recipient}");
        until(async || !customer.list(&query).await.is_empty()).await;
        let listed = customer.list(&query).await;
        assert_eq!(digests(&listed), [(Value::Null, json!(count))]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digest_comes_although_the_host_was_killed_meanwhile() {
    let mut inbox = Inbox::start();
    inbox
        .customer()
        .prefer("", json!({"categories": {"build": {"digest_seconds": 60}}}))
        .await;
    for _ in 0..4 {
        gathered(&inbox.customer(), json!("x")).await;
    }
    inbox.host.kill();
    tokio::task::block_in_place(|| inbox.host.restart());
    gathered(&inbox.customer(), json!("x")).await;
    inbox.forward_to(Duration::from_secs(90));
    let customer = inbox.customer();
    until(async || !customer.list("").await.is_empty()).await;
    assert_eq!(digests(&customer.list("").await), [(json!("x"), json!(5))]);
    let path = format!("/{}", customer.ids("").await[0]);
    customer.done(Method::DELETE, &path, Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digest_is_one_although_the_host_is_killed_while_it_is_made() {
    let mut inbox = Inbox::start();
    let categories = json!({"categories": {"build": {"digest_seconds": 60}}});
    inbox.customer().prefer("", categories).await;
    for round in 1..=runs(6, 60) {
        for _ in 0..5 {
            gathered(&inbox.customer(), json!(format!("round {round}"))).await;
        }
        // Minutes lie between the rounds, so that what a killed host held is free again.
        let begin = Duration::from_secs(600 * round as u64);
        inbox.forward_to(begin + Duration::from_secs(70));
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..120))).await;
        inbox.host.kill();
        tokio::task::block_in_place(|| inbox.host.restart());
        let mut waited = 100;
        until(async || {
            waited += 1;
            inbox.forward_to(begin + Duration::from_secs(waited));
            inbox.customer().list("").await.len() >= round
        })
        .await;
    }
    let mut expected: Vec<_> = (1..=runs(6, 60))
        .map(|round| (json!(format!("round {round}")), json!(5)))
        .collect();
    expected.sort_by_key(|one| format!("{one:?}"));
    assert_eq!(digests(&inbox.customer().list("").await), expected);
}

/// Gathers so many requests of so many notifications each, with so many bytes of data,
/// and sees that one digest comes, at the first attempt.
async fn digest_of(requests: u64, each: u64, bytes: usize) {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let categories = json!({"categories": {"build": {"digest_seconds": 86_400}}});
    customer.prefer("", categories).await;
    let data = json!({"text": "x".repeat(bytes)});
    let one = json!({"title": "t", "category": "build", "data": data});
    for _ in 0..requests {
        let results = customer.many(&vec![one.clone(); each as usize]).await;
        assert!(results.iter().all(|one| one["status"] == 202));
    }
    inbox.forward_to(24 * HOUR + Duration::from_secs(90));
    until(async || !customer.list("").await.is_empty()).await;
    let listed = customer.list("").await;
    // The plugin counts no further.
    let count = json!((requests * each).min(10_000));
    assert_eq!(digests(&listed), [(Value::Null, count)]);
    let trapped = inbox.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", inbox.host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digest_of_thousands_is_one() {
    digest_of(runs(6, 12) as u64, 1_000, 900).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digest_of_many_large_ones_is_one() {
    digest_of(40, 40, 19_900).await;
}
