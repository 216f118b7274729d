//! Guests that misbehave harm their own request and nothing else: the pool is
//! full again afterwards, memory is flat, and a neighbour answers every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::host::{Host, Setup, runs};

/// Resident memory may move by this much for reasons that are not a leak.
const FLAT_BYTES: u64 = 48 << 20;

const IN_FLIGHT: usize = 4;

/// Calls the neighbour without a pause until told to stop.
struct Neighbour {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Neighbour {
    fn watch(host: &Host, key: &str) -> Neighbour {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let request = host.get("/echo", key);
        let (stopped, counted) = (stop.clone(), answered.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Relaxed) {
                let answer = request.try_clone().unwrap().send().await.unwrap();
                assert_eq!(
                    answer.status(),
                    StatusCode::OK,
                    "the neighbour was not answered"
                );
                counted.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Neighbour {
            stop,
            answered,
            task,
        }
    }

    async fn was_always_answered(self) {
        self.stop.store(true, Relaxed);
        self.task.await.unwrap();
        assert!(
            self.answered.load(Relaxed) > 0,
            "the neighbour was never asked"
        );
    }
}

/// Sends the same request `count` times, a few at once; each must get `expected`.
async fn hammer(
    host: &Host,
    key: &str,
    method: Method,
    path: &str,
    count: usize,
    expected: StatusCode,
) {
    let left = Arc::new(AtomicUsize::new(count));
    let workers = (0..IN_FLIGHT).map(|_| {
        let (left, request) = (left.clone(), host.request(method.clone(), path, key));
        tokio::spawn(async move {
            while left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let answer = request.try_clone().unwrap().send().await.unwrap();
                let status = answer.status();
                let problem: Value = answer.json().await.unwrap();
                assert_eq!(status, expected, "{problem}");
                assert_eq!(problem["status"], expected.as_u16(), "{problem}");
                assert!(problem["request_id"].is_string(), "{problem}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// Runs a hostile request many times beside a neighbour, and looks at what is
/// left of it.
async fn endure(host: &Host, method: Method, path: &str, expected: StatusCode) {
    let key = host.key("acme", &[]);
    let plugin = format!("plugin=\"{}\"", path.trim_start_matches('/'));
    hammer(host, &key, method.clone(), path, 10, expected).await;
    let before = host.resident_bytes();
    let neighbour = Neighbour::watch(host, &key);
    hammer(host, &key, method, path, runs(100, 1_000), expected).await;
    neighbour.was_always_answered().await;
    let grown = host.resident_bytes().saturating_sub(before);
    assert!(grown < FLAT_BYTES, "resident memory grew by {grown} bytes");
    assert_eq!(
        host.metric("hearth_instances_in_flight", &[&plugin]).await,
        0.0
    );
}

/// A guest beside a neighbour. Time that a shared machine takes from this one
/// counts as CPU time here, so only those guests have the ordinary limit of CPU
/// that are meant to reach it; and a row that another call holds until it is
/// rolled back is waited for as long as a request may take.
fn host(name: &str, grants: &[&str]) -> Host {
    let spins = ["spin", "startspin"].contains(&name);
    let limits = if spins {
        "limits = { cpu_ms_max = 50 }"
    } else {
        ""
    };
    Setup::new()
        .config("[plugin_defaults]\ncpu_ms_max = 2000\n[database]\nlock_ms_max = 10000\n")
        .guest("echo", &[], "")
        .guest(name, grants, limits)
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loop_is_ended_with_504() {
    endure(
        &host("spin", &[]),
        Method::GET,
        "/spin",
        StatusCode::GATEWAY_TIMEOUT,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loop_in_start_function_is_ended_with_504() {
    endure(
        &host("startspin", &[]),
        Method::GET,
        "/startspin",
        StatusCode::GATEWAY_TIMEOUT,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_bomb_is_ended_with_500() {
    endure(
        &host("bomb", &[]),
        Method::GET,
        "/bomb",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .await;
}

/// As under `ulimit -v`: the pools want more addresses than there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_may_not_reserve_a_pool_serves_without_one_and_its_limits_hold() {
    let host = Setup::new()
        .config("[plugin_defaults]\ncpu_ms_max = 60_000\nwall_ms_max = 60_000\n[engine]\ninstances_max = 10000\n")
        .guest("echo", &[], "")
        .guest("bomb", &[], "")
        .start();
    assert!(
        host.log().contains("instances cannot be pooled"),
        "{}",
        host.log()
    );
    let key = host.key("acme", &[]);
    for (path, status) in [("/echo", 200), ("/bomb", 500), ("/echo", 200)] {
        let answer = host.get(path, &key).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_overflow_is_ended_with_500() {
    endure(
        &host("overflow", &[]),
        Method::GET,
        "/overflow",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_is_lost_when_guest_traps() {
    let host = host("trap", &["sql"]);
    endure(
        &host,
        Method::POST,
        "/trap",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .await;
    assert_eq!(rows_of(&host, "/trap").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_held_past_its_deadline_is_rolled_back() {
    let host = host("hold", &["sql"]);
    endure(&host, Method::POST, "/hold", StatusCode::GATEWAY_TIMEOUT).await;
    assert_eq!(rows_of(&host, "/hold").await, 0);
}

async fn rows_of(host: &Host, path: &str) -> u64 {
    let key = host.key("acme", &[]);
    let answer = host.get(path, &key).send().await.unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::OK,
        "the connections did not come back"
    );
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_reach_no_other_tenant() {
    let host = host("foreign", &["sql"]);
    let (victim, thief) = (host.key("victim", &[]), host.key("thief", &[]));
    let victim_id = customer_id(&host, &victim).await;
    let kept = host
        .post("/foreign/rows/kept", &victim)
        .send()
        .await
        .unwrap();
    assert_eq!(kept.status(), StatusCode::OK);
    let neighbour = Neighbour::watch(&host, &thief);
    for _ in 0..runs(100, 1_000) {
        steal(&host, &thief, &victim_id).await;
    }
    neighbour.was_always_answered().await;
    let rows: Value = host
        .get("/foreign", &victim)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(rows, serde_json::json!([[victim_id, "kept"]]));
}

/// Everything that a guest can say to reach another customer's rows.
async fn steal(host: &Host, thief: &str, victim_id: &str) {
    let json = async |method: Method, path: String| {
        let answer = host.request(method, &path, thief).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let nothing = (StatusCode::OK, serde_json::json!([]));
    assert_eq!(json(Method::GET, "/foreign".into()).await, nothing);
    assert_eq!(
        json(Method::GET, format!("/foreign/of/{victim_id}")).await,
        nothing
    );
    let (planted, _) = json(Method::POST, format!("/foreign/plant/{victim_id}")).await;
    assert!(
        planted.is_client_error() || planted.is_server_error(),
        "{planted}"
    );
    let given = json(Method::POST, format!("/foreign/give/{victim_id}")).await;
    assert_eq!(
        given,
        (StatusCode::OK, serde_json::json!(0)),
        "there was nothing to give"
    );
    assert_eq!(
        json(Method::POST, "/foreign/wipe".into()).await,
        (StatusCode::OK, serde_json::json!(0))
    );
}

async fn customer_id(host: &Host, key: &str) -> String {
    let customers: Value = host
        .get("/foreign/customers", key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        customers.as_array().unwrap().len(),
        1,
        "a plugin sees its caller's customer alone"
    );
    customers[0][0].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_rows_cannot_be_given_to_another_tenant() {
    let host = host("foreign", &["sql"]);
    let (victim, thief) = (host.key("victim", &[]), host.key("thief", &[]));
    let victim_id = customer_id(&host, &victim).await;
    host.post("/foreign/rows/bait", &thief)
        .send()
        .await
        .unwrap();
    let given = host
        .post(&format!("/foreign/give/{victim_id}"), &thief)
        .send()
        .await
        .unwrap();
    assert!(!given.status().is_success(), "{}", given.status());
    let rows: Value = host
        .get("/foreign", &victim)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(rows, serde_json::json!([]));
}
