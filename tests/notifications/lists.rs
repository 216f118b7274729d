//! Lists by cursor and filter, and counts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, id, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_reads_back_as_it_was_made() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let body = json!({
        "title": "Invoice 7 is due", "body": "Pay \u{20ac} 12.50\nby Friday.", "category": "billing",
        "action_url": "https://example.com/invoices/7",
        "data": {"amount": 12.50, "exact": 12345678901234567890_u64, "deep": [{"a": [null, true]}]},
    });
    let answer = customer
        .request(Method::POST, "")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let location = answer.headers()["location"].to_str().unwrap().to_string();
    let made: Value = answer.json().await.unwrap();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    for mark in [
        "seen_at",
        "read_at",
        "archived_at",
        "snoozed_until",
        "recipient",
    ] {
        assert_eq!(made[mark], Value::Null, "{mark}");
    }
    assert_eq!(location, format!("/notifications/{}", id(&made)));
    assert_eq!(customer.find(&id(&made)).await, made);
    assert_eq!(customer.list("").await, [made]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_by_cursor_hold_everything_once_while_more_comes() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut expected = customer.titled_all((0..57).map(|n| n.to_string())).await;
    expected.reverse();
    for limit in [1, 7, 19, 57, 100] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = customer.get(&format!("?limit={limit}{cursor}")).await;
            let ids: Vec<_> = page["notifications"]
                .as_array()
                .unwrap()
                .iter()
                .map(id)
                .collect();
            let next = page["next_cursor"].as_str();
            assert_eq!(page["has_more"], next.is_some());
            assert!(
                ids.len() == limit || next.is_none(),
                "a page in between is full"
            );
            all.extend(ids);
            let Some(next) = next else { break };
            cursor = format!("&cursor={next}");
            if limit > 1 {
                // What is newer than the first page is none of the others' business.
                customer.titled("newer").await;
            }
        }
        let all: Vec<_> = all.into_iter().filter(|id| expected.contains(id)).collect();
        assert_eq!(all, expected, "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_hold_alone_and_together() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut ids = Vec::new();
    for (title, category) in [
        ("a1", "a"),
        ("b1", "b"),
        ("a2", "a"),
        ("b2", "b"),
        ("a3", "a"),
        ("b3", "b"),
    ] {
        let made = customer
            .post(json!({"title": title, "category": category}))
            .await;
        ids.push(id(&made));
    }
    for (number, change) in [
        (0, json!({"read": true})),
        (1, json!({"read": true, "archived": true})),
        (2, json!({"archived": true})),
    ] {
        customer.patch(&ids[number], change).await;
    }
    for (query, expected) in [
        ("", vec!["b3", "a3", "b2", "a1"]),
        ("&archived=false", vec!["b3", "a3", "b2", "a1"]),
        ("&archived=true", vec!["a2", "b1"]),
        ("&unread=true", vec!["b3", "a3", "b2"]),
        ("&unread=false", vec!["a1"]),
        ("&unread=true&archived=true", vec!["a2"]),
        ("&unread=false&archived=true", vec!["b1"]),
        ("&category=a", vec!["a3", "a1"]),
        ("&category=a&unread=true", vec!["a3"]),
        ("&category=b&archived=true&unread=false", vec!["b1"]),
        ("&category=none", vec![]),
    ] {
        assert_eq!(customer.titles(query).await, expected, "{query}");
    }
    assert_eq!(
        (
            customer.unread("").await,
            customer.unread("category=a").await
        ),
        (3, 1)
    );
    let counts = customer.get("/count?category=b").await;
    assert_eq!(
        (&counts["unread"]["count"], &counts["unseen"]["count"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_matches_among_many_are_found_page_by_page() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut wanted = Vec::new();
    for round in 0..5 {
        let mut all: Vec<Value> = (0..200)
            .map(|n| json!({"title": format!("{n}"), "category": "common"}))
            .collect();
        all[100] = json!({"title": format!("rare {round}"), "category": "rare"});
        assert_eq!(customer.many(&all).await[100]["status"], 201);
        wanted.insert(0, format!("rare {round}"));
    }
    assert_eq!(customer.titles("&category=rare").await, wanted);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..1_000 {
        let page = customer
            .get(&format!("?category=rare&limit=2{cursor}"))
            .await;
        found.extend(
            page["notifications"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| text(one, "title")),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_is_exact_to_a_thousand_and_then_says_that_there_are_more() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let ids = customer.titled_all((0..1_000).map(|n| n.to_string())).await;
    customer.patch(&ids[0], json!({"seen": true})).await;
    let count = |count: u64, exact: bool| json!({"count": count, "exact": exact});
    let counts = |unread: Value, unseen: Value| json!({"unread": unread, "unseen": unseen});
    let told = customer.get("/count").await;
    assert_eq!(told, counts(count(1_000, true), count(999, true)));
    customer.titled("one more").await;
    let told = customer.get("/count").await;
    assert_eq!(told, counts(count(1_000, false), count(1_000, true)));
    customer.titled_all((0..300).map(|n| n.to_string())).await;
    for id in &ids[400..702] {
        customer.patch(id, json!({"read": true})).await;
    }
    let told = customer.get("/count").await;
    assert_eq!(told, counts(count(999, true), count(1_000, false)));
    assert_eq!(customer.ids("").await.len(), 1_301, "the list goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_have_inboxes_of_their_own() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    for (title, recipient) in [("a", "ada@example.com"), ("b", "user:7"), ("c", "user:77")] {
        customer
            .post(json!({"title": title, "recipient": recipient}))
            .await;
    }
    customer.titled("own").await;
    for (query, expected) in [
        ("", "own"),
        ("&recipient=ada@example.com", "a"),
        ("&recipient=user:7", "b"),
        ("&recipient=user:77", "c"),
    ] {
        assert_eq!(customer.titles(query).await, [expected], "{query}");
        assert_eq!(customer.unread(query.trim_start_matches('&')).await, 1);
    }
    customer
        .done(Method::POST, "/read?recipient=user:7", json!({}))
        .await;
    assert_eq!(customer.unread("recipient=user:7").await, 0);
    assert_eq!(customer.unread("recipient=user:77").await, 1);
    assert_eq!(customer.unread("").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_large_ones_are_listed_and_counted_as_well() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut ids = large(&customer, 8_000).await;
    let counts = customer.get("/count").await;
    assert_eq!(counts["unread"], json!({"count": 1_000, "exact": true}));
    ids.reverse();
    assert_eq!(customer.ids("").await, ids);
    for id in &ids[..2] {
        customer.patch(id, json!({"read": true})).await;
    }
    assert_eq!(customer.ids("&unread=false").await, ids[..2]);
    assert_eq!(customer.ids("&category=none").await, [] as [&str; 0]);
    assert_eq!(customer.unread("").await, 998);
}

/// Posts a thousand with so many bytes of data; answers their ids, the oldest first.
async fn large(customer: &Customer<'_>, bytes: usize) -> Vec<String> {
    let one = json!({"title": "t", "data": {"text": "x".repeat(bytes)}});
    let mut ids = Vec::new();
    for _ in 0..25 {
        let results = customer.many(&vec![one.clone(); 40]).await;
        assert!(
            results.iter().all(|one| one["status"] == 201),
            "{results:?}"
        );
        ids.extend(results.iter().map(id));
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_of_the_largest_are_counted() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mut ids = large(&customer, 19_900).await;
    for query in ["", "category=general"] {
        let counts = customer.get(&format!("/count?{query}")).await;
        assert_eq!(counts["unread"], json!({"count": 1_000, "exact": true}));
    }
    ids.reverse();
    assert_eq!(customer.ids("").await, ids);
    customer.patch(&ids[999], json!({"read": true})).await;
    assert_eq!(customer.ids("&unread=false").await, ids[999..]);
    customer.done(Method::POST, "/read", json!({})).await;
    assert_eq!(customer.unread("").await, 0);
}
