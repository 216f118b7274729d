//! Changes in the version that a client names: of documents in DynamoDB, and of marks.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::Inbox;
use crate::harness::versions::Thing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn template_changes_only_in_the_version_that_the_client_names() {
    let inbox = Inbox::start();
    let titled = |title: &str| json!({"title": title, "category": "own"});
    let own = Thing {
        host: &inbox.host,
        key: &inbox.key,
        path: "/notifications/templates/own",
    };
    own.is_made_once(&titled("made")).await;
    for path in ["own", "ticket.created"] {
        let template = Thing {
            path: &format!("/notifications/templates/{path}"),
            ..own
        };
        let (one, other) = (titled("one"), titled("other"));
        template.changes_once(&Method::PUT, &one).await;
        let changes = template.changes_in_its_version(&Method::PUT, &one, &other);
        changes.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preferences_change_only_in_the_version_that_the_client_names() {
    let inbox = Inbox::start();
    for path in ["", "?recipient=ada"] {
        let path = format!("/notifications/preferences{path}");
        let preferences = Thing {
            host: &inbox.host,
            key: &inbox.key,
            path: &path,
        };
        let quiet = |start: &str| {
            json!({"categories": {"a": {"stream": false}},
                "quiet_hours": {"time_zone": "UTC", "start": start, "end": "07:00"}})
        };
        let (one, other) = (quiet("21:00"), quiet("22:00"));
        preferences.changes_once(&Method::PUT, &one).await;
        let changes = preferences.changes_in_its_version(&Method::PUT, &other, &one);
        changes.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_is_marked_snoozed_and_deleted_only_in_the_state_that_the_client_names() {
    let inbox = Inbox::start();
    let id = inbox.customer().titled("hello").await;
    let path = format!("/notifications/{id}");
    let notification = Thing {
        host: &inbox.host,
        key: &inbox.key,
        path: &path,
    };
    let (one, other) = (json!({"read": true}), json!({"archived": true}));
    let changes = notification.changes_in_its_version(&Method::PATCH, &one, &other);
    changes.await;
    let snooze = Thing {
        path: &format!("{path}/snooze"),
        ..notification
    };
    let before = notification.shown().await;
    let until = |tag: String| {
        let until = jiff::Timestamp::now() + jiff::Span::new().hours(1);
        let body = json!({"until": until.to_string()});
        let snooze = &snooze;
        async move { snooze.ask(Method::POST, body, ("if-match", &tag)).await }
    };
    assert_eq!(until("\"9\"".into()).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(notification.shown().await, before);
    assert_eq!(until(before.1).await, StatusCode::OK);
    notification.is_deleted_in_its_version().await;
    let gone = notification.ask(Method::DELETE, Value::Null, ("if-match", "*"));
    assert_eq!(gone.await, StatusCode::NOT_FOUND);
}
