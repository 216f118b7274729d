//! Places are handed out fairly: by customer within a plugin, by plugin on the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::join_all;
use reqwest::StatusCode;
use tokio::task::JoinHandle;

use crate::harness::host::{Host, Setup, guest, runs};
use crate::harness::postgres::until;

/// Answers that came while something else was awaited.
struct Crowd {
    answered: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<StatusCode>>,
}

impl Crowd {
    /// Sends so many requests at once.
    fn send(host: &Host, path: &str, key: &str, count: usize) -> Crowd {
        let answered = Arc::new(AtomicUsize::new(0));
        let request = host.get(path, key);
        let tasks = (0..count).map(|_| {
            let (answered, request) = (answered.clone(), request.try_clone().unwrap());
            tokio::spawn(async move {
                let status = request.send().await.unwrap().status();
                answered.fetch_add(1, Relaxed);
                status
            })
        });
        Crowd {
            tasks: tasks.collect(),
            answered,
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    async fn end(self) -> Vec<StatusCode> {
        join_all(self.tasks)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }
}

/// A guest that takes a fifth of a second for each request, for as long as it may.
fn slow(limits: &str) -> Setup {
    Setup::new()
        .config(&format!(
            "[plugin_defaults]\ncpu_ms_max = 2000\nwall_ms_max = 600_000\nwait_ms_max = 600_000\n{limits}\n"
        ))
        .plugin(
            "sleeper",
            &guest("sleeper"),
            &["sql"],
            "sql_functions = [\"pg_sleep\"]",
        )
}

async fn waiting(host: &Host, count: usize) {
    until(async || host.metric("hearth_calls_waiting", &[]).await >= count as f64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_with_a_thousand_slow_requests_does_not_keep_another_waiting() {
    let host = slow("in_flight_max = 8\nwaiting_max = 2_000").start();
    let (many, few) = (host.key("many", &[]), host.key("few", &[]));
    let count = runs(160, 1_000);
    let crowd = Crowd::send(&host, "/sleeper", &many, count);
    waiting(&host, count * 3 / 4).await;
    let answers = Crowd::send(&host, "/sleeper", &few, 3).end().await;
    let before = crowd.answered();
    assert!(
        answers.iter().all(|status| *status == StatusCode::OK),
        "{answers:?}"
    );
    // In the order of their coming, all of the many but those that run would
    // have been before them.
    assert!(
        before < count * 3 / 4,
        "{before} of {count} came before three requests"
    );
    let answers = crowd.end().await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    let left = ["hearth_calls_waiting", "hearth_instances_in_flight"];
    for name in left {
        until(async || host.metric(name, &[]).await == 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saturated_plugin_does_not_starve_another_of_the_hosts_places() {
    let host = slow("in_flight_max = 2")
        .config("[engine]\ninstances_max = 2\n")
        .guest("echo", &[], "")
        .start();
    let (busy, other) = (host.key("busy", &[]), host.key("other", &[]));
    let crowd = Crowd::send(&host, "/sleeper", &busy, 40);
    waiting(&host, 20).await;
    for _ in 0..3 {
        let answer = host.get("/echo", &other).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let before = crowd.answered();
    assert!(before < 40, "the other plugin was answered last");
    assert!(
        crowd
            .end()
            .await
            .iter()
            .all(|status| *status == StatusCode::OK)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queue_sheds_whoever_fills_it_and_not_who_comes() {
    let host = slow("in_flight_max = 1\nwaiting_max = 8").start();
    let (many, few) = (host.key("many", &[]), host.key("few", &[]));
    let crowd = Crowd::send(&host, "/sleeper", &many, 40);
    waiting(&host, 6).await;
    let answers = Crowd::send(&host, "/sleeper", &few, 3).end().await;
    assert!(
        answers.iter().all(|status| *status == StatusCode::OK),
        "{answers:?}"
    );
    let shed = crowd.end().await;
    assert!(shed.contains(&StatusCode::TOO_MANY_REQUESTS));
    assert!(shed.contains(&StatusCode::OK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_while_they_wait_leave_no_place_taken() {
    let host = slow("in_flight_max = 2\nwaiting_max = 100").start();
    let key = host.key("acme", &[]);
    for _ in 0..runs(2, 50) {
        let crowd = Crowd::send(&host, "/sleeper", &key, 30);
        waiting(&host, 10).await;
        crowd.tasks.iter().for_each(JoinHandle::abort);
        until(async || host.metric("hearth_calls_waiting", &[]).await == 0.0).await;
    }
    until(async || host.metric("hearth_instances_in_flight", &[]).await == 0.0).await;
    let answers = Crowd::send(&host, "/sleeper", &key, 4).end().await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
}
