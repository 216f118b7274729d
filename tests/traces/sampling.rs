//! Which traces are exported: those that were sampled, and always what failed or took long.

use reqwest::StatusCode;

use super::{PARENT, TRACE, lines, named, names, traceparent};
use crate::harness::collector::Collector;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

async fn host(collector: &Collector, more: &str) -> (Host, String) {
    let setup = Setup::new().guest("effects", &["sql"], "");
    let host = collector.configure(setup, more).start();
    let key = host.key("acme", &[]);
    (host, key)
}

async fn read(host: &Host, key: &str, header: (&str, &str)) {
    let request = host.get("/effects/", key).header(header.0, header.1);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

/// A request that fails, and is exported whatever else is.
async fn fail(host: &Host, key: &str) {
    let answer = host.post("/effects/refuse", key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_host_that_samples_nothing_what_failed_is_exported_all_the_same() {
    let collector = Collector::start().await;
    let (host, key) = host(&collector, "sample_ratio = 0.0").await;
    read(&host, &key, ("x-none", "")).await;
    fail(&host, &key).await;
    let failed = collector.named("POST /effects").await;
    assert!(failed.has_failed());
    assert_eq!(failed.attribute("error.type"), "500");
    assert_eq!(failed.parent(), "");
    assert!(failed.traceparent().ends_with("-00"));
    let spans = collector.spans();
    let same: Vec<_> = spans.iter().map(|span| span.trace()).collect();
    assert!(
        same.iter().all(|trace| *trace == failed.trace()),
        "{spans:?}"
    );
    assert!(names(&spans).contains(&"effects handle"));
    let line = || {
        lines(&host, "access")
            .into_iter()
            .find(|line| line["status"] == 500)
    };
    until(async || line().is_some()).await;
    assert_eq!(line().unwrap()["trace_id"], failed.trace());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_host_that_samples_nothing_what_took_long_is_exported_all_the_same() {
    let collector = Collector::start().await;
    let functions = "sql_functions = [\"pg_sleep\"]";
    let setup = Setup::new().guest("sleeper", &["sql"], functions);
    let more = "sample_ratio = 0.0\nslow_ms = 200";
    let host = collector.configure(setup, more).start();
    let key = host.key("acme", &[]);
    let answer = host.get("/sleeper/", &key).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let slow = collector.named("GET /sleeper").await;
    assert!(!slow.has_failed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_that_waits_for_another_call_holds_no_trace_back() {
    let collector = Collector::start().await;
    let grants = ["queue:secrets", "consume:secrets"];
    let setup = Setup::new().guest("keeper", &grants, "");
    let host = collector.configure(setup, "sample_ratio = 1.0").start();
    let key = host.key("acme", &[]);
    let answer = host
        .post("/keeper/", &key)
        .body("one")
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let edge = collector.named("POST /keeper").await;
    let spans = collector.trace(&edge.trace());
    assert_eq!(named(&spans, "keeper handle").parent(), edge.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_s_decision_is_kept_where_it_can_be_read() {
    let collector = Collector::start().await;
    let (host, key) = host(&collector, "sample_ratio = 1.0").await;
    let unsampled = traceparent("00").replace(TRACE, &"a".repeat(32));
    read(&host, &key, ("traceparent", &unsampled)).await;
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    read(&host, &key, ("x-amzn-trace-id", xray)).await;
    read(&host, &key, ("traceparent", &traceparent("01"))).await;
    until(async || !collector.trace(TRACE).is_empty()).await;
    let edge = collector.trace(TRACE);
    assert_eq!(named(&edge, "GET /effects").parent(), PARENT);
    let of_xray = collector.trace("5759e988bd862e3fe1be46a994272793");
    assert_eq!(named(&of_xray, "GET /effects").parent(), "53995c3f42cd8ad8");
    assert_eq!(collector.trace(&"a".repeat(32)).len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_decides_nothing_where_the_operator_says_so() {
    let collector = Collector::start().await;
    let more = "sample_ratio = 0.0\nparent_based = false";
    let (host, key) = host(&collector, more).await;
    read(&host, &key, ("traceparent", &traceparent("01"))).await;
    fail(&host, &key).await;
    collector.named("POST /effects").await;
    assert_eq!(collector.trace(TRACE).len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_that_is_malformed_begins_a_trace() {
    let collector = Collector::start().await;
    let (host, key) = host(&collector, "sample_ratio = 1.0").await;
    let malformed = traceparent("01").to_uppercase();
    read(&host, &key, ("traceparent", &malformed)).await;
    let edge = collector.named("GET /effects").await;
    assert_eq!(edge.parent(), "");
    assert_ne!(edge.trace(), TRACE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_of_opentelemetry_configures_it_and_its_headers_are_kept_secret() {
    let collector = Collector::start().await;
    let host = Setup::new()
        .guest("effects", &["sql"], "")
        .config("[telemetry.traces]\nexport_pause_ms = 20")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2")
        .env("OTEL_SERVICE_NAME", "support")
        .env("OTEL_TRACES_SAMPLER_ARG", "1")
        .start();
    let key = host.key("acme", &[]);
    read(&host, &key, ("x-none", "")).await;
    collector.named("GET /effects").await;
    assert_eq!(collector.resource("service.name"), "support");
    assert_eq!(collector.header("authorization"), "Bearer hunter2");
    assert!(!host.log().contains("hunter2"), "{}", host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_without_a_collector_traces_nothing() {
    let host = Setup::new()
        .guest("effects", &["sql"], "")
        .config("[telemetry]\nlog_format = \"json\"")
        .start();
    let key = host.key("acme", &[]);
    read(&host, &key, ("traceparent", &traceparent("01"))).await;
    until(async || !lines(&host, "access").is_empty()).await;
    assert!(lines(&host, "access")[0]["trace_id"].is_null());
    assert_eq!(
        host.metric("hearth_trace_spans_exported_total", &[]).await,
        0.0
    );
}
