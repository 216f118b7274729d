//! schemathesis, with all of its checks, against everything that the plugin's part of
//! the document says.

use std::process::Command;

use serde_json::{Value, json};

use super::fixture::{Customer, Inbox};
use crate::harness::host::runs;
use crate::harness::python::{folder, python};

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
    let dir = tempfile::tempdir().unwrap();
    let hooks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("notifications/hooks.py");
    let mut command = Command::new(python("schemathesis"));
    command
        .current_dir(dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HEARTH_KEY", &inbox.key)
        .env("HEARTH_NOTIFICATIONS", ids.join(","))
        .env("SCHEMATHESIS_HOOKS", hooks)
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", inbox.host.url)])
        .args(["--include-path-regex", "^/notifications"])
        // A stream that is asked for as it should be never ends.
        .args(["--exclude-path", "/notifications/stream"])
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
    let trapped = inbox.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", inbox.host.log());
}
