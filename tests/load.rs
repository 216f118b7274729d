//! `hearth load`: what it counts, what it prints and when it fails.

mod compare;
mod guide;
mod server;

use hearth::cli::load::report::Report;
use serde_json::Value;
use tokio::process::Command;

use self::server::{Behaviour, Server};
use crate::harness::host::binary;

/// What a command left.
struct Ended {
    code: i32,
    out: String,
    told: String,
}

impl Ended {
    #[track_caller]
    fn report(&self) -> Report {
        Report::parse(self.out.as_bytes())
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.told))
    }
}

async fn load(args: &[&str]) -> Ended {
    load_with("", args).await
}

async fn load_with(key: &str, args: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    let command = command
        .arg("load")
        .args(args)
        .env_remove("HEARTH_CONFIG")
        .env_remove("HEARTH_API_KEY");
    if !key.is_empty() {
        command.env("HEARTH_API_KEY", key);
    }
    let output = command.kill_on_drop(true).output().await.unwrap();
    Ended {
        code: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        told: String::from_utf8(output.stderr).unwrap(),
    }
}

/// How often each kind of failure was reported.
fn failures(report: &Report) -> Vec<(&str, u64)> {
    report
        .failures
        .iter()
        .map(|failed| (failed.kind.as_str(), failed.count))
        .collect()
}

/// Its own server answers the n-th request that arrives as the n-th behaviour
/// says, from the start again when all were used.
async fn against(behaviours: &[Behaviour], args: &[&str]) -> (Server, Ended) {
    let server = Server::start(behaviours).await;
    let ended = load(&[&["--url", &server.url], args].concat()).await;
    (server, ended)
}

#[tokio::test]
async fn every_kind_of_failure_is_counted_exactly() {
    use Behaviour::{Answer, Cut, Hang, Reset};
    let behaviours = [
        Answer(200),
        Answer(500),
        Answer(200),
        Reset,
        Answer(200),
        Cut,
        Answer(200),
        Hang,
        Answer(429),
        Answer(200),
    ];
    let args = [
        "--requests",
        "100",
        "--concurrency",
        "20",
        "--timeout-ms",
        "4000",
        "--json",
    ];
    let (server, ended) = against(&behaviours, &args).await;
    let report = ended.report();
    assert_eq!(server.requests(), 100, "each request is sent once");
    assert_eq!(
        (report.requests, report.succeeded, report.success_percent),
        (100, 50, 50.0)
    );
    assert_eq!(
        failures(&report),
        [
            ("status 429", 10),
            ("status 500", 10),
            ("timeout", 10),
            ("reset", 20)
        ]
    );
    assert_eq!(
        report
            .histogram
            .iter()
            .map(|bucket| bucket.count)
            .sum::<u64>(),
        50,
        "what succeeded is drawn"
    );
    assert_eq!(ended.code, 1);
    assert!(
        ended.told.contains("50 of 100 requests failed"),
        "{}",
        ended.told
    );
}

#[tokio::test]
async fn default_run_sends_the_guide_s_tickets_with_the_key() {
    let server = Server::start(&[Behaviour::Answer(200)]).await;
    let ended = load_with("hk_test", &["--url", &server.url]).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    assert!(ended.out.contains("success rate  100.0 %"), "{}", ended.out);
    for part in ["mean", "P50", "P95", "P99", "max", "#"] {
        assert!(
            ended.out.contains(part),
            "`{part}` is missing in: {}",
            ended.out
        );
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 100);
    for request in seen {
        assert_eq!(request.line, "POST /support/tickets/create");
        assert_eq!(
            (request.key.as_str(), request.content_type.as_str()),
            ("hk_test", "application/json")
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"subject": "Test", "description": "Load test", "priority": "medium"})
        );
    }
}

#[tokio::test]
async fn as_many_requests_are_under_way_as_asked_for() {
    // None of eight is answered before all eight are there: with fewer at once
    // every request would run into its time limit.
    let args = ["--requests", "80", "--concurrency", "8", "--json"];
    let (server, ended) = against(&[Behaviour::Together(8)], &args).await;
    assert_eq!(
        (ended.code, ended.report().succeeded),
        (0, 80),
        "{}",
        ended.told
    );
    assert_eq!(
        server.connections(),
        8,
        "one connection a client, kept alive"
    );
}

#[tokio::test]
async fn connection_that_the_host_closes_after_an_answer_is_no_failure() {
    let args = ["--requests", "40", "--concurrency", "4", "--json"];
    let (server, ended) = against(&[Behaviour::AnswerAndClose], &args).await;
    assert_eq!(
        (ended.code, ended.report().succeeded),
        (0, 40),
        "{}",
        ended.told
    );
    assert_eq!((server.requests(), server.connections()), (40, 40));
}

#[tokio::test]
async fn deployments_are_counted_by_their_label() {
    let behaviours = [
        Behaviour::By("tickets@1"),
        Behaviour::By("tickets@1"),
        Behaviour::By("tickets@2"),
    ];
    let (_server, ended) = against(
        &behaviours,
        &["--requests", "30", "--concurrency", "5", "--json"],
    )
    .await;
    let deployments: Vec<_> = ended.report().deployments.into_iter().collect();
    assert_eq!(
        deployments,
        [("tickets@1".to_string(), 20), ("tickets@2".to_string(), 10)]
    );
}

#[tokio::test]
async fn other_status_can_be_expected() {
    let args = [
        "--requests",
        "10",
        "--expect",
        "404",
        "--method",
        "get",
        "--path",
        "/nowhere?x=1",
        "--json",
    ];
    let (server, ended) = against(&[Behaviour::Answer(404)], &args).await;
    assert_eq!((ended.code, ended.report().succeeded), (0, 10));
    assert_eq!(
        (server.seen()[0].line.as_str(), server.seen()[0].body.len()),
        ("GET /nowhere?x=1", 0)
    );
}

#[tokio::test]
async fn host_that_does_not_listen_is_told_as_such() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let ended = load(&[
        "--url",
        &format!("http://127.0.0.1:{port}"),
        "--requests",
        "20",
        "--json",
    ])
    .await;
    let report = ended.report();
    assert_eq!(
        (failures(&report), &report.latency_us),
        (vec![("connect", 20)], &None)
    );
    assert_eq!(ended.code, 1);
    assert!(ended.told.contains("is a host listening"), "{}", ended.told);
}

#[tokio::test]
async fn server_that_speaks_no_http_is_told_as_such() {
    let (_server, ended) = against(&[Behaviour::Garbage], &["--requests", "5", "--json"]).await;
    assert_eq!(
        failures(&ended.report()),
        [("protocol", 5)],
        "{}",
        ended.out
    );
}

#[tokio::test]
async fn missing_key_is_hinted_at() {
    let (_server, ended) = against(&[Behaviour::Answer(401)], &["--requests", "5"]).await;
    assert!(ended.told.contains("no key was given"), "{}", ended.told);
}

#[tokio::test]
async fn strangers_are_refused_before_anything_is_sent() {
    for url in ["http://192.0.2.1:8080", "http://0.0.0.0:8080"] {
        let ended = load(&["--url", url]).await;
        assert_eq!((ended.code, ended.out.as_str()), (64, ""), "{url}");
        assert!(
            ended.told.contains("is not this machine") && ended.told.contains("--any-address"),
            "{}",
            ended.told
        );
    }
    let (_server, ended) = against(
        &[Behaviour::Answer(200)],
        &["--requests", "1", "--any-address"],
    )
    .await;
    assert_eq!(ended.code, 0, "{}", ended.told);
}

#[tokio::test]
async fn file_holds_the_same_json_and_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let args = [
        "--requests",
        "20",
        "--json",
        "--out",
        file.to_str().unwrap(),
    ];
    let (_server, ended) = against(&[Behaviour::Answer(200), Behaviour::Answer(503)], &args).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ended.out);
    let (report, text) = (Report::read(&file).unwrap(), ended.out.as_str());
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        serde_json::from_str::<Value>(text).unwrap()
    );
    assert_eq!(
        Report::parse(&serde_json::to_vec(&report).unwrap()).unwrap(),
        report
    );
    assert!(!text.contains("hk_"), "a report names no key");
}

#[tokio::test]
async fn report_that_cannot_be_kept_is_told_before_the_first_request() {
    let (server, ended) = against(
        &[Behaviour::Answer(200)],
        &["--out", "/nowhere/at/all.json"],
    )
    .await;
    assert_eq!((ended.code, server.requests()), (1, 0));
    assert!(
        ended.told.contains("cannot write /nowhere/at/all.json"),
        "{}",
        ended.told
    );
}
