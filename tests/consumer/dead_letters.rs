//! Dead letters on a real host: shown, put back, forgotten.

use std::process::Output;

use serde_json::{Value, json};

use super::fixture::{Worker, jobs};
use crate::harness::postgres::until;

/// A command of the binary against the first host.
fn run(worker: &Worker, args: &[&str]) -> Output {
    let token = worker
        .host
        .data_dir()
        .join("admin-token")
        .display()
        .to_string();
    let reach = ["--admin", &worker.host.admin, "--token-file", &token];
    worker.host.cli(&[&["dlq"], args, &reach].concat())
}

/// The same; it must end well.
fn dlq(worker: &Worker, args: &[&str]) -> String {
    let output = run(worker, args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_in_pages_and_shown_without_secrets() {
    let worker = Worker::start("", "").await;
    let key = worker.key("acme");
    let body = json!({"do": "dead", "note": "password=hunter2hunter2 \u{1b}[2J"});
    let ids = worker.send(&key, "", &jobs(0..5, body)).await;
    worker.until_settled("dead-letter", 5).await;
    // They are counted now and then.
    let counted = async || {
        let queues = dlq(&worker, &["list"]);
        let row = queues.lines().nth(1).unwrap_or_default();
        row.split_whitespace().collect::<Vec<_>>() == ["jobs", "0", "0", "0", "5", "-"]
    };
    until(counted).await;
    let mut seen = Vec::new();
    let mut before = Vec::new();
    loop {
        let args = [
            &["list", "--queue", "jobs", "--limit", "2", "--json"],
            &before[..],
        ]
        .concat();
        let page: Value = serde_json::from_str(&dlq(&worker, &args)).unwrap();
        let letters = page["dead_letters"].as_array().unwrap().iter();
        seen.extend(letters.map(|letter| letter["id"].as_str().unwrap().to_string()));
        let Some(next) = page["next"].as_i64() else {
            break;
        };
        before = vec!["--before", Box::leak(next.to_string().into_boxed_str())];
    }
    let (mut seen_sorted, mut ids_sorted) = (seen.clone(), ids.clone());
    seen_sorted.sort();
    ids_sorted.sort();
    assert_eq!(seen_sorted, ids_sorted, "each on one page");
    let shown = dlq(&worker, &["show", "--queue", "jobs", &ids[0]]);
    assert!(
        shown.contains("reason    nobody wants it: password=[redacted]"),
        "{shown}"
    );
    assert!(
        shown.contains("from      worker") && shown.contains("attempts  1"),
        "{shown}"
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_put_back_with_new_attempts_and_forgotten_for_good() {
    let worker = Worker::start("attempts_max = 2", "").await;
    let key = worker.key("acme");
    let ids = worker
        .send(&key, "", &jobs(0..3, json!({"do": "trap"})))
        .await;
    worker.until_settled("dead-letter", 3).await;
    assert_eq!(worker.settled("failed").await, 3.0);
    let told = dlq(&worker, &["redrive", "--queue", "jobs", &ids[1]]);
    assert_eq!(told, "1 dead letters are put back into the queue\n");
    worker.until_settled("dead-letter", 4).await;
    assert_eq!(
        worker.settled("failed").await,
        4.0,
        "it had two attempts again"
    );
    worker.until_empty().await;
    assert_eq!(worker.dead().await.len(), 3);
    let told = dlq(&worker, &["drop", "--queue", "jobs", &ids[0], "no-such"]);
    assert_eq!(told, "1 dead letters are forgotten\n");
    assert_eq!(
        dlq(&worker, &["drop", "--queue", "jobs", "--all"]),
        "2 dead letters are forgotten\n"
    );
    assert!(worker.dead().await.is_empty());
    assert_eq!(
        dlq(&worker, &["list", "--queue", "jobs"]),
        "no dead letters\n"
    );
    for mistyped in [
        &["redrive", "--queue", "job", "--all"][..],
        &["drop", "--queue", "job", "--all"],
        &["list", "--queue", "job"],
    ] {
        let refused = run(&worker, mistyped);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{mistyped:?}");
        assert!(told.contains("queue or dead letter not found"), "{told}");
    }
    worker.until_empty().await;
}
