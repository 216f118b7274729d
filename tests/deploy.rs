//! A plugin is replaced while it serves; what the gate refuses changes nothing.

mod approval;
mod growth;
mod killed;
mod replacement;
mod scans;
mod self_test;
mod versions;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::harness::host::{Host, Setup, guest, runs};
use versions::{COMES, FIRST, echo, echo_titled, notes, written};

fn admin(host: &Host, method: Method, path: &str) -> RequestBuilder {
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    host.client
        .request(method, format!("{}{path}", host.admin))
        .bearer_auth(token.trim())
}

/// The lines of a deploy's report.
async fn lines(request: RequestBuilder) -> Vec<Value> {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn deploy(host: &Host, file: Vec<u8>, approve: &str) -> Value {
    let path = format!("/deployments?approve={approve}");
    let told = lines(admin(host, Method::POST, &path).body(file)).await;
    told.last().unwrap().clone()
}

async fn rollback(host: &Host, path: &str) -> Value {
    let told = lines(admin(host, Method::POST, path)).await;
    told.last().unwrap().clone()
}

/// A superuser's connection to the host's own cluster.
async fn database(host: &Host) -> Client {
    let folder = host.data_dir().join("postgres");
    let url = hearth::embedded::postgres::running_url(&folder).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The deployment that answered, and what it calls a path that it has not.
async fn who(host: &Host, key: &str, path: &str) -> (String, String) {
    let answer = host.get(path, key).send().await.unwrap();
    let label = match answer.headers().get("hearth-plugin") {
        Some(label) => label.to_str().unwrap().to_string(),
        None => String::new(),
    };
    let body: Value = answer.json().await.unwrap();
    (label, body["title"].as_str().unwrap().to_string())
}

fn is(label: &str, title: &str) -> (String, String) {
    (label.to_string(), title.to_string())
}

#[tokio::test]
async fn admin_routes_want_the_token_and_metrics_do_not() {
    let host = Setup::new().guest("echo", &[], "").start();
    for path in [
        "/plugins",
        "/deployments",
        "/plugins/echo/deployments",
        "/queues",
        "/queues/jobs/dead-letters",
        "/no",
    ] {
        let bare = host.client.get(format!("{}{path}", host.admin));
        let wrong = host.client.get(format!("{}{path}", host.admin));
        for request in [bare, wrong.bearer_auth("wrong")] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    let metrics = host.client.get(format!("{}/metrics", host.admin));
    assert_eq!(metrics.send().await.unwrap().status(), StatusCode::OK);
    let known = admin(&host, Method::GET, "/plugins").send().await.unwrap();
    let known: Value = known.json().await.unwrap();
    assert_eq!(known["plugins"][0]["label"], "echo@1");
}

#[tokio::test]
async fn next_version_serves_and_a_killed_host_comes_back_with_it_without_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &echo("0.1.0"));
    let mut host = Setup::new().plugin("echo", &file, &[], "").start();
    let key = host.key("acme", &[]);
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@1", FIRST));

    let request = admin(&host, Method::POST, "/deployments").body(echo_titled("0.2.0"));
    let told = lines(request).await;
    let steps: Vec<&str> = told
        .iter()
        .filter_map(|line| line["step"].as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "read",
            "grants",
            "openapi",
            "compile",
            "link",
            "migrate",
            "statements",
            "self-test",
            "swap",
            "drain"
        ]
    );
    let result = told.last().unwrap();
    assert_eq!(result["result"], "serving", "{result}");
    assert_eq!(result["label"], "echo@2");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", COMES));
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);

    // The configuration still names the file of the first version.
    host.kill();
    host.restart();
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", COMES));
    host.kill();
    std::fs::remove_file(&file).unwrap();
    host.restart();
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", COMES));
}

#[tokio::test]
async fn rollback_and_undeploy_are_seen_and_kept_in_history() {
    let mut host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let second = echo_titled("0.2.0");
    assert_eq!(deploy(&host, second.clone(), "").await["number"], 2);

    let back = rollback(&host, "/plugins/echo/rollback").await;
    assert_eq!(back["label"], "echo@1", "{back}");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@1", FIRST));
    let forth = rollback(&host, "/plugins/echo/rollback?to=2").await;
    assert_eq!(forth["label"], "echo@2", "{forth}");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", COMES));
    let never = rollback(&host, "/plugins/echo/rollback?to=9").await;
    assert_eq!(never["result"], "refused", "{never}");

    let gone = admin(&host, Method::DELETE, "/plugins/echo")
        .send()
        .await
        .unwrap();
    let gone: Value = gone.json().await.unwrap();
    let wanted = json!({"result": "undeployed", "plugin": "echo", "number": 2});
    assert_eq!(gone, wanted);
    let answer = host.get("/echo", &key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let again = admin(&host, Method::DELETE, "/plugins/echo")
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 0.0);

    let path = "/plugins/echo/deployments";
    let history = admin(&host, Method::GET, path).send().await.unwrap();
    let history: Value = history.json().await.unwrap();
    let states = |n: usize| history["deployments"][n]["state"].clone();
    assert_eq!(
        (states(0), states(1)),
        (json!("undeployed"), json!("retired"))
    );
    assert_eq!(history["deployments"][1]["by"], "config");
    let path = "/plugins/echo/deployments/2/artifact";
    let artifact = admin(&host, Method::GET, path).send().await.unwrap();
    assert_eq!(artifact.bytes().await.unwrap(), second);

    // Undeployed it stays, though the configuration still names its file.
    host.kill();
    host.restart();
    let answer = host.get("/echo", &key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let back = rollback(&host, "/plugins/echo/rollback?to=1").await;
    assert_eq!(back["label"], "echo@1", "{back}");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@1", FIRST));
}

#[tokio::test]
async fn host_killed_during_a_deploy_comes_back_with_one_version_whole() {
    let mut host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let count = runs(5, 50);
    for run in 0..count {
        let version = format!("0.2.{run}");
        let next = match run % 2 {
            0 => echo_titled(&version),
            _ => echo(&version),
        };
        let before = who(&host, &key, "/echo/none").await;
        let request = admin(&host, Method::POST, "/deployments").body(next);
        let deploying = tokio::spawn(request.send());
        // Spread over the time that a deploy takes here.
        tokio::time::sleep(std::time::Duration::from_millis(40 * run as u64 % 400)).await;
        host.kill();
        deploying.abort();
        host.restart();
        let after = who(&host, &key, "/echo/none").await;
        let number: u64 = after.0.strip_prefix("echo@").unwrap().parse().unwrap();
        let title = if run % 2 == 0 { COMES } else { FIRST };
        let next = number > 1 && after.1 == title && after.0 != before.0;
        assert!(after == before || next, "{before:?} became {after:?}");
    }
}

/// Deploys what must be refused at a step with a reason; the old one serves on.
async fn refuses(host: &Host, key: &str, file: Vec<u8>, step: &str, reason: &str) -> Value {
    let result = deploy(host, file, "").await;
    assert_eq!(result["result"], "refused", "{result}");
    assert_eq!(result["step"], step, "{result}");
    let reasons = result["reasons"].to_string();
    assert!(reasons.contains(reason), "`{reason}` is missing: {result}");
    let serves = who(host, key, "/notes/none").await;
    assert_eq!(serves, is("notes@1", FIRST), "after {result}");
    result
}

#[tokio::test]
async fn what_does_not_fit_the_contract_is_refused_and_the_old_version_serves_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &notes("0.1.0", &[], "", &["sql"]));
    let host = Setup::new().plugin("notes", &file, &["sql"], "").start();
    let key = host.key("acme", &[]);
    let good = notes("0.2.0", &[], "", &["sql"]);

    let half = good[..good.len() / 2].to_vec();
    refuses(&host, &key, half, "read", "truncated").await;
    refuses(
        &host,
        &key,
        b"#!/bin/sh\n".to_vec(),
        "read",
        "not WebAssembly",
    )
    .await;
    refuses(&host, &key, versions::worker(&good), "read", "world worker").await;

    let greedy = notes("0.2.0", &[], "", &["sql", "log"]);
    let result = refuses(&host, &key, greedy.clone(), "grants", "`log`").await;
    assert_eq!(result["asks"], json!(["log"]));

    let foreign = versions::renamed(&guest("startspin"), "notes");
    refuses(&host, &key, foreign, "self-test", "CPU time").await;
    let failing = notes("0.2.0", &[], versions::SELF_TEST_FAILS, &["sql"]);
    refuses(&host, &key, failing, "self-test", "404").await;

    assert_eq!(deploy(&host, greedy, "log").await["result"], "serving");
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);
}

#[tokio::test]
async fn sql_that_does_not_hold_or_breaks_the_serving_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &notes("0.1.0", &[], "", &["sql"]));
    let host = Setup::new().plugin("notes", &file, &["sql"], "").start();
    let key = host.key("acme", &[]);
    let with = |migrations: &[&str], more: &str| notes("0.2.0", migrations, more, &["sql"]);

    let nowhere = with(
        &[],
        &versions::statement("SELECT nothing FROM nowhere", "nothing"),
    );
    refuses(
        &host,
        &key,
        nowhere,
        "statements",
        "relation \\\"nowhere\\\" does not exist",
    )
    .await;
    let broken = with(&["ALTER TABLE note ADD COLUMN id text"], "");
    refuses(&host, &key, broken, "migrate", "already exists").await;

    // What the old version needs must stay, whichever migration takes it away.
    let drops = "ALTER TABLE note DROP COLUMN body";
    let restores = "ALTER TABLE note ADD COLUMN body text";
    let breaks = "breaks a statement of notes@1";
    refuses(&host, &key, with(&[drops], ""), "migrate", breaks).await;
    refuses(&host, &key, with(&[drops, restores], ""), "migrate", breaks).await;
    let required = "ALTER TABLE note ADD COLUMN kind text NOT NULL";
    refuses(
        &host,
        &key,
        with(&[required], ""),
        "migrate",
        "`kind` NOT NULL without a default",
    )
    .await;
    let newly = "ALTER TABLE note ALTER COLUMN body SET NOT NULL";
    refuses(
        &host,
        &key,
        with(&[newly], ""),
        "migrate",
        "`body` NOT NULL",
    )
    .await;
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);

    let gentle = "ALTER TABLE note ADD COLUMN kind text NOT NULL DEFAULT 'plain'";
    let index =
        "-- no-transaction\nCREATE INDEX CONCURRENTLY note_body ON note (customer_id, body)";
    let result = deploy(&host, with(&[gentle, index], ""), "").await;
    assert_eq!(result["result"], "serving", "{result}");
}

#[tokio::test]
async fn body_larger_than_a_component_may_be_is_refused_before_it_is_read() {
    let host = Setup::new().guest("echo", &[], "").start();
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let address = host.admin.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let bytes = 500 << 20;
    write!(
        stream,
        "POST /deployments HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {bytes}\r\n\r\n",
        token.trim()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let key = host.key("acme", &[]);
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@1", FIRST));
}

#[tokio::test]
async fn swaps_under_load_lose_nothing() {
    let host = Arc::new(Setup::new().guest("echo", &[], "").start());
    let key = host.key("acme", &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (host, key) = (host.clone(), key.clone());
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let (label, title) = who(&host, &key, "/echo/none").await;
                    let number: u64 = label.strip_prefix("echo@").unwrap().parse().unwrap();
                    let wanted = if number % 2 == 1 { FIRST } else { COMES };
                    assert_eq!(title, wanted, "{label} answered for another");
                    answered.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for swap in 0..20 {
        let version = format!("0.2.{swap}");
        let next = if swap % 2 == 0 {
            echo_titled(&version)
        } else {
            echo(&version)
        };
        let result = deploy(&host, next, "").await;
        assert_eq!(result["result"], "serving", "{result}");
    }
    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(answered.load(Relaxed) > 0, "nothing was asked meanwhile");
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);
}
