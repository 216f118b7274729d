//! Another customer sees nothing, by whatever name it asks.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, event, heard, text};
use crate::harness::postgres::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_customer_lists_counts_hears_and_changes_nothing() {
    let inbox = Inbox::start();
    let (customer, key) = (inbox.customer(), inbox.host.key("globex", &[]));
    let stranger = Customer::at(&inbox.host, &key);
    let mut stream = stranger.listen("").await;
    let mut of_ada = stranger.listen("?recipient=ada").await;
    let ids = customer.titled_all((0..5).map(|n| n.to_string())).await;
    customer
        .post(json!({"title": "t", "recipient": "ada"}))
        .await;
    customer
        .tell(&event(
            1,
            "ticket.created",
            json!({"ticket": {"id": "tkt_1"}}),
        ))
        .await;
    until(async || customer.unread("").await == 6).await;
    for query in ["", "recipient=ada"] {
        assert_eq!(stranger.unread(query).await, 0);
        assert_eq!(stranger.list(&format!("&{query}")).await, [] as [Value; 0]);
    }
    for id in &ids {
        let changes = [
            (Method::GET, format!("/{id}"), Value::Null),
            (Method::PATCH, format!("/{id}"), json!({"read": true})),
            (Method::DELETE, format!("/{id}"), Value::Null),
            (
                Method::POST,
                format!("/{id}/snooze"),
                json!({"until": null}),
            ),
        ];
        for (method, path, body) in changes {
            let (status, _) = stranger.ask(method, &path, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    for path in ["/read", "/seen", "/archive"] {
        stranger.done(Method::POST, path, json!({})).await;
    }
    assert_eq!(customer.unread("").await, 6);
    stranger.titled("own").await;
    stranger
        .post(json!({"title": "own of ada", "recipient": "ada"}))
        .await;
    assert_eq!(text(&heard(&mut stream).await, "title"), "own");
    assert_eq!(text(&heard(&mut of_ada).await, "title"), "own of ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_preferences_templates_and_keys_of_one_customer_are_nothing_to_another() {
    let inbox = Inbox::start();
    let (customer, key) = (inbox.customer(), inbox.host.key("globex", &[]));
    let stranger = Customer::at(&inbox.host, &key);
    let muted = json!({"categories": {"news": {"in_app": false, "stream": false}}});
    customer.prefer("", muted).await;
    let template = json!({"title": "Hello {{name}}", "category": "news"});
    customer
        .done(Method::PUT, "/templates/hello", template)
        .await;
    let (status, _) = stranger
        .ask(Method::GET, "/templates/hello", Value::Null)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    stranger
        .post(json!({"title": "t", "category": "news"}))
        .await;
    assert_eq!(stranger.unread("").await, 1);
    customer.titled_all((0..3).map(|n| n.to_string())).await;
    let page = customer.get("?limit=1").await;
    let cursor = text(&page, "next_cursor");
    let (status, _) = stranger
        .ask(
            Method::GET,
            &format!("?limit=1&cursor={cursor}"),
            Value::Null,
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for customer in [&customer, &stranger] {
        let post = customer
            .request(Method::POST, "")
            .json(&json!({"title": "keyed"}));
        let answer = post.header("idempotency-key", "k").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert!(!answer.headers().contains_key("idempotency-replayed"));
    }
    assert_eq!(
        (customer.unread("").await, stranger.unread("").await),
        (4, 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_without_a_key_gets_in() {
    let inbox = Inbox::start();
    for path in ["", "/count", "/stream", "/preferences", "/templates/t"] {
        let url = format!("{}/notifications{path}", inbox.host.url);
        let answer = inbox.host.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}
