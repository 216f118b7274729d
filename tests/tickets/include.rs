//! What `include=` adds to tickets.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id};

async fn comment(support: &Support, ticket: &Value, body: Value) {
    let path = format!("/support/tickets/{}/comments", id(ticket));
    let (status, answer) = support.ask(Method::POST, &path, true, body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

fn bodies(ticket: &Value) -> Vec<&str> {
    let comments = ticket["comments"].as_array().unwrap().iter();
    comments.map(|one| one["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn descriptions_and_comments_come_with_a_list_and_internal_ones_for_agents_alone() {
    let support = Support::open();
    let made = support.create(super::ticket()).await;
    let bare = support
        .create(json!({"subject": "bare", "description": "d"}))
        .await;
    for number in 0..22 {
        comment(&support, &made, json!({"body": format!("{number}")})).await;
    }
    comment(&support, &bare, json!({"body": "secret", "public": false})).await;
    let (_, list) = support
        .get("/support/tickets?include=description,comments")
        .await;
    let [first, second] = [&list["tickets"][0], &list["tickets"][1]];
    assert_eq!(first["description"], "d");
    assert_eq!(
        (bodies(first), &first["comments_next_cursor"]),
        (vec![], &Value::Null)
    );
    assert_eq!(second["description"], made["description"]);
    assert_eq!(bodies(second).len(), 20);
    let cursor = second["comments_next_cursor"].as_str().unwrap();
    let rest = format!("/support/tickets/{}/comments?cursor={cursor}", id(&made));
    assert_eq!(bodies(&support.get(&rest).await.1), ["20", "21"]);
    let (_, plain) = support.get("/support/tickets").await;
    assert_eq!(plain["tickets"][0].get("description"), None);
    assert_eq!(plain["tickets"][0].get("comments"), None);

    let path = format!("/support/tickets/{}?include=comments", id(&bare));
    let agents = support
        .host
        .get(&path, &support.agent)
        .send()
        .await
        .unwrap();
    let tag = agents.headers()["etag"].to_str().unwrap();
    assert_ne!(tag, "\"1\"", "an internal comment leaves the version");
    assert_eq!(bodies(&agents.json().await.unwrap()), ["secret"]);
    let path = format!("/support/tickets/{}?include=comments", id(&made));
    let (_, whole) = support.get(&path).await;
    assert_eq!(
        (bodies(&whole).len(), &whole["comments_next_cursor"]),
        (22, &Value::Null)
    );
}

#[tokio::test]
async fn page_ends_early_rather_than_grow_past_a_response() {
    let support = Support::open();
    for number in 0..5 {
        let description = format!("{number}{}", "\u{1}".repeat(65_000));
        support
            .create(json!({"subject": "long", "description": description}))
            .await;
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("/support/tickets?include=description&sort=created_at{cursor}");
        let (status, page) = support.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        pages += 1;
        let tickets = page["tickets"].as_array().unwrap().iter();
        seen.extend(tickets.map(|one| one["description"].as_str().unwrap()[..1].to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen.concat().as_str(), pages), ("01234", 2));
    let (_, list) = support
        .get("/support/tickets?limit=2&sort=created_at")
        .await;
    for ticket in list["tickets"].as_array().unwrap() {
        for _ in 0..3 {
            comment(&support, ticket, json!({"body": "c".repeat(65_000)})).await;
        }
    }
    let path = "/support/tickets?limit=2&sort=created_at&include=comments";
    let (_, list) = support.get(path).await;
    let [first, second] = [&list["tickets"][0], &list["tickets"][1]];
    assert_eq!((bodies(first).len(), bodies(second).len()), (3, 1));
    assert_eq!(first["comments_next_cursor"], Value::Null);
    let cursor = second["comments_next_cursor"].as_str().unwrap();
    let rest = format!("/support/tickets/{}/comments?cursor={cursor}", id(second));
    assert_eq!(bodies(&support.get(&rest).await.1).len(), 2);
}
