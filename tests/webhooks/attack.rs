//! schemathesis, with all of its checks, against everything that the plugin's part of
//! the document says.

use std::process::Command;

use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use crate::harness::host::runs;
use crate::harness::python::{folder, python};

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
    let dir = tempfile::tempdir().unwrap();
    let hooks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("webhooks/hooks.py");
    let mut command = Command::new(python("schemathesis"));
    command
        .current_dir(dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HEARTH_KEY", &webhooks.key)
        .env("HEARTH_ENDPOINTS", endpoints.join(","))
        .env("HEARTH_EVENTS", events.join(","))
        .env("HEARTH_RECEIVER", &receiver.url)
        .env("SCHEMATHESIS_HOOKS", hooks)
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", webhooks.host.url)])
        .args(["--include-path-regex", "^/webhooks/"])
        .args(["--checks", "all", "--no-color"])
        .args(["--max-examples", &runs(5, 100).to_string()]);
    if runs(1, 0) == 1 {
        command.args(["--seed", "20261124"]);
    }
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let ended = ended.unwrap().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    let erred = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}\n{erred}");
    let trapped = webhooks.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", webhooks.host.log());
}
