//! A collector that takes nothing harms nobody, and spans are bounded.

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::collector::Collector;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::{free_port, until};

/// Spans wait for no others.
const SOON: &str = "export_pause_ms = 20\n";
const DROPPED: &str = "hearth_trace_spans_dropped_total";

fn host(endpoint: &str, more: &str) -> Host {
    Setup::new()
        .guest("effects", &["sql"], "")
        .config(&format!(
            "[telemetry]\nlog_format = \"json\"\n[telemetry.traces]\nendpoint = {endpoint:?}\n\
             sample_ratio = 1.0\nexport_ms_max = 200\n{more}"
        ))
        .start()
}

async fn ask(host: &Host, key: &str, times: usize) {
    for _ in 0..times {
        let answer = host.get("/effects/", key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

async fn dropped(host: &Host, reason: &str) -> f64 {
    host.metric(DROPPED, &[&format!("reason={reason:?}")]).await
}

/// What the log says of the collector.
fn told(host: &Host) -> Vec<Value> {
    let log = host.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["backend"] == "collector")
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collector_that_is_unavailable_is_reported_once_and_what_it_did_not_take_is_counted() {
    let host = host(&format!("http://127.0.0.1:{}", free_port()), SOON);
    let key = host.key("acme", &[]);
    ask(&host, &key, 20).await;
    until(async || dropped(&host, "unavailable").await >= 20.0).await;
    ask(&host, &key, 20).await;
    until(async || dropped(&host, "unavailable").await >= 40.0).await;
    until(async || !told(&host).is_empty()).await;
    let told = told(&host);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["level"], "WARN");
    assert_eq!(told[0]["message"], "collector is unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collector_that_never_answers_holds_up_no_request_and_no_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut host = host(&endpoint, &format!("{SOON}bytes_max = 65_536"));
    let key = host.key("acme", &[]);
    // More than there is room for, while the first export waits.
    until(async || {
        ask(&host, &key, 20).await;
        dropped(&host, "share_full").await > 0.0
    })
    .await;
    until(async || dropped(&host, "unavailable").await > 0.0).await;
    assert!(host.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_with_more_spans_than_it_may_have_keeps_the_first_ones() {
    let collector = Collector::start().await;
    let host = host(&collector.url, &format!("{SOON}spans_max = 2"));
    let key = host.key("acme", &[]);
    ask(&host, &key, 1).await;
    until(async || dropped(&host, "over_limit").await > 0.0).await;
    until(async || !collector.spans().is_empty()).await;
    assert_eq!(collector.spans().len(), 2);
    let exported = async || host.metric("hearth_trace_spans_exported_total", &[]).await;
    until(async || exported().await == 2.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_the_host_stops_is_exported() {
    let collector = Collector::start().await;
    let mut host = host(&collector.url, "export_pause_ms = 60_000");
    let key = host.key("acme", &[]);
    ask(&host, &key, 1).await;
    assert!(host.stop().success());
    assert!(!collector.spans().is_empty());
}
