//! The capability as a component uses it, on a real host.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, guest};
use crate::harness::postgres::until;
use crate::harness::redis::Redis;

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

/// A store that is busy with other tests is not given up.
const PATIENT: &str = "[cache]\nshared_ms_max = 5_000";

/// Asks a guest to compute for all hosts: whether it did, the value, and `X-Cache`.
async fn compute(host: &Host, key: &str, name: &str, value: &str) -> (bool, String, String) {
    let path = format!("/cache/shared/{name}");
    let request = host.post(&path, key).body(value.to_owned());
    let answer = request.send().await.unwrap();
    let said = answer.headers()["x-cache"].to_str().unwrap().to_owned();
    let (computed, value): (bool, String) = answer.json().await.unwrap();
    (computed, value, said)
}

/// Computes under one new name after the other, until the host has a shared tier and
/// what it computed has reached it.
async fn share(host: &Host, key: &str) -> String {
    let written = async || {
        let name = "hearth_cache_shared_writes_total";
        host.metric(name, &["written"]).await
    };
    let (new, mut tries) = (rand::random::<u64>(), 0);
    let name = |tries: usize| format!("shared-{new}-{tries}");
    let before = written().await;
    until(async || {
        tries += 1;
        compute(host, key, &name(tries), "v").await.2 == "MISS"
    })
    .await;
    until(async || written().await > before).await;
    name(tries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_of_a_fleet_share_what_a_guest_computes_and_say_where_an_answer_came_from() {
    let (fleet, mut redis) = (Fleet::start().await, Redis::start().await);
    let with = |setup: Setup| {
        let section = format!("{PATIENT}\n[redis]\nurl = {:?}", redis.url());
        setup.guest("cache", &["cache"], "").config(&section)
    };
    let (one, two) = (fleet.host(with), fleet.host(with));
    let key = one.key("acme", &[]);
    let name = share(&one, &key).await;
    let found = |said: &str| (false, "v".to_owned(), said.to_owned());
    let made = |said: &str| (true, "w".to_owned(), said.to_owned());
    assert_eq!(compute(&one, &key, &name, "w").await, found("HIT"));
    assert_eq!(compute(&two, &key, &name, "w").await, found("HIT, shared"));
    assert_eq!(compute(&two, &key, &name, "w").await, found("HIT"));
    let served = ["plugin=\"cache\"", "outcome=\"shared\""];
    assert_eq!(two.metric("hearth_cache_lookups_total", &served).await, 1.0);

    ask(&one, &key, Method::DELETE, "/tags/all", "").await;
    assert_eq!(compute(&one, &key, &name, "w").await, made("MISS"));
    until(async || compute(&two, &key, &name, "w").await.1 == "w").await;

    let away = async || two.metric("hearth_cache_shared_unavailable", &[]).await == 1.0;
    redis.kill();
    for number in 0..20 {
        let name = format!("away-{number}");
        let told = compute(&two, &key, &name, "w").await;
        assert_eq!(told, made("MISS, shared-unavailable"));
    }
    assert!(away().await);
    assert_eq!(
        compute(&two, &key, "away-0", "x").await,
        (false, "w".into(), "HIT".into())
    );
    redis.resume().await;
    until(async || !away().await).await;
    // The other one finds out for itself.
    share(&one, &key).await;
    let name = share(&two, &key).await;
    assert_eq!(compute(&one, &key, &name, "w").await.2, "HIT, shared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cached_for_all_hosts_survives_the_death_of_the_only_one() {
    let setup = Setup::new().guest("cache", &["cache"], "");
    let mut host = setup.config(PATIENT).start();
    let key = host.key("acme", &[]);
    let name = share(&host, &key).await;
    host.kill();
    host.restart();
    // It listens soon after it serves; until then it trusts nothing.
    share(&host, &key).await;
    let (computed, value, said) = compute(&host, &key, &name, "w").await;
    assert!(!computed);
    assert_eq!((value.as_str(), said.as_str()), ("v", "HIT, shared"));
}
