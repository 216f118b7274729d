//! Answers that the host keeps for a plugin: whose they are, and when they go.

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::harness::host::{Host, Setup, guest};
use crate::harness::postgres::{Cluster, until};

fn host() -> Host {
    Setup::new().guest("cached", &["cache"], "").start()
}

fn said(answer: &Response) -> String {
    let header = answer.headers().get("x-cache");
    header.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// What the cache said, and the answer.
async fn get(host: &Host, key: &str, path: &str) -> (String, Value) {
    let answer = host.get(path, key).send().await.unwrap();
    (said(&answer), answer.json().await.unwrap())
}

async fn put(host: &Host, key: &str, path: &str, body: &str) {
    let request = host.request(Method::PUT, path, key);
    let answer = request.body(body.to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn answer_is_kept_for_its_customer_and_scopes_and_for_nobody_else() {
    let host = host();
    let acme = host.key("acme", &[]);
    let agent = host.key("acme", &["--scope", "agent"]);
    let globex = host.key("globex", &[]);
    let path = "/cached/things/a";
    let (first, made) = get(&host, &acme, path).await;
    assert_eq!(first, "MISS");
    for key in [&agent, &globex] {
        let (said, other) = get(&host, key, path).await;
        assert_eq!(said, "MISS");
        assert_ne!(other["made"], made["made"]);
    }
    assert_eq!(get(&host, &agent, path).await.1["agent"], true);
    // Another key of the same customer with the same scopes.
    let second = host.key("acme", &[]);
    assert_eq!(get(&host, &second, path).await, ("HIT".into(), made));
    let answer = host.get(path, &acme).send().await.unwrap();
    assert!(answer.headers().contains_key("age"));
    assert_eq!(answer.headers()["hearth-plugin"], "cached@1");
    assert!(!answer.headers().contains_key("hearth-cache-tag"));
}

#[tokio::test]
async fn what_may_change_the_answer_is_part_of_its_key() {
    let host = host();
    let key = host.key("acme", &[]);
    let (_, made) = get(&host, &key, "/cached/things/a?wait=1&x=2").await;
    let (said, same) = get(&host, &key, "/cached/things/a?x=2&wait=1").await;
    assert_eq!((said.as_str(), &same), ("HIT", &made));
    for path in ["/cached/things/a?wait=2&x=2", "/cached/things/b?wait=1&x=2"] {
        let answer = host.get(path, &key).send().await.unwrap();
        assert_eq!(said_of(answer), "MISS");
    }
    let request = host.get("/cached/things/a?wait=1&x=2", &key);
    let other = request.header("accept", "text/plain").send().await.unwrap();
    assert_eq!(said_of(other), "MISS", "the route varies by Accept");
    let request = host.get("/cached/things/a?wait=1&x=2", &key);
    let fresh = request.header("cache-control", "no-cache").send().await;
    assert_eq!(said_of(fresh.unwrap()), "BYPASS");
    // Neither a cookie's answer nor a route that is not listed is kept.
    for _ in 0..2 {
        assert_eq!(get(&host, &key, "/cached/cookie").await.0, "MISS");
        let plain = host.get("/cached/plain", &key).send().await.unwrap();
        assert_eq!(said_of(plain), "");
    }
}

fn said_of(answer: Response) -> String {
    said(&answer)
}

#[tokio::test]
async fn answer_is_gone_at_once_when_its_tag_is_invalidated() {
    let host = host();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    for version in 0..5 {
        put(&host, &acme, "/cached/things/a", &version.to_string()).await;
        for said in ["MISS", "HIT"] {
            let (found, answer) = get(&host, &acme, "/cached/things/a").await;
            assert_eq!(
                (found.as_str(), &answer["value"]),
                (said, &Value::from(version.to_string()))
            );
        }
    }
    get(&host, &acme, "/cached/things/b").await;
    get(&host, &globex, "/cached/things/a").await;
    put(&host, &acme, "/cached/things/a", "other").await;
    assert_eq!(get(&host, &acme, "/cached/things/b").await.0, "HIT");
    assert_eq!(get(&host, &globex, "/cached/things/a").await.0, "HIT");
    // A tag that the answer's header named.
    let all = host.request(Method::DELETE, "/cached/tags/things", &acme);
    all.send().await.unwrap();
    assert_eq!(get(&host, &acme, "/cached/things/b").await.0, "MISS");
    // What is not there is remembered until it is.
    put(&host, &acme, "/cached/things/c", "gone").await;
    for said in ["MISS", "HIT"] {
        let answer = host.get("/cached/things/c", &acme).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(said_of(answer), said);
    }
    put(&host, &acme, "/cached/things/c", "back").await;
    assert_eq!(
        get(&host, &acme, "/cached/things/c").await.1["value"],
        "back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_was_under_way_during_an_invalidation_is_not_kept() {
    let host = host();
    let key = host.key("acme", &[]);
    put(&host, &key, "/cached/things/a", "old").await;
    let path = "/cached/things/a?wait=2000";
    let slow = tokio::spawn(host.get(path, &key).send());
    let running = async || host.metric("hearth_instances_in_flight", &["cached"]).await == 1.0;
    until(running).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    put(&host, &key, "/cached/things/a", "new").await;
    let old: Value = slow.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(old["value"], "old", "it read before the change");
    let (said, new) = get(&host, &key, path).await;
    assert_eq!(
        (said.as_str(), &new["value"]),
        ("MISS", &Value::from("new"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_miss_together_ask_the_plugin_once() {
    let host = Setup::new()
        .guest("cached", &["cache"], "")
        .config("[response_cache]\nwait_ms_max = 60_000")
        .start();
    let key = host.key("acme", &[]);
    let path = "/cached/things/a?wait=500";
    let requests: Vec<_> = (0..50)
        .map(|_| tokio::spawn(host.get(path, &key).send()))
        .collect();
    let mut made = Vec::new();
    for request in requests {
        let answer: Value = request.await.unwrap().unwrap().json().await.unwrap();
        made.push(answer["made"].to_string());
    }
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
}

#[tokio::test]
async fn new_version_of_a_plugin_begins_without_the_answers_of_the_old_one() {
    let host = host();
    let key = host.key("acme", &[]);
    for said in ["MISS", "HIT"] {
        assert_eq!(get(&host, &key, "/cached/things/a").await.0, said);
    }
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let deploy = host
        .client
        .post(format!("{}/deployments?approve=cache", host.admin))
        .bearer_auth(token.trim())
        .body(std::fs::read(guest("cached")).unwrap());
    let report = deploy.send().await.unwrap().text().await.unwrap();
    assert!(report.contains("cached@2"), "{report}");
    assert_eq!(get(&host, &key, "/cached/things/a").await.0, "MISS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_declares_stale_no_host_of_the_fleet_serves() {
    let cluster = Cluster::start().await;
    let url = format!("[database]\nurl = {:?}", cluster.url());
    let start = || {
        Setup::new()
            .guest("cached", &["cache"], "")
            .config(&url)
            .start()
    };
    let (one, two) = (start(), start());
    // Each has a root secret of its own here, and so keys of its own.
    let (key_one, key_two) = (one.key("acme", &[]), two.key("acme", &[]));
    let path = "/cached/things/a";
    until(async || get(&two, &key_two, path).await.0 == "HIT").await;
    put(&one, &key_one, path, "new").await;
    until(async || get(&two, &key_two, path).await.0 == "MISS").await;
}

#[tokio::test]
async fn customer_that_fills_its_share_loses_its_own_oldest() {
    let host = Setup::new()
        .guest("cached", &["cache"], "")
        .config("[response_cache]\nbytes_max = 100_000")
        .start();
    let (quiet, greedy) = (host.key("acme", &[]), host.key("globex", &[]));
    let said = async |key: &str, number: usize| {
        let path = format!("/cached/things/{number}");
        get(&host, key, &path).await.0
    };
    for number in 0..10 {
        assert_eq!(said(&quiet, number).await, "MISS");
    }
    for number in 0..200 {
        assert_eq!(said(&greedy, number).await, "MISS");
        assert_eq!(said(&greedy, number).await, "HIT");
    }
    for number in 0..10 {
        assert_eq!(said(&quiet, number).await, "HIT");
    }
    assert_eq!(said(&greedy, 199).await, "HIT");
    assert_eq!(said(&greedy, 0).await, "MISS");
}

#[test]
fn routes_of_a_manifest_are_checked_with_every_mistake_at_once() {
    let manifest = r#"
name = "cached"
version = "0.1.0"
mount = "/cached"
world = "plugin"
[[response_cache]]
path = "things"
tags = ["thing:{id}", ""]
vary = ["Accept"]
"#;
    let error = hearth::plugin::manifest::Manifest::parse(manifest).unwrap_err();
    let told = error.to_string();
    for wanted in [
        "response_cache.path",
        "response_cache.ttl_ms` is missing",
        "no parameter `id`",
        "1 to 128 bytes",
        "not the name of a header",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}
