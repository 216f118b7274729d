//! Changes in the version that a client names.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::Webhooks;
use crate::harness::versions::Thing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_type_changes_only_in_the_version_that_the_client_names() {
    let webhooks = Webhooks::start();
    let event_type = Thing {
        host: &webhooks.host,
        key: &webhooks.key,
        path: "/webhooks/event-types/invoice.paid",
    };
    let described = |text: &str| {
        // Postgres keeps members in an order of its own.
        json!({"description": text, "schema": {"type": "object", "properties": {"bb": {}, "a": {}}},
            "example": {"bb": 1.50, "a": 2}})
    };
    event_type.is_made_once(&described("made")).await;
    let (one, other) = (described("one"), described("other"));
    let changes = event_type.changes_in_its_version(&Method::PUT, &one, &other);
    changes.await;
    event_type.changes_once(&Method::PUT, &one).await;
    event_type.is_deleted_in_its_version().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_is_switched_and_its_secret_rotated_only_in_the_version_that_the_client_names() {
    let webhooks = Webhooks::start();
    let id = webhooks.endpoint("https://example.com/", Value::Null).await;
    let path = format!("/webhooks/endpoints/{id}");
    let endpoint = Thing {
        host: &webhooks.host,
        key: &webhooks.key,
        path: &path,
    };
    for action in ["disable", "enable", "secret/rotate"] {
        let before = endpoint.shown().await;
        let action = &Thing {
            path: &format!("{path}/{action}"),
            ..endpoint
        };
        let post = |tag: String| async move {
            action
                .ask(Method::POST, Value::Null, ("if-match", &tag))
                .await
        };
        assert_eq!(post("\"9\"".into()).await, StatusCode::PRECONDITION_FAILED);
        assert_eq!(endpoint.shown().await, before, "{}", action.path);
        assert_eq!(post(before.1).await, StatusCode::OK, "{}", action.path);
    }
}
