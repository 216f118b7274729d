//! Who listens hears of what comes, on every host, and misses nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, Two, heard, id, text};
use crate::harness::host::runs;
use crate::harness::postgres::until;
use crate::push::ends::key_ids;
use crate::push::events::Next;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_posted_is_heard_on_both_hosts_as_it_is_listed() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let customers = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    let mut streams = [customers[0].listen("").await, customers[1].listen("").await];
    let one = json!({"title": "one", "body": "b\nc", "data": {"n": 1.5}, "category": "news"});
    customers[0].post(one).await;
    customers[1]
        .titled_all((0..30).map(|n| format!("number {n}")))
        .await;
    let mut listed = customers[1].list("").await;
    listed.reverse();
    for stream in &mut streams {
        for expected in &listed {
            assert_eq!(heard(stream).await, *expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_notification_is_there_when_its_event_comes() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let [one, other] = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    let mut stream = other.listen("").await;
    for number in 0..runs(20, 500) {
        let title = format!("number {number}");
        let (body, read) = (json!({"title": title}), one.request(Method::POST, ""));
        let posting = tokio::spawn(read.json(&body).send());
        let event = heard(&mut stream).await;
        let newest = other.get("?limit=1").await;
        assert_eq!(newest["notifications"][0], event);
        assert_eq!(
            posting.await.unwrap().unwrap().status(),
            StatusCode::CREATED
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_comes_back_to_another_host_misses_nothing_and_hears_nothing_twice() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let customers = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    let (mut titles, mut last_id) = (Vec::new(), {
        let mut stream = customers[0].listen("").await;
        stream.first_id().await
    });
    for round in 0..runs(10, 200) {
        let ids = customers[round % 2]
            .titled_all((0..7).map(|n| format!("{round}/{n}")))
            .await;
        assert_eq!(ids.len(), 7);
        let request = customers[(round / 2) % 2]
            .listening("")
            .header("last-event-id", &last_id);
        let mut stream = crate::push::events::Events::open(request).await;
        // Some of them only: the rest are for the next time.
        for _ in 0..(if round % 3 == 0 { 3 } else { 7 }) {
            titles.push(text(&heard(&mut stream).await, "title"));
        }
        last_id = stream.last_id.clone();
    }
    let request = customers[0].listening("").header("last-event-id", &last_id);
    let mut stream = crate::push::events::Events::open(request).await;
    customers[1].titled("the end").await;
    while titles.last().is_none_or(|last| last != "the end") {
        titles.push(text(&heard(&mut stream).await, "title"));
    }
    let mut listed = customers[0].titles("").await;
    listed.reverse();
    assert_eq!(titles, listed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_revoked_key_end_on_both_hosts_and_others_go_on() {
    let two = Two::start().await;
    let revoked = two.hosts[0].key("acme", &[]);
    let revoked_id = key_ids(&two.hosts[0], "acme").remove(0);
    let kept = two.hosts[0].key("acme", &[]);
    let (mut over, mut open) = (Vec::new(), Vec::new());
    for host in &two.hosts {
        let (one, other) = (Customer::at(host, &revoked), Customer::at(host, &kept));
        over.push(one.listen("").await);
        open.push(other.listen("").await);
    }
    assert!(
        two.hosts[0]
            .cli(&["keys", "revoke", &revoked_id])
            .status
            .success()
    );
    for stream in &mut over {
        assert_eq!(stream.next().await, Next::Ended);
    }
    let customer = Customer::at(&two.hosts[1], &kept);
    let made = customer.titled("after").await;
    for stream in &mut open {
        assert_eq!(id(&heard(stream).await), made);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_hear_their_own_notifications_alone() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut own = customer.listen("").await;
    let mut ada = customer.listen("?recipient=ada").await;
    let mut bob = customer.listen("?recipient=bob").await;
    for (title, recipient) in [("a", json!("ada")), ("b", json!("bob")), ("c", Value::Null)] {
        let mut body = json!({"title": title});
        if recipient.is_string() {
            body["recipient"] = recipient;
        }
        customer.post(body).await;
    }
    for (stream, title, recipient) in [
        (&mut ada, "a", json!("ada")),
        (&mut bob, "b", json!("bob")),
        (&mut own, "c", Value::Null),
    ] {
        let event = heard(stream).await;
        assert_eq!(
            (text(&event, "title"), &event["recipient"]),
            (title.into(), &recipient)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poller_with_a_cursor_sees_what_a_listener_hears() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut stream = customer.listen("").await;
    customer.titled_all((0..25).map(|n| n.to_string())).await;
    let mut by_stream = Vec::new();
    for _ in 0..25 {
        by_stream.push(id(&heard(&mut stream).await));
    }
    by_stream.reverse();
    let (mut by_pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = customer.get(&format!("?limit=10{cursor}")).await;
        by_pages.extend(page["notifications"].as_array().unwrap().iter().map(id));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(by_pages, by_stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_takes_no_call_while_it_is_open() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(customer.listen("").await);
    }
    let running = ["plugin=\"notifications\""];
    let host = &inbox.host;
    until(async || host.metric("hearth_instances_in_flight", &running).await == 0.0).await;
    let made = customer.titled("for all").await;
    for stream in &mut streams {
        assert_eq!(id(&heard(stream).await), made);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn largest_notification_is_heard_whole() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut stream = customer.listen("").await;
    // Each of these characters is six bytes as JSON; an address may have none of them.
    let odd = |count: usize| "\u{1}".repeat(count);
    let data = json!({"text": "\u{1}".repeat((20_000 - "{\"text\":\"\"}".len()) / 6)});
    let body = json!({"title": odd(255), "body": odd(4_000), "data": data,
        "action_url": format!("/{}", "x".repeat(2_047))});
    let made = customer.post(body).await;
    assert_eq!(heard(&mut stream).await, made);
    assert_eq!(customer.list("").await, [made]);
}
