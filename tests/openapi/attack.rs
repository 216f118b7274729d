//! schemathesis, with all of its checks, against everything that the document
//! says: a real host, real data, an agent's key and a customer's.

use std::process::Command;

use super::seed;
use crate::harness::host::{Host, Setup, runs};
use crate::harness::python::{folder, python};

/// Runs it with that key, and fails with what it tells.
async fn attack(host: &Host, key: &str, ids: &[String]) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(python("schemathesis"));
    command
        .current_dir(dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HEARTH_KEY", key)
        .env("HEARTH_TICKETS", ids.join(","))
        .env("SCHEMATHESIS_HOOKS", folder().join("hooks.py"))
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", host.url)])
        .args(["--checks", "all", "--no-color"])
        .args(["--max-examples", &runs(6, 200).to_string()]);
    if runs(1, 0) == 1 {
        // The same requests every time: what a test finds, it finds again.
        command.args(["--seed", "20261124"]);
    }
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let ended = ended.unwrap().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    let erred = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}\n{erred}");
}

async fn attacked(scopes: &[&str]) {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", scopes);
    let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
    let ids = seed::tickets(&host, &agent, runs(40, 400)).await;
    seed::service_levels(&host, &agent).await;
    attack(&host, &key, &ids).await;
    let trapped = host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_in_costs() {
    let host = Setup::new().forecasting().start();
    let key = host.key("acme", &[]);
    seed::costs(&host, &key).await;
    attack(&host, &key, &[]).await;
    let trapped = host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_with_an_agent_s_key() {
    attacked(&["--scope", "customer", "--scope", "agent"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_with_a_customer_s_key() {
    attacked(&[]).await;
}
