//! Whom the admin listener answers.

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::harness::host::{Host, Setup};

/// A page of another origin asks for these.
const PATHS: [&str; 7] = [
    "/metrics", "/healthz", "/readyz", "/plugins", "/queues", "/logs", "/nothing",
];

fn port(host: &Host) -> u16 {
    host.admin.rsplit(':').next().unwrap().parse().unwrap()
}

/// A client to which the name is this machine, as it is to a browser whose page's
/// author says so.
fn client(name: &str, http2: bool) -> Client {
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let client = Client::builder().resolve(name, here);
    match http2 {
        true => client.http2_prior_knowledge(),
        false => client,
    }
    .build()
    .unwrap()
}

async fn ask(host: &Host, client: &Client, name: &str, path: &str) -> (StatusCode, String) {
    let url = format!("http://{name}:{}{path}", port(host));
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let answer = client.get(url).bearer_auth(token.trim()).send().await;
    let answer = answer.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_that_is_not_the_listeners_is_misdirected_on_every_path() {
    let host = Setup::new()
        .config("[admin]\nhosts = [\"hearth.internal\"]")
        .start();
    for http2 in [false, true] {
        let (evil, own) = (
            client("evil.example", http2),
            client("hearth.internal", http2),
        );
        for path in PATHS {
            let (status, body) = ask(&host, &evil, "evil.example", path).await;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{path}: {body}");
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["type"], "urn:hearth:problem:misdirected-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("evil.example"), "{detail}");
            assert!(detail.contains("admin.hosts"), "{detail}");
        }
        for name in ["hearth.internal", "localhost", "127.0.0.1"] {
            let (status, body) = ask(&host, &own, name, "/metrics").await;
            assert_eq!(status, StatusCode::OK, "{name}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_of_another_site_is_refused_and_a_tool_is_not() {
    let host = Setup::new().start();
    let url = format!("{}/metrics", host.admin);
    let tool = host.client.get(&url).send().await.unwrap();
    assert_eq!(tool.status(), StatusCode::OK);
    for site in ["cross-site", "same-site"] {
        let page = host.client.get(&url).header("sec-fetch-site", site);
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{site}");
        let problem: Value = page.json().await.unwrap();
        assert_eq!(problem["type"], "urn:hearth:problem:cross-site-request");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_want_the_token_that_the_operator_gave_them() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, "of-metrics\n").unwrap();
    let host = Setup::new()
        .config(&format!("[admin]\nmetrics_token_file = {:?}", token.path()))
        .start();
    let ask = async |path: &str, token: &str| {
        let request = host.client.get(format!("{}{path}", host.admin));
        let request = match token {
            "" => request,
            token => request.bearer_auth(token),
        };
        request.send().await.unwrap().status().as_u16()
    };
    let admin = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let admin = admin.trim();
    assert_eq!(ask("/metrics", "").await, 401);
    assert_eq!(ask("/metrics", "of-metric").await, 401);
    assert_eq!(ask("/metrics", "of-metrics").await, 200);
    assert_eq!(ask("/metrics", admin).await, 200);
    assert_eq!(ask("/plugins", "of-metrics").await, 401);
    assert_eq!(ask("/plugins", admin).await, 200);
    assert_eq!(ask("/healthz", "").await, 200);
}

#[test]
fn mistakes_in_the_section_are_told_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hearth.toml");
    let text = "[admin]\nmetrics_token_file = \"missing\"\n\
                hosts = [\"good.example\", \"http://evil.example\", \"a:1\", \"\"]\n";
    std::fs::write(&file, text).unwrap();
    let told = hearth::config::Config::load(Some(&file), &|_| None).unwrap_err();
    let keys: Vec<_> = told.mistakes.iter().map(|mistake| &*mistake.key).collect();
    assert!(keys.contains(&"admin.metrics_token_file"), "{told}");
    assert!(keys.contains(&"admin.hosts"), "{told}");
    let blamed = told.to_string();
    assert!(!blamed.contains("found \"good.example\""), "{blamed}");
}
