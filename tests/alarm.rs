//! A plugin that fails whatever it is asked is noticed without anybody watching, and the
//! rules for Prometheus name what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

fn host() -> Host {
    Setup::new()
        .config("[telemetry]\nlog_format = \"json\"\nfailing_calls_min = 5")
        .config("[queue]\ncount_ms = 100")
        .guest("effects", &["sql"], "")
        .guest("queued", &["sql", "queue:orders"], "")
        .start()
}

async fn refuse(host: &Host, key: &str, times: usize) {
    for _ in 0..times {
        let answer = host.post("/effects/refuse", key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

async fn failing(host: &Host) -> [f64; 2] {
    let of = |plugin| format!("plugin=\"{plugin}\"");
    let [effects, queued] = ["effects", "queued"].map(of);
    [
        host.metric("hearth_plugin_failing", &[&effects]).await,
        host.metric("hearth_plugin_failing", &[&queued]).await,
    ]
}

/// What the admin listener says of the plugins, with a status of its own.
async fn verbose(host: &Host) -> Value {
    let url = format!("{}/readyz?verbose", host.admin);
    let answer = host.client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let said: Value = answer.json().await.unwrap();
    assert_eq!(
        (&said["status"], &said["postgres"]),
        (&json!("ready"), &json!("answers"))
    );
    said["plugins"].clone()
}

fn status(host: &Host) -> String {
    let output = host.cli(&["status", "--admin", &host.admin]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of the log with that text.
fn told(host: &Host, message: &str) -> Vec<Value> {
    let log = host.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugin_whose_every_call_fails_is_shown_and_told_once_until_one_succeeds() {
    let host = host();
    let key = host.key("acme", &[]);
    refuse(&host, &key, 4).await;
    assert_eq!(failing(&host).await, [0.0, 0.0]);
    assert!(!status(&host).contains("IS FAILING"));
    refuse(&host, &key, 3).await;
    // What the host answers by itself is no call of the plugin.
    let unknown = host.get("/effects/", "nobody's key").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(failing(&host).await, [1.0, 0.0]);
    let shown = json!([
        {"deployment": "effects@1", "failing_calls": 7},
        {"deployment": "queued@1", "failing_calls": null},
    ]);
    assert_eq!(verbose(&host).await, shown);
    let text = status(&host);
    let line = "effects@1 IS FAILING: its last 7 calls all failed\n";
    assert!(text.contains(line), "{text}");
    let began = "every call of the plugin fails";
    until(async || !told(&host, began).is_empty()).await;
    let answer = host.get("/effects/", &key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(failing(&host).await, [0.0, 0.0]);
    assert!(!status(&host).contains("IS FAILING"));
    let ended = "a call of the plugin succeeded again";
    until(async || !told(&host, ended).is_empty()).await;
    let (began, ended) = (told(&host, began), told(&host, ended));
    assert_eq!((began.len(), ended.len()), (1, 1));
    assert_eq!(
        (&began[0]["level"], &began[0]["calls"]),
        (&json!("ERROR"), &json!(5))
    );
    assert_eq!(
        (&began[0]["plugin"], &ended[0]["calls"]),
        (&json!("effects"), &json!(7))
    );
}

#[tokio::test]
async fn public_listener_tells_nobody_of_the_plugins() {
    let host = host();
    let url = format!("{}/readyz?verbose", host.url);
    let text = host.client.get(url).send().await.unwrap().text().await;
    assert_eq!(text.unwrap(), r#"{"status":"ready"}"#);
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yml")
}

/// Every name of a metric in the expressions of the rules, which end where the next key
/// begins.
fn names_of_rules() -> BTreeSet<String> {
    let text = std::fs::read_to_string(rules()).unwrap();
    let mut names = BTreeSet::new();
    let mut is_expression = false;
    for line in text.lines().map(str::trim) {
        let begins = |key: &str| line.starts_with(key);
        is_expression = match is_expression {
            false => begins("expr:"),
            true => !["for:", "labels:"].into_iter().any(begins),
        };
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let words = words.filter(|word| is_expression && word.starts_with("hearth_"));
        names.extend(words.map(str::to_owned));
    }
    names
}

async fn names_of_page(host: &Host) -> BTreeSet<String> {
    let page = host.client.get(format!("{}/metrics", host.admin));
    let page = page.send().await.unwrap().text().await.unwrap();
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_alert_rules_is_on_the_page_of_a_host() {
    let host = host();
    let key = host.key("acme", &[]);
    host.get("/effects/", &key).send().await.unwrap();
    let sent = host.post("/queued/send/orders", &key).body("one");
    assert!(sent.send().await.unwrap().status().is_success());
    let wanted = names_of_rules();
    assert_eq!(wanted.len(), 8, "{wanted:?}");
    let depth = "hearth_queue_depth".to_owned();
    until(async || names_of_page(&host).await.contains(&depth)).await;
    let there = names_of_page(&host).await;
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Prometheus's own judgement, where its tool is installed.
#[test]
fn prometheus_takes_the_alert_rules() {
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(rules())
        .output();
    if let Ok(output) = checked {
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}");
    }
}
