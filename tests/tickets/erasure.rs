//! Deleting and redacting tickets: what is gone, what is left, and who hears of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::events::fixture::{Stage, kinds, of_ticket};
use super::lists::found;
use super::{Support, id};

const SECRET: &str = "4111 1111";

/// A ticket that says the secret wherever a ticket can.
async fn talkative(support: &Support) -> Value {
    let ticket = json!({
        "subject": "Card 4111 1111", "description": "It is \"4111 1111\", ending in 1111.",
        "custom_fields": {"card": ["4111 1111"]}, "external_id": "crm-1", "tags": ["card"],
        "requester": {"name": "Ada 4111 1111", "email": "ada@example.com"},
    });
    let made = support.create(ticket).await;
    let path = format!("/support/tickets/{}", id(&made));
    let body = json!({"body": "4111 1111, again", "requester": {"name": "4111 1111"}});
    let comments = format!("{path}/comments");
    support.ask(Method::POST, &comments, false, body).await;
    let change = json!({"subject": "My card 4111 1111", "priority": "high", "type": "4111 1111"});
    support.patch(id(&made), change).await;
    support.patch(id(&made), json!({"type": null})).await;
    made
}

/// All that the database of the plugin says, as text.
async fn stored(database: &tokio_postgres::Client) -> String {
    let mut all = String::new();
    for table in [
        "tickets",
        "ticket_comments",
        "ticket_audits",
        "ticket_terms",
        "ticket_tags",
    ] {
        let rows = format!(
            "SELECT coalesce(string_agg(t::text, ' '), '') FROM plugin_tickets.{table} AS t"
        );
        all += database
            .query_one(&rows, &[])
            .await
            .unwrap()
            .get::<_, &str>(0);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_ticket_leaves_that_it_was_there_and_others_hear_of_it() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let made = talkative(support).await;
    let path = |rest: &str| format!("/support/tickets/{}{rest}", id(&made));
    let (_, feed) = support.get("/support/tickets/changes").await;
    let (status, _) = support
        .ask(Method::DELETE, &path(""), false, Value::Null)
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let delete = |tag: &'static str| {
        let request = support
            .host
            .request(Method::DELETE, &path(""), &support.agent);
        request.header("if-match", tag).send()
    };
    assert_eq!(
        delete("\"1\"").await.unwrap().status(),
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(delete("*").await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(delete("*").await.unwrap().status(), StatusCode::NOT_FOUND);
    for rest in ["", "/comments", "/sla", "/audits"] {
        assert_eq!(
            support.get(&path(rest)).await.0,
            StatusCode::NOT_FOUND,
            "{rest}"
        );
    }
    for query in ["", "q=card", "tag=card", "external_id=crm-1", "sort=due_at"] {
        assert_eq!(found(support, query).await, [""; 0], "{query}");
    }
    let audits = support.host.get(&path("/audits"), &support.agent);
    let audits: Value = audits.send().await.unwrap().json().await.unwrap();
    let events = audits["audits"].as_array().unwrap().iter();
    let events: Vec<&Value> = events
        .flat_map(|audit| audit["events"].as_array().unwrap())
        .collect();
    let kinds_of: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds_of,
        [
            "create", "comment", "change", "change", "change", "change", "delete"
        ]
    );
    assert_eq!(
        events[2],
        &json!({"type": "change", "field": "priority", "redacted": true})
    );
    let cursor = feed["next_cursor"].as_str().unwrap();
    let (_, feed) = support
        .get(&format!("/support/tickets/changes?cursor={cursor}"))
        .await;
    let gone = json!({"id": made["id"], "ticket_id": made["id"], "deleted": true});
    assert_eq!(feed["changes"], json!([gone]));
    let left = stored(&stage.database).await;
    assert!(!left.contains("4111") && !left.contains("Ada"), "{left}");
    let [heard, notified] = stage.heard(5).await;
    assert_eq!(
        of_ticket(&heard, id(&made)),
        of_ticket(&notified, id(&made))
    );
    let last = heard.last().unwrap();
    assert_eq!(last["type"], "ticket.deleted");
    assert_eq!(
        last["data"],
        json!({"ticket": {"id": made["id"], "ticket_id": made["id"]}})
    );
    let again = support.create(json!({"subject": "s", "description": "d", "external_id": "crm-1"}));
    assert_ne!(again.await["id"], made["id"], "its external id is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redacted_text_is_nowhere_and_the_audits_say_that_it_was_redacted() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let made = talkative(support).await;
    let path = format!("/support/tickets/{}/redact", id(&made));
    let redact = async |agent, text: &str| {
        support
            .ask(Method::POST, &path, agent, json!({"text": text}))
            .await
    };
    assert_eq!(redact(false, SECRET).await.0, StatusCode::FORBIDDEN);
    for missing in ["4111 1112", "%", "subject"] {
        let (status, problem) = redact(true, missing).await;
        assert_eq!(status, StatusCode::CONFLICT, "{missing}: {problem}");
    }
    let (status, redacted) = redact(true, SECRET).await;
    assert_eq!(status, StatusCode::OK, "{redacted}");
    let block = "▇".repeat(9);
    assert_eq!(redacted["subject"], format!("My card {block}"));
    assert_eq!(
        redacted["description"],
        format!("It is \"{block}\", ending in 1111.")
    );
    assert_eq!(redacted["custom_fields"], json!({"card": [block]}));
    assert_eq!(
        redacted["requester"],
        json!({"name": format!("Ada {block}"), "email": "ada@example.com"})
    );
    assert_eq!(redacted["version"], 5);
    let (_, comments) = support.get(&path.replace("redact", "comments")).await;
    let comment = &comments["comments"][0];
    assert_eq!(comment["body"], format!("{block}, again"));
    assert_eq!(comment["requester"], json!({"name": block}));
    let (_, audits) = support.get(&path.replace("redact", "audits")).await;
    let changes = &audits["audits"][2]["events"];
    assert_eq!(
        changes[0],
        json!({"type": "change", "field": "priority", "from": "normal", "to": "high"})
    );
    assert_eq!(
        changes[1],
        json!({"type": "change", "field": "subject", "redacted": true})
    );
    assert_eq!(audits["audits"][4]["events"], json!([{"type": "redact"}]));
    assert!(!stored(&stage.database).await.contains(SECRET));
    assert_eq!(found(support, "q=4111").await, [""; 0]);
    assert_eq!(
        found(support, "q=1111+card").await.len(),
        1,
        "the rest is found"
    );
    let [heard, _] = stage.heard(5).await;
    let told = of_ticket(&heard, id(&made));
    assert_eq!(kinds(&told)[4], "ticket.redacted");
    assert_eq!(
        told[4]["data"],
        json!({"ticket": redacted, "truncated": []})
    );
    assert_eq!(redact(true, SECRET).await.0, StatusCode::CONFLICT);
}
