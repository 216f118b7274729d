//! The relay from the outbox to SQS, and hosts that are killed.

use std::collections::HashSet;
use std::time::Duration;

use hearth::backend::queue::Settlement;
use reqwest::StatusCode;

use super::bench::{Bench, HOUR, On, body, of_group};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, runs};
use crate::harness::postgres::{free_port, until};
use crate::harness::setup::Setup;
use crate::harness::sqs::{ENVIRONMENT, Make, Sqs};

fn on_sqs(setup: Setup, url: &str) -> Setup {
    let setup = ENVIRONMENT
        .iter()
        .fold(setup, |setup, (name, value)| setup.env(name, value));
    let queue = format!(
        "[queue]\nbackend = \"sqs\"\npoll_ms = 50\n[queue.sqs]\nendpoint_url = {url:?}\n\
         relay_lease_ms = 1_000\noperation_ms_max = 1_000\nrelay_retry_ms = 100\n\
         [queue.sqs.queues]\norders = \"plain\"\n"
    );
    setup
        .config(&queue)
        .guest("queued", &["sql", "queue:orders"], "")
}

async fn commit(host: &Host, key: &str, body: &str) -> Option<StatusCode> {
    let post = host.post("/queued/transaction/commit", key);
    let answer = post.body(body.to_owned()).send().await.ok()?;
    Some(answer.status())
}

/// The bodies of all that is in SQS now.
async fn taken(sqs: &Sqs) -> Vec<String> {
    let url = sqs.queue_url("plain").await;
    let mut bodies = Vec::new();
    loop {
        let asked = sqs.client.receive_message().queue_url(&url);
        let asked = asked.max_number_of_messages(10).visibility_timeout(3_600);
        let messages = asked.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        bodies.extend(messages.into_iter().map(|message| message.body.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_killed_between_commit_and_relay_loses_nothing() {
    let fleet = Fleet::start().await;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    // There is no SQS yet, so nothing can be handed over.
    let mut host = fleet.host(|setup| on_sqs(setup, &url));
    let key = host.key("acme", &[]);
    for number in 0..5 {
        let told = commit(&host, &key, &number.to_string()).await;
        assert_eq!(told, Some(StatusCode::OK));
    }
    host.kill();
    let sqs = Sqs::start_on(Make::Rustack, port).await;
    assert!(taken(&sqs).await.is_empty());
    host.restart();
    let mut came = HashSet::new();
    until(async || {
        came.extend(taken(&sqs).await);
        came.len() == 5
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_killed_at_random_hand_over_all_that_was_committed_and_nothing_else() {
    let fleet = Fleet::start().await;
    let sqs = Sqs::start(Make::Rustack).await;
    let mut host = fleet.host(|setup| on_sqs(setup, &sqs.url));
    let key = host.key("acme", &[]);
    let mut committed = HashSet::new();
    let mut maybe = HashSet::new();
    let mut came = HashSet::new();
    for round in 0..runs(5, 50) {
        let posting = async {
            for number in 0..200 {
                let body = format!("{round}-{number}");
                match commit(&host, &key, &body).await {
                    Some(StatusCode::OK) => {
                        committed.insert(body);
                    }
                    _ => {
                        maybe.insert(body);
                        return;
                    }
                }
                let rolled_back = host.post("/queued/transaction/rollback", &key);
                let _ = rolled_back.body("never").send().await;
            }
        };
        let alive = Duration::from_millis(rand::random_range(50..1_000));
        // Dropped half-way: what was under way may have committed.
        if tokio::time::timeout(alive, posting).await.is_err() {
            let next = (0..).map(|number| format!("{round}-{number}"));
            maybe.extend(next.take(201).filter(|body| !committed.contains(body)));
        }
        host.kill();
        came.extend(taken(&sqs).await);
        host.restart();
    }
    until(async || {
        came.extend(taken(&sqs).await);
        committed.is_subset(&came)
    })
    .await;
    assert!(!committed.is_empty());
    for body in &came {
        assert!(committed.contains(body) || maybe.contains(body), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_message_is_relayed_though_nobody_looks_for_it() {
    // Between two looks there is an hour: only the commit wakes the relay.
    let bench = Bench::with(On::Sqs(Make::Rustack), |config| config.poll_ms = 3_600_000).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.send(of_group("g", "1")).await;
    let first = bench.one("ordered").await;
    assert_eq!(body(&first), "1");
    bench.settle(first, Settlement::Done).await;
    until(async || bench.metric("hearth_queue_relayed_total", "ordered") == 1.0).await;
    assert!(bench.metric("hearth_queue_relay_lag_seconds_count", "ordered") == 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_share_the_relay_and_a_group_keeps_its_order() {
    let mut bench = Bench::start(On::Sqs(Make::Rustack)).await;
    let other = bench.another().await;
    for number in 0..60 {
        let queues = [&bench.queues, &other][number % 2];
        let message = of_group(&format!("g{}", number % 3), &number.to_string());
        queues.send(vec![message]).await.remove(0).unwrap();
    }
    let mut last = [None; 3];
    for _ in 0..60 {
        let received = bench
            .queues
            .receive("ordered", 1, super::bench::PATIENCE, HOUR);
        let received = received.await.unwrap().remove(0);
        let number: usize = body(&received).parse().unwrap();
        let before = last[number % 3].replace(number);
        assert_eq!(number, before.map_or(number % 3, |before| before + 3));
        bench.done(received).await;
    }
}
