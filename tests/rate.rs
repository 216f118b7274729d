//! Rate limits: by tier, for a customer, over the fleet.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::{Cluster, until};

fn echo() -> Setup {
    Setup::new()
        .config("[plugin_defaults]\ncpu_ms_max = 2000\n")
        .guest("echo", &[], "")
}

fn key(host: &Host, customer: &str, tier: &str) -> String {
    let made = host.cli(&["keys", "create", "--customer", customer, "--tier", tier]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let text = String::from_utf8(made.stdout).unwrap();
    text.lines().last().unwrap().to_owned()
}

async fn ask(host: &Host, key: &str) -> Response {
    host.get("/echo", key).send().await.unwrap()
}

fn field(answer: &Response, name: &str) -> Option<String> {
    let value = answer.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

/// An item of RFC 9651 that is a string with whole numbers as parameters, read
/// by that document's grammar.
fn item(text: &str) -> (String, Vec<(String, u64)>) {
    let rest = text
        .strip_prefix('"')
        .expect("a string begins with a quote");
    let (name, rest) = rest.split_once('"').expect("a string ends with a quote");
    assert!(name.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let parameter = |text: &str| {
        let (key, value) = text.split_once('=').expect("a parameter has a value");
        assert!(key.starts_with(|first: char| first.is_ascii_lowercase()));
        assert!(value.len() <= 15 && value.bytes().all(|byte| byte.is_ascii_digit()));
        (key.to_owned(), value.parse().unwrap())
    };
    let mut parts = rest.split(';');
    assert_eq!(
        parts.next(),
        Some(""),
        "nothing stands before the parameters"
    );
    (name.to_owned(), parts.map(parameter).collect())
}

fn parameters(answer: &Response, name: &str, keys: [&str; 2]) -> (String, [u64; 2]) {
    let text = field(answer, name).unwrap_or_else(|| panic!("no {name}"));
    let (policy, found) = item(&text);
    let names: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names, keys, "{text}");
    (policy, [found[0].1, found[1].1])
}

/// Asks until the answer is 429.
async fn exhaust(host: &Host, key: &str) -> Response {
    for _ in 0..10_000 {
        let answer = ask(host, key).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return answer;
        }
        assert_eq!(answer.status(), StatusCode::OK);
    }
    panic!("no limit");
}

/// A limit that one client reaches however slow this machine is.
fn narrow() -> Setup {
    echo().config("[rate]\nfree = { per_second = 1, burst = 5 }\n")
}

#[tokio::test]
async fn every_answer_tells_the_policy_and_what_is_left() {
    let host = echo().start();
    let limits = [("free", 20), ("standard", 100), ("premium", 400)];
    for (tier, burst) in limits {
        let key = key(&host, tier, tier);
        for path in ["/echo", "/echo/nothing/here", "/echo/bad-header"] {
            let answer = host.get(path, &key).send().await.unwrap();
            let policy = parameters(&answer, "ratelimit-policy", ["q", "w"]);
            assert_eq!(policy, (tier.to_owned(), [burst, 2]), "{path}");
            let (named, [left, reset]) = parameters(&answer, "ratelimit", ["r", "t"]);
            assert_eq!(named, tier);
            assert!(left < burst && reset <= 2, "{path}: {left} {reset}");
        }
    }
}

#[tokio::test]
async fn callers_without_a_limit_are_told_none() {
    let host = echo().start();
    let key = key(&host, "acme", "unlimited");
    for _ in 0..500 {
        let answer = ask(&host, &key).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(field(&answer, "ratelimit"), None);
        assert_eq!(field(&answer, "ratelimit-policy"), None);
    }
    let nobody = ask(&host, "no-key").await;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(field(&nobody, "ratelimit-policy"), None);
}

#[tokio::test]
async fn customer_at_its_limit_comes_in_after_retry_after() {
    let host = narrow().start();
    let key = key(&host, "acme", "free");
    for _ in 0..runs(2, 10) {
        let refused = exhaust(&host, &key).await;
        let wait: u64 = field(&refused, "retry-after").unwrap().parse().unwrap();
        let (_, [left, reset]) = parameters(&refused, "ratelimit", ["r", "t"]);
        assert_eq!((left, reset), (0, wait));
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["type"], "urn:hearth:problem:too-many-requests");
        assert_eq!(problem["blame"], "client");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(ask(&host, &key).await.status(), StatusCode::OK);
    }
    let limited = host
        .metric("hearth_requests_limited_total", &["tier=\"free\""])
        .await;
    assert!(limited >= 2.0);
}

#[tokio::test]
async fn keys_of_one_customer_share_its_limit_and_another_customer_has_its_own() {
    let host = narrow().start();
    let (one, two) = (key(&host, "greedy", "free"), key(&host, "greedy", "free"));
    let other = key(&host, "other", "standard");
    exhaust(&host, &one).await;
    let mut refused = 0;
    for _ in 0..50 {
        let answer = ask(&host, &two).await;
        refused += usize::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask(&host, &other).await.status(), StatusCode::OK);
    }
    assert!(refused > 0, "another key has a limit of its own");
}

#[tokio::test]
async fn change_of_a_tier_changes_the_limit() {
    let host = narrow().start();
    let first = key(&host, "acme", "free");
    exhaust(&host, &first).await;
    key(&host, "acme", "unlimited");
    until(async || field(&ask(&host, &first).await, "ratelimit").is_none()).await;
    assert_eq!(ask(&host, &first).await.status(), StatusCode::OK);
}

#[test]
fn limits_that_make_no_sense_are_refused_with_their_names() {
    let refused = Setup::new()
        .config("[rate]\nexchange_ms = 1\nfree = { per_second = 0, burst = 5 }\n")
        .config("[admission]\ncustomer_waiting_percent_max = 101\n")
        .refused();
    assert_eq!(refused.status.code(), Some(64));
    let told = String::from_utf8(refused.stderr).unwrap();
    let keys = ["exchange_ms", "per_second", "customer_waiting_percent_max"];
    for key in keys {
        assert!(told.contains(key), "`{key}` is missing in: {told}");
    }
}

/// A host on a Postgres that it shares with others.
fn member(cluster: &Cluster) -> Host {
    let database = format!("[database]\nurl = {:?}\n", cluster.url());
    echo().config(&database).start()
}

/// Sends requests one after the other and counts those that passed.
async fn press(host: &Host, key: &str, until: Instant) -> (u64, u64) {
    let (mut passed, mut asked) = (0, 0);
    while Instant::now() < until {
        let status = ask(host, key).await.status();
        assert!([StatusCode::OK, StatusCode::TOO_MANY_REQUESTS].contains(&status));
        passed += u64::from(status == StatusCode::OK);
        asked += 1;
    }
    (passed, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_admit_the_limit_together() {
    let cluster = Cluster::start().await;
    let (first, second) = (member(&cluster), member(&cluster));
    let keys = (key(&first, "acme", "free"), key(&second, "acme", "free"));
    both_hear_one_another(&cluster).await;
    let began = Instant::now();
    let end = began + Duration::from_secs(runs(8, 60) as u64);
    let (one, two) = tokio::join!(press(&first, &keys.0, end), press(&second, &keys.1, end));
    within_a_tenth(one.0 + two.0, began.elapsed());
    assert!(one.1 > one.0 && two.1 > two.0, "the limit was not reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_gets_all_traffic_gives_out_the_whole_limit() {
    let cluster = Cluster::start().await;
    let (first, _second) = (member(&cluster), member(&cluster));
    let key = key(&first, "acme", "free");
    both_hear_one_another(&cluster).await;
    let began = Instant::now();
    let end = began + Duration::from_secs(runs(4, 60) as u64);
    let (passed, _) = press(&first, &key, end).await;
    within_a_tenth(passed, began.elapsed());
}

/// Against the time that really went by, which is what the limit counts in.
#[track_caller]
fn within_a_tenth(passed: u64, elapsed: Duration) {
    let allowed = 10.0 * elapsed.as_secs_f64() + 20.0;
    let off = (passed as f64 - allowed).abs() / allowed;
    assert!(
        off <= 0.1,
        "{passed} passed in {elapsed:?}, where {allowed:.0} are allowed"
    );
}

async fn both_hear_one_another(cluster: &Cluster) {
    let client = cluster.connect(None).await;
    until(async || {
        let count = "SELECT count(*) FROM hearth.rate_hosts";
        client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_and_requests_are_answered_while_postgres_is_away() {
    let mut cluster = Cluster::start().await;
    let host = member(&cluster);
    let key = key(&host, "acme", "free");
    assert_eq!(ask(&host, &key).await.status(), StatusCode::OK);
    cluster.pause().await;
    let refused = exhaust(&host, &key).await;
    assert!(field(&refused, "retry-after").is_some());
    cluster.resume().await;
}
