//! `hearth top`: what the plugins of a running host do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::harness::host::{Host, Setup};

/// The cells of the row that begins with a name.
fn row(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines();
    let mut rows = lines.map(|line| line.split_whitespace().map(str::to_owned).collect());
    let row = rows.find(|cells: &Vec<String>| cells.first().is_some_and(|cell| cell == name));
    row.unwrap_or_else(|| panic!("no row of {name}:\n{text}"))
}

fn shown(host: &Host) -> String {
    let output = host.cli(&["top", "--once", "--interval", "1", "--admin", &host.admin]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_those_of_each_plugin_between_two_looks() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .guest("effects", &["sql"], "")
        .guest("overflow", &[], "")
        .start();
    let key = host.key("acme", &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, url) = (stop.clone(), host.url.clone());
    let client = reqwest::Client::new();
    let load = tokio::spawn(async move {
        while !stopped.load(Relaxed) {
            for path in ["/echo/large/1", "/effects/"] {
                let request = client.get(format!("{url}{path}"));
                let answer = request.header("x-api-key", &key).send().await.unwrap();
                assert!(answer.status().is_success(), "{path} {}", answer.status());
            }
        }
    });
    let text = tokio::task::block_in_place(|| shown(&host));
    stop.store(true, Relaxed);
    load.await.unwrap();
    let number = |row: &[String], column: usize| row[column].parse::<f64>().unwrap();
    let (echo, effects) = (row(&text, "echo"), row(&text, "effects"));
    for row in [&echo, &effects] {
        assert!(number(row, 1) > 0.0, "requests: {text}");
        assert_eq!(number(row, 2), 0.0, "failures: {text}");
        assert!(number(row, 3) <= number(row, 4), "quantiles: {text}");
        assert!(number(row, 5) > 0.0, "CPU: {text}");
    }
    assert_eq!((number(&echo, 6), number(&echo, 7)), (0.0, 0.0), "{text}");
    assert!(number(&effects, 6) > 0.0, "statements: {text}");
    let idle = row(&text, "overflow");
    assert_eq!(idle[1..5], ["0.0", "0.0", "-", "-"], "{text}");
}

#[test]
fn queues_are_shown_with_what_waits_in_them() {
    let host = Setup::new().notifications().start();
    let text = shown(&host);
    assert_eq!(row(&text, "notification-events")[1..], ["0"; 5], "{text}");
    assert!(text.contains("Postgres: "), "{text}");
}

#[test]
fn host_that_does_not_run_is_said_so() {
    let mut host = Setup::new().start();
    let admin = host.admin.clone();
    assert!(host.stop().success());
    let output = host.cli(&["top", "--once", "--admin", &admin]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(told.contains("is `hearth serve` running?"), "{told}");
}
