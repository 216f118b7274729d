//! Trouble in Postgres, as an operator sees it: what the metrics, the log and the access
//! lines say while a real host suffers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::{free_port, until};

const DURATION: &str = "hearth_db_client_operation_duration_seconds";

fn host(fleet: &Fleet, more: &str) -> Host {
    fleet.host(|setup| {
        setup
            .config(more)
            .config("[idempotency]\nbeat_ms = 100\nsilence_ms_max = 1000")
            .guest("effects", &["sql"], "")
    })
}

/// The lines of the log that tell of Postgres.
fn lines(host: &Host) -> Vec<Value> {
    lines_of(host, "postgres")
}

fn lines_of(host: &Host, backend: &str) -> Vec<Value> {
    let log = host.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["backend"] == backend)
        .collect()
}

fn messages(host: &Host) -> Vec<String> {
    let lines = lines(host).into_iter();
    lines
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Customers that ask again and again, until they are told to stop.
fn load(host: &Host, key: &str, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for _ in 0..16 {
        let (client, stop) = (host.client.clone(), stop.clone());
        let (url, key) = (format!("{}/effects/", host.url), key.to_owned());
        workers.spawn(async move {
            while !stop.load(Relaxed) {
                let _ = client.get(&url).header("x-api-key", &key).send().await;
            }
        });
    }
    workers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_is_reported_once_with_plugin_and_statement_and_so_is_its_end() {
    let fleet = Fleet::start().await;
    let config = "lock_ms_max = 2_000\n[telemetry]\nlog_format = \"json\"\n\
                  log_slow_ms = 1_900\nlog_recovered_ms = 4_000";
    let host = host(&fleet, config);
    let key = host.key("acme", &[]);
    let before = host.get("/effects/", &key).send().await.unwrap();
    assert_eq!(before.status(), StatusCode::OK);
    let mut database = fleet.cluster.connect(None).await;
    let lock = database.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE plugin_effects.rows IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = load(&host, &key, &stop);
    let labels = [
        "plugin=\"effects\"",
        "statement=\"count\"",
        "operation=\"query\"",
        "outcome=\"lock_timeout\"",
    ];
    let count = format!("{DURATION}_count");
    until(async || host.metric(&count, &labels).await >= 12.0).await;
    lock.rollback().await.unwrap();
    assert!(host.metric(&format!("{DURATION}_sum"), &labels).await > 0.0);
    let waited = "hearth_db_client_operation_wait_seconds_total";
    assert!(host.metric(waited, &labels[..2]).await > 0.0);
    let trouble = ["backend=\"postgres\"", "state=\"slow\""];
    let is_slow = async || host.metric("hearth_backend_trouble", &trouble).await;
    assert_eq!(is_slow().await, 1.0);
    until(async || is_slow().await == 0.0).await;
    stop.store(true, Relaxed);
    while workers.join_next().await.is_some() {}
    until(async || messages(&host).len() >= 2).await;
    assert_eq!(
        messages(&host),
        ["postgres is slow", "postgres is no longer slow"]
    );
    let line = &lines(&host)[0];
    let said = (&line["level"], &line["plugin"], &line["statement"]);
    assert_eq!(said, (&"WARN".into(), &"effects".into(), &"count".into()));
    assert!(line["took_ms"].is_u64(), "{line}");
    let end = &lines(&host)[1];
    assert!(end["suppressed"].as_u64().unwrap() > 0, "{end}");
    assert!(!host.log().contains("SELECT"), "{}", host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_that_is_unavailable_is_reported_once_and_so_is_its_return() {
    let mut fleet = Fleet::start().await;
    let config = "[telemetry]\nlog_format = \"json\"\nlog_slow_ms = 60_000\n\
                  log_recovered_ms = 300";
    let host = host(&fleet, config);
    let key = host.key("acme", &[]);
    fleet.cluster.pause().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = load(&host, &key, &stop);
    let trouble = ["backend=\"postgres\"", "state=\"unavailable\""];
    let is_unavailable = async || host.metric("hearth_backend_trouble", &trouble).await;
    until(async || is_unavailable().await == 1.0).await;
    fleet.cluster.resume().await;
    until(async || is_unavailable().await == 0.0).await;
    stop.store(true, Relaxed);
    while workers.join_next().await.is_some() {}
    until(async || messages(&host).len() >= 2).await;
    assert_eq!(
        messages(&host),
        ["postgres is unavailable", "postgres is available again"]
    );
    assert!(lines(&host)[0]["reason"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_and_sqs_that_are_unavailable_are_reported_with_the_operation() {
    let nowhere = format!("endpoint_url = \"http://127.0.0.1:{}\"", free_port());
    let host = Setup::new()
        .config("[telemetry]\nlog_format = \"json\"")
        .config(&format!("[dynamodb]\n{nowhere}\nstart_ms_max = 100"))
        .config("[cache]\nshared = \"none\"")
        .config("[queue]\nbackend = \"sqs\"")
        .config(&format!(
            "[queue.sqs]\n{nowhere}\nregion = \"eu-central-1\""
        ))
        .config("queues = { webhook-events = \"one\", notification-events = \"other\" }")
        .guest(
            "teller",
            &["queue:webhook-events", "queue:notification-events"],
            "",
        )
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .start();
    let key = host.key("acme", &[]);
    let sent = host.post("/teller/webhook-events", &key).body("{}").send();
    assert_eq!(
        sent.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    for (backend, operation) in [("dynamodb", "DescribeTable"), ("sqs", "GetQueueUrl")] {
        let labels = [&*format!("backend=\"{backend}\""), "state=\"unavailable\""];
        until(async || host.metric("hearth_backend_trouble", &labels).await == 1.0).await;
        until(async || !lines_of(&host, backend).is_empty()).await;
        let lines = lines_of(&host, backend);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["message"], format!("{backend} is unavailable"));
        assert_eq!(lines[0]["statement"], operation);
        assert!(lines[0]["reason"].is_string(), "{lines:?}");
    }
}
