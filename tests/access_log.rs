//! One line a request, and nothing in it that somebody wanted to keep.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;
use crate::harness::raw::exchange;

fn host(more: &str) -> Host {
    Setup::new()
        .guest("echo", &[], "")
        .config("[telemetry]\nlog_format = \"json\"")
        .config(more)
        .start()
}

fn lines(host: &Host) -> Vec<Value> {
    let log = host.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["target"] == "access")
        .collect()
}

/// The lines once there are so many: a thread of its own writes them.
async fn wait_for(host: &Host, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(60);
    while lines(host).len() < count {
        assert!(Instant::now() < until, "{}", host.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lines(host)
}

#[tokio::test]
async fn line_says_who_asked_what_and_how_it_went() {
    let host = host("");
    let key = host.key("acme", &[]);
    let request = host.get("/echo/large/3000?token=hunter2secret", &key);
    let request = request.header("user-agent", "probe/1.0 \"quoted\"");
    let answer = request
        .header("x-request-id", "req-1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), 3000);
    let line = &wait_for(&host, 1).await[0];
    for (field, expected) in [
        ("method", "GET"),
        ("path", "/echo/large/3000"),
        ("plugin", "echo"),
        ("request_id", "req-1"),
        ("protocol", "HTTP/1.1"),
        ("user_agent", "probe/1.0 \"quoted\""),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], 3000);
    assert_eq!(line["cut_off"], false);
    for field in ["duration_ms", "wait_us", "cpu_us", "sql_wait_us"] {
        assert!(line[field].is_u64(), "{field}: {line}");
    }
    assert_eq!(line["sql_us"], 0, "it has no database: {line}");
    assert!(
        line["customer"].as_str().unwrap().starts_with("cus_"),
        "{line}"
    );
    assert!(line["key"].is_string(), "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let log = host.log();
    assert!(!log.contains(&key) && !log.contains("hunter2secret"));
}

#[tokio::test]
async fn refused_requests_have_lines_too() {
    let host = host("");
    exchange(
        &host,
        b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    exchange(&host, b"GET /nowhere HTTP/1.0\r\n\r\n");
    let lines = wait_for(&host, 2).await;
    assert_eq!(
        (&lines[0]["status"], &lines[0]["plugin"]),
        (&401.into(), &"echo".into())
    );
    assert_eq!(lines[0]["deployment"], 1);
    assert_eq!(
        (&lines[1]["status"], &lines[1]["protocol"]),
        (&404.into(), &"HTTP/1.0".into())
    );
    assert!(lines[1].get("plugin").is_none() && lines[1].get("customer").is_none());
    for line in &lines {
        assert!(line.get("cpu_us").is_none(), "no plugin was asked: {line}");
    }
}

#[tokio::test]
async fn one_in_many_is_told_of_and_every_fault_is() {
    let host = host("[access_log]\none_in = 10");
    let key = host.key("acme", &[]);
    for _ in 0..20 {
        host.get("/echo", &key).send().await.unwrap();
        host.get("/echo/bad-status", &key).send().await.unwrap();
    }
    // Faults are told of whatever their turn, of the rest one in ten.
    let faults = || {
        let lines = lines(&host).into_iter();
        lines.filter(|line| line["status"] == 502).count()
    };
    until(async || faults() >= 20).await;
    host.client
        .get(format!("{}/healthz", host.url))
        .send()
        .await
        .unwrap();
    assert_eq!(faults(), 20);
    let all = lines(&host).len();
    assert!(all <= 25, "{all}");
}

#[tokio::test]
async fn switched_off_it_is_silent() {
    let mut host = host("[access_log]\nenabled = false");
    exchange(&host, b"GET /nowhere HTTP/1.0\r\n\r\n");
    host.stop();
    assert!(host.log().contains("draining"));
    assert_eq!(lines(&host).len(), 0);
}

#[tokio::test]
async fn line_says_how_long_the_request_was_in_the_database() {
    let host = Setup::new()
        .guest("effects", &["sql"], "")
        .config("[telemetry]\nlog_format = \"json\"")
        .start();
    let key = host.key("acme", &[]);
    let answer = host.get("/effects/", &key).send().await.unwrap();
    assert!(answer.status().is_success());
    let line = &wait_for(&host, 1).await[0];
    assert!(line["sql_us"].as_u64().unwrap() > 0, "{line}");
    assert!(line["cpu_us"].as_u64().unwrap() > 0, "{line}");
}
