//! schemathesis, with all of its checks, against everything that the plugin's part of
//! the document says.

use serde_json::{Value, json};

use super::fixture::{Customer, Inbox};
use crate::harness::host::runs;
use crate::harness::schemathesis::{Attack, schemathesis};

/// Notifications of every kind, for the attack to name.
async fn seed(customer: &Customer<'_>) -> Vec<String> {
    let all: Vec<Value> = (0..20)
        .map(|number| {
            json!({
                "title": format!("Notification {number}"),
                "category": (["general", "billing"][number % 2]),
                "data": {"number": number},
                "critical": number % 5 == 0,
            })
        })
        .collect();
    let results = customer.many(&all).await;
    let template = json!({"title": "Number {{number}}"});
    customer
        .done(reqwest::Method::PUT, "/templates/kept", template)
        .await;
    results.iter().map(super::fixture::id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    let inbox = Inbox::start();
    let ids = seed(&inbox.customer()).await;
    let attack = Attack {
        key: &inbox.key,
        hooks: "notifications",
        told: &[("HEARTH_NOTIFICATIONS", ids.join(","))],
        args: &[
            "--include-path-regex",
            "^/notifications",
            // A stream that is asked for as it should be never ends.
            "--exclude-path",
            "/notifications/stream",
        ],
        examples_max: runs(5, 100),
    };
    schemathesis(&inbox.host, attack).await;
}
