//! The capability as a component uses it, on a real host.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup, guest};

async fn ask(host: &Host, key: &str, method: Method, path: &str, body: &str) -> Value {
    let request = host.request(method, &format!("/cache{path}"), key);
    let answer = request.body(body.to_owned()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_caches_for_its_caller_until_it_says_otherwise_and_past_a_swap() {
    let host = Setup::new().guest("cache", &["cache"], "").start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let get =
        async |key: &str, of: &str| ask(&host, key, Method::GET, &format!("/keys/{of}"), "").await;
    for name in ["a", "b"] {
        let stored = ask(&host, &acme, Method::PUT, &format!("/keys/{name}"), "v").await;
        assert_eq!(stored, "Ok(())");
    }
    assert_eq!(get(&acme, "a").await, "v");
    assert_eq!(get(&globex, "a").await, Value::Null);
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let deploy = host
        .client
        .post(format!("{}/deployments?approve=cache", host.admin))
        .bearer_auth(token.trim())
        .body(std::fs::read(guest("cache")).unwrap());
    let report = deploy.send().await.unwrap().text().await.unwrap();
    assert!(report.contains("cache@2"), "{report}");
    assert_eq!(get(&acme, "a").await, "v", "it survives the swap");
    ask(&host, &acme, Method::DELETE, "/keys/a", "").await;
    assert_eq!(get(&acme, "a").await, Value::Null);
    assert_eq!(get(&acme, "b").await, "v");
    ask(&host, &globex, Method::DELETE, "/tags/all", "").await;
    assert_eq!(get(&acme, "b").await, "v", "a tag is the customer's own");
    ask(&host, &acme, Method::DELETE, "/tags/all", "").await;
    assert_eq!(get(&acme, "b").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_of_a_guest_that_traps_passes_on() {
    let host = Setup::new().guest("cache", &["cache"], "").start();
    let key = host.key("acme", &[]);
    let holder = host.post("/cache/computed/k", &key).body("300 trap").send();
    let holder = tokio::spawn(holder);
    let missed = ["plugin=\"cache\"", "outcome=\"miss\""];
    crate::harness::postgres::until(async || {
        host.metric("hearth_cache_lookups_total", &missed).await == 1.0
    })
    .await;
    let others: Vec<_> = (0..5)
        .map(|_| tokio::spawn(host.post("/cache/computed/k", &key).body("10").send()))
        .collect();
    let trapped = holder.await.unwrap().unwrap();
    assert_eq!(trapped.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let mut computed = 0;
    for other in others {
        let answer: Value = other.await.unwrap().unwrap().json().await.unwrap();
        match answer[0] == "found" {
            true => assert_eq!(answer, json!(["found", "10"])),
            false => computed += 1,
        }
    }
    assert_eq!(computed, 1);
    let twice = ask(&host, &key, Method::POST, "/twice/other", "").await;
    assert_eq!(twice, true, "a call does not wait for itself");
}
