//! What others on this machine get of a host: another user, a page that is open in
//! somebody's browser, a plugin to which loopback is open. Every socket that the host
//! and its Postgres have is tried, whatever it is for.

mod page;
mod plugin;
mod sockets;
mod user;

use serde_json::json;

use crate::harness::host::{Host, Setup};

/// What must not be seen by anybody here: a customer's document has it.
const MARKER: &str = "a-customers-own-words";

/// What only DynamoDB, or only the admin API and the metrics, would say.
const SIGNS: [&str; 6] = [
    MARKER,
    "TableNames",
    "hearth-documents",
    "hearth_connections",
    "\"plugins\"",
    "\"queues\"",
];

/// What somebody who looks for DynamoDB and the admin API asks each socket.
const PATHS: [&str; 5] = ["/metrics", "/plugins", "/queues", "/deployments", "/"];

/// A host with a customer's document in its DynamoDB, whose metrics want a token.
async fn host() -> Host {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, "the-token-of-metrics").unwrap();
    let host = Setup::new()
        .guest("documents", &["documents"], "")
        .config(&format!("[admin]\nmetrics_token_file = {:?}", token.path()))
        .start();
    let key = host.key("acme", &[]);
    let put = host.request(reqwest::Method::PUT, "/documents/items/inbox/1", &key);
    let put = put.json(&json!({ "text": MARKER })).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.status());
    host
}

fn assert_tells_nothing(said: &str, of: &str) {
    for sign in SIGNS {
        assert!(!said.contains(sign), "{of} told {sign}: {said}");
    }
}
