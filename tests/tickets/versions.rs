//! Changes in the version that a client names, of what has no version of its own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id, ticket};
use crate::harness::versions::Thing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calendar_and_policy_change_only_in_the_version_that_the_client_names() {
    let support = Support::open();
    let thing = |path| Thing {
        host: &support.host,
        key: &support.agent,
        path,
    };
    let calendar = |name: &str| {
        json!({"name": name, "time_zone": "Europe/Berlin",
            "hours": {"monday": [{"start": "09:00", "end": "17:00"}]}})
    };
    let policy = |name: &str| {
        json!({"name": name, "calendar_id": "office", "tiers": ["premium"],
            "targets": {"high": {"first_response_minutes": 60}}, "warn_before": {"percent": 20}})
    };
    let (office, gold) = (
        thing("/support/calendars/office"),
        thing("/support/sla-policies/gold"),
    );
    office.is_made_once(&calendar("made")).await;
    gold.is_made_once(&policy("made")).await;
    let (one, other) = (calendar("one"), calendar("other"));
    office
        .changes_in_its_version(&Method::PUT, &one, &other)
        .await;
    office.changes_once(&Method::PUT, &one).await;
    let (one, other) = (policy("one"), policy("other"));
    gold.changes_in_its_version(&Method::PUT, &one, &other)
        .await;
    gold.changes_once(&Method::PUT, &one).await;
    gold.is_deleted_in_its_version().await;
    office.is_deleted_in_its_version().await;
}

#[tokio::test]
async fn comment_is_written_only_while_the_ticket_has_the_version_that_the_client_names() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let path = format!("/support/tickets/{}/comments", id(&made));
    let comments = Thing {
        host: &support.host,
        key: &support.agent,
        path: &path,
    };
    let write = |tag: &'static str| {
        let body = json!({"body": "Is it better now?"});
        comments.ask(Method::POST, body, ("if-match", tag))
    };
    assert_eq!(write("\"9\"").await, StatusCode::PRECONDITION_FAILED);
    let (_, listed) = support.get(&path).await;
    assert_eq!(listed["comments"], json!([] as [Value; 0]));
    assert_eq!(write("\"1\"").await, StatusCode::CREATED);
    assert_eq!(write("\"1\"").await, StatusCode::PRECONDITION_FAILED);
}
