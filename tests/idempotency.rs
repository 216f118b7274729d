//! `Idempotency-Key`: a request that is sent again has one effect.

pub mod crash;
mod refusals;
mod scopes;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};

/// Hosts are found dead soon, for these tests kill many.
pub const QUICK: &str = "[idempotency]\nbeat_ms = 100\nsilence_ms_max = 1000";

fn effects() -> Setup {
    Setup::new().config(QUICK).guest("effects", &["sql"], "")
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("idempotency-key", key)
}

async fn post(host: &Host, path: &str, api_key: &str, key: &str) -> Response {
    keyed(host.post(path, api_key), key).send().await.unwrap()
}

async fn rows(host: &Host, api_key: &str) -> i64 {
    let answer = host.get("/effects/", api_key).send().await.unwrap();
    answer.json().await.unwrap()
}

fn replayed(answer: &Response) -> bool {
    answer
        .headers()
        .get("idempotency-replayed")
        .is_some_and(|value| value == "true")
}

async fn kind(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let problem: Value = answer.json().await.unwrap();
    let kind = problem["type"].as_str().unwrap();
    (status, kind.rsplit(':').next().unwrap().to_string())
}

#[tokio::test]
async fn every_way_of_writing_happens_once_and_is_answered_alike() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    let ways = ["lone", "batch", "batch-with-rows", "transaction"];
    for (count, way) in (1..).zip(ways) {
        let path = format!("/effects/{way}");
        let first = post(&host, &path, &key, way).await;
        assert!(first.status().is_success() && !replayed(&first), "{way}");
        let status = first.status();
        let body = first.bytes().await.unwrap();
        let second = post(&host, &path, &key, way).await;
        assert!(replayed(&second), "{way}: {second:?}");
        assert_eq!(
            (second.status(), second.bytes().await.unwrap()),
            (status, body)
        );
        assert_eq!(rows(&host, &key).await, count, "{way}");
    }
}

#[tokio::test]
async fn request_of_two_transactions_is_replayed_whole() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    assert_eq!(post(&host, "/effects/twice", &key, "k").await.status(), 201);
    assert!(replayed(&post(&host, "/effects/twice", &key, "k").await));
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn same_key_with_another_request_is_422() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    let create = |path: &str, subject: &str| {
        let body = json!({"subject": subject, "description": "d"});
        keyed(host.post(path, &key), "k").json(&body).send()
    };
    let first = create("/support/tickets", "one").await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let location = first.headers()["location"].clone();
    for (path, subject) in [
        ("/support/tickets", "two"),
        ("/support/tickets/create", "one"),
    ] {
        let other = create(path, subject).await.unwrap();
        let mismatch = (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-mismatch".into(),
        );
        assert_eq!(kind(other).await, mismatch);
    }
    let again = create("/support/tickets", "one").await.unwrap();
    assert!(replayed(&again));
    assert_eq!(again.headers()["location"], location);
}

#[tokio::test]
async fn keys_belong_to_their_customer_and_plugin() {
    let host = effects().guest("trap", &["sql"], "").start();
    let (acme, other) = (host.key("acme", &[]), host.key("other", &[]));
    for key in [&acme, &other] {
        let answer = post(&host, "/effects/lone", key, "k").await;
        assert!(!replayed(&answer) && answer.status() == StatusCode::CREATED);
    }
    assert_eq!(
        (rows(&host, &acme).await, rows(&host, &other).await),
        (1, 1)
    );
    let elsewhere = post(&host, "/trap/", &acme, "k").await;
    assert_eq!(elsewhere.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn reads_and_requests_without_a_key_are_left_alone() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    for _ in 0..2 {
        let get = keyed(host.get("/effects/", &key), "k")
            .send()
            .await
            .unwrap();
        assert!(!replayed(&get) && get.status() == StatusCode::OK);
        let plain = host.post("/effects/lone", &key).send().await.unwrap();
        assert_eq!(plain.status(), StatusCode::CREATED);
    }
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn keys_that_are_none_are_400() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    for bad in ["", "\"\"", &"k".repeat(256)] {
        let answer = post(&host, "/effects/lone", &key, bad).await;
        let expected = (StatusCode::BAD_REQUEST, "invalid-idempotency-key".into());
        assert_eq!(kind(answer).await, expected, "{bad:?}");
    }
    let twice = keyed(host.post("/effects/lone", &key), "a").header("idempotency-key", "b");
    assert_eq!(
        twice.send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    let longest = post(&host, "/effects/lone", &key, &"k".repeat(255)).await;
    assert_eq!(longest.status(), StatusCode::CREATED);
    assert_eq!(rows(&host, &key).await, 1);
}

#[tokio::test]
async fn failure_without_an_effect_lets_the_key_go() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    for path in ["/effects/trap-before", "/effects/refuse"] {
        for _ in 0..2 {
            let answer = post(&host, path, &key, path).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            assert!(!replayed(&answer), "{path}");
        }
    }
    assert_eq!(rows(&host, &key).await, 0);
}

/// Postgres says that a lock took too long, and has rolled back.
#[tokio::test]
async fn statement_that_postgres_ended_had_no_effect_and_lets_the_key_go() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| {
        setup
            .config(&format!("lock_ms_max = 200\n{QUICK}"))
            .guest("effects", &["sql"], "")
    });
    let key = host.key("acme", &[]);
    let mut database = fleet.cluster.connect(None).await;
    for (count, way) in (1..).zip(["lone", "batch", "batch-with-rows", "transaction"]) {
        let path = format!("/effects/{way}");
        let lock = database.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE plugin_effects.rows IN ACCESS EXCLUSIVE MODE")
            .await
            .unwrap();
        let ended = post(&host, &path, &key, way).await;
        assert!(ended.status().is_server_error(), "{way}: {ended:?}");
        lock.rollback().await.unwrap();
        let again = post(&host, &path, &key, way).await;
        assert!(
            again.status().is_success() && !replayed(&again),
            "{way}: {again:?}"
        );
        assert_eq!(rows(&host, &key).await, count, "{way}");
    }
}

/// It answers nothing, not even that a statement took too long.
#[tokio::test]
async fn frozen_postgres_holds_no_request_with_a_key() {
    let fleet = Fleet::start().await;
    let config = "[idempotency]\nlook_up_ms_max = 300";
    let host = fleet.host(|setup| setup.config(config).guest("effects", &["sql"], ""));
    let key = host.key("acme", &[]);
    post(&host, "/effects/nothing", &key, "k").await;
    let frozen = fleet.cluster.freeze();
    let answer = post(&host, "/effects/nothing", &key, "other").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(frozen);
    crate::harness::postgres::until(async || {
        let answer = post(&host, "/effects/nothing", &key, "third").await;
        answer.status().is_success()
    })
    .await;
}

#[tokio::test]
async fn failure_after_the_effect_never_lets_a_second_one_through() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    let trapped = post(&host, "/effects/trap-after", &key, "a").await;
    assert_eq!(trapped.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let retried = post(&host, "/effects/trap-after", &key, "a").await;
    let applied = (StatusCode::CONFLICT, "already-applied".into());
    assert_eq!(kind(retried).await, applied);
    let failed = post(&host, "/effects/fail-after", &key, "b").await;
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let retried = post(&host, "/effects/fail-after", &key, "b").await;
    assert!(replayed(&retried), "{retried:?}");
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn request_without_any_transaction_is_replayed_too() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    let first = post(&host, "/effects/nothing", &key, "k").await;
    let body = first.bytes().await.unwrap();
    let second = post(&host, "/effects/nothing", &key, "k").await;
    assert!(replayed(&second));
    assert_eq!(second.bytes().await.unwrap(), body);
}

#[tokio::test]
async fn answer_that_is_too_large_to_keep_is_told_as_applied() {
    let config = "[idempotency]\nanswer_bytes_max = 16";
    let host = Setup::new()
        .config(config)
        .guest("effects", &["sql"], "")
        .start();
    let key = host.key("acme", &[]);
    let first = post(&host, "/effects/lone", &key, "k").await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let retried = post(&host, "/effects/lone", &key, "k").await;
    assert_eq!(kind(retried).await.1, "already-applied");
    assert_eq!(rows(&host, &key).await, 1);
}

#[tokio::test]
async fn old_keys_are_forgotten_and_swept() {
    let fleet = Fleet::start().await;
    let config = "[idempotency]\nkept_ms_max = 1000\nsweep_ms = 100";
    let host = fleet.host(|setup| setup.config(config).guest("effects", &["sql"], ""));
    let key = host.key("acme", &[]);
    post(&host, "/effects/lone", &key, "k").await;
    let database = fleet.cluster.connect(None).await;
    crate::harness::postgres::until(async || {
        let count = "SELECT count(*) FROM hearth.idempotency";
        database
            .query_one(count, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
    })
    .await;
    let again = post(&host, "/effects/lone", &key, "k").await;
    assert!(!replayed(&again));
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn kept_answers_cannot_be_read_in_the_database() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| setup.config(QUICK).guest("effects", &["sql"], ""));
    let key = host.key("acme", &[]);
    let body = post(&host, "/effects/lone", &key, "k")
        .await
        .bytes()
        .await
        .unwrap();
    let database = fleet.cluster.connect(None).await;
    let kept: Vec<u8> = database
        .query_one("SELECT answer FROM hearth.idempotency", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!kept.windows(body.len()).any(|part| part == body));
}

#[tokio::test]
async fn without_postgres_nothing_with_a_key_runs() {
    let mut fleet = Fleet::start().await;
    let host = fleet.host(|setup| setup.config(QUICK).guest("effects", &["sql"], ""));
    let key = host.key("acme", &[]);
    post(&host, "/effects/nothing", &key, "k").await;
    fleet.cluster.pause().await;
    let answer = post(&host, "/effects/nothing", &key, "other").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    fleet.cluster.resume().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_posts_at_once_over_two_hosts_have_one_effect() {
    let fleet = Fleet::start().await;
    let tickets = |setup: Setup| setup.config(QUICK).tickets();
    let hosts = [fleet.host(tickets), fleet.host(tickets)];
    let key = hosts[0].key("acme", &[]);
    let body = json!({"subject": "once", "description": "d"});
    let posts: Vec<_> = (0..50)
        .map(|count| {
            let request = hosts[count % 2].post("/support/tickets", &key);
            tokio::spawn(keyed(request, "k").json(&body).send())
        })
        .collect();
    let (mut first, mut replays) = (Vec::new(), Vec::new());
    for post in posts {
        let answer = post.await.unwrap().unwrap();
        match answer.status() {
            StatusCode::CREATED if replayed(&answer) => replays.push(answer.bytes().await.unwrap()),
            StatusCode::CREATED => first.push(answer.bytes().await.unwrap()),
            StatusCode::CONFLICT => assert_eq!(kind(answer).await.1, "idempotency-running"),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
    assert_eq!(first.len(), 1, "one of fifty ran");
    replays.push(
        keyed(hosts[1].post("/support/tickets", &key), "k")
            .json(&body)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
    );
    assert!(replays.iter().all(|replay| *replay == first[0]));
    let listed: Value = hosts[0]
        .get("/support/tickets", &key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(listed["tickets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn customer_has_so_many_keys_and_what_it_did_before_is_replayed_still() {
    let host = Setup::new()
        .guest("effects", &["sql"], "")
        .config("[idempotency]\ncustomer_keys_max = 2")
        .start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    for key in ["one", "two"] {
        assert!(
            post(&host, "/effects/lone", &acme, key)
                .await
                .status()
                .is_success()
        );
    }
    let refused = post(&host, "/effects/lone", &acme, "three").await;
    assert!(refused.headers().contains_key("retry-after"));
    let told = kind(refused).await;
    assert_eq!(
        told,
        (
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-idempotency-keys".into()
        )
    );
    assert!(replayed(&post(&host, "/effects/lone", &acme, "one").await));
    let plain = host.post("/effects/lone", &acme).send().await.unwrap();
    assert!(plain.status().is_success());
    assert!(
        post(&host, "/effects/lone", &globex, "one")
            .await
            .status()
            .is_success()
    );
}
