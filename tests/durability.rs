//! What was acknowledged is durable.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup, runs, signal_process};

fn ticket() -> Value {
    json!({"subject": "Test", "description": "Load test", "priority": "medium"})
}

async fn create(request: RequestBuilder) -> Option<String> {
    let answer = request.json(&ticket()).send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let ticket: Value = answer.json().await.ok()?;
    Some(ticket["id"].as_str().unwrap().to_string())
}

#[tokio::test]
async fn ticket_and_audit_survive_kill_right_after_the_answer() {
    let mut host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    for _ in 0..runs(3, 20) {
        let id = create(host.post("/support/tickets/create", &key))
            .await
            .expect("an answer");
        host.kill();
        host.restart();
        let found = host
            .get(&format!("/support/tickets/{id}"), &key)
            .send()
            .await
            .unwrap();
        assert_eq!(found.status(), StatusCode::OK, "the ticket is gone");
        let audits = host
            .get(&format!("/support/tickets/{id}/audits"), &key)
            .send()
            .await
            .unwrap();
        let audits: Value = audits.json().await.unwrap();
        assert_eq!(
            list(&audits).len(),
            1,
            "the audit row of the creation: {audits}"
        );
    }
}

/// The items of a list answer, whatever its envelope's name for them.
fn list(answer: &Value) -> &Vec<Value> {
    let object = answer.as_object().unwrap();
    object.values().find_map(Value::as_array).unwrap()
}

/// Creates tickets without a pause and keeps the ids that were acknowledged.
fn load(
    host: &Host,
    key: &str,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<(BTreeSet<String>, usize)> {
    let (request, stop) = (host.post("/support/tickets/create", key), stop.clone());
    tokio::spawn(async move {
        let (mut acknowledged, mut refused) = (BTreeSet::new(), 0);
        while !stop.load(Relaxed) {
            match create(request.try_clone().unwrap()).await {
                Some(id) => drop(acknowledged.insert(id)),
                None => refused += 1,
            }
        }
        (acknowledged, refused)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_restart_under_load_loses_no_acknowledged_ticket() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4).map(|_| load(&host, &key, &stop)).collect();
    let pid = host.pid();
    for signal in [libc::SIGINT, libc::SIGKILL, libc::SIGINT] {
        tokio::time::sleep(Duration::from_millis(800)).await;
        signal_process(host.postmaster_pid(), signal);
        recovers(&host, &key).await;
    }
    stop.store(true, Relaxed);
    let mut acknowledged = BTreeSet::new();
    for worker in workers {
        acknowledged.extend(worker.await.unwrap().0);
    }
    assert_eq!(host.pid(), pid, "the host itself went on");
    assert!(
        acknowledged.len() > 10,
        "the load did something: {}",
        acknowledged.len()
    );
    for id in &acknowledged {
        let status = found(&host, &key, id).await;
        assert_eq!(status, StatusCode::OK, "{id} was acknowledged and is gone");
    }
}

/// Whether a ticket is there, once the host can tell: connections that died with
/// the last restart may still have to be found out.
async fn found(host: &Host, key: &str, id: &str) -> StatusCode {
    let path = format!("/support/tickets/{id}");
    for _ in 0..600 {
        let status = host.get(&path, key).send().await.unwrap().status();
        if status != StatusCode::SERVICE_UNAVAILABLE {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    StatusCode::SERVICE_UNAVAILABLE
}

/// The host serves again by itself, and says 503 with Retry-After until then.
async fn recovers(host: &Host, key: &str) {
    for _ in 0..600 {
        let answer = host
            .post("/support/tickets/create", key)
            .json(&ticket())
            .send()
            .await
            .unwrap();
        if answer.status() == StatusCode::OK {
            return;
        }
        assert!(
            matches!(
                answer.status(),
                StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            "{answer:?}"
        );
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the host did not recover:\n{}", host.log());
}

#[tokio::test]
async fn postgres_away_is_503_with_retry_after_and_recovery_needs_no_restart() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    assert!(
        create(host.post("/support/tickets/create", &key))
            .await
            .is_some()
    );
    let postmaster = host.postmaster_pid();
    signal_process(postmaster, libc::SIGKILL);
    let mut seen = false;
    for _ in 0..200 {
        let answer = host.get("/support/tickets", &key).send().await.unwrap();
        seen |= answer.status() == StatusCode::SERVICE_UNAVAILABLE
            && answer.headers().contains_key("retry-after");
        if seen && answer.status() == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(seen, "nobody was told to come again");
    recovers(&host, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_what_is_under_way() {
    let mut host = Setup::new()
        .guest("sleeper", &["sql"], "sql_functions = [\"pg_sleep\"]")
        .start();
    let key = host.key("acme", &[]);
    let request = host.get("/sleeper", &key);
    let under_way: Vec<_> = (0..4)
        .map(|_| tokio::spawn(request.try_clone().unwrap().send()))
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    host.signal(libc::SIGTERM);
    for answer in under_way {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert!(host.stop().success());
}
