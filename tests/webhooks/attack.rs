//! schemathesis, with all of its checks, against everything that the plugin's part of
//! the document says.

use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use crate::harness::host::runs;
use crate::harness::schemathesis::{Attack, schemathesis};

/// Endpoints and events of every kind, for the attack to name.
async fn seed(webhooks: &Webhooks, receiver: &Receiver) -> (Vec<String>, Vec<String>) {
    let (mut endpoints, mut events) = (Vec::new(), Vec::new());
    receiver.answers_at("/bad", Answer::Says(500, b"no".to_vec()));
    for path in ["/a", "/b", "/bad"] {
        let url = [&receiver.url, path].concat();
        endpoints.push(webhooks.endpoint(&url, Value::Null).await);
    }
    let off = json!({"enabled": false});
    endpoints.push(webhooks.endpoint("https://example.com/", off).await);
    let body = json!({"schema": {"type": "object"}, "example": {"a": 1}});
    webhooks
        .ask(reqwest::Method::PUT, "/event-types/kept", body)
        .await;
    for _ in 0..4 {
        events.push(webhooks.event("invoice.paid").await);
    }
    (endpoints, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let (endpoints, events) = seed(&webhooks, &receiver).await;
    let attack = Attack {
        key: &webhooks.key,
        hooks: "webhooks",
        told: &[
            ("HEARTH_ENDPOINTS", endpoints.join(",")),
            ("HEARTH_EVENTS", events.join(",")),
            ("HEARTH_RECEIVER", receiver.url.clone()),
        ],
        args: &["--include-path-regex", "^/webhooks/"],
        examples_max: runs(5, 100),
    };
    schemathesis(&webhooks.host, attack).await;
}
