//! What the backend in Postgres alone promises.

use std::sync::Arc;
use std::time::Duration;

use hearth::backend::queue::{QueueError, Received, Settlement, Which};
use tokio_postgres::Client;

use super::bench::{
    Bench, HOUR, On, PATIENCE, body, is_unavailable, message, of_customer, of_group,
};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// Messages written straight into the tables, many at once.
async fn fill(database: &Client, customer: &str, messages: usize, group: Option<&str>) {
    let text = "
        SELECT hearth.add_messages(
            array_agg(id), array_agg(id), array_agg('plain'::text), array_agg('tickets'::text),
            array_agg($1::text), array_agg($3::text), array_agg('x'::bytea),
            array_agg('[]'::text), array_agg(0), '{}', array_agg(0::bigint), 0)
        FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $2::int)) each";
    let messages = i32::try_from(messages).unwrap();
    database
        .execute(text, &[&customer, &messages, &group])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_with_many_messages_does_not_starve_another() {
    let bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    fill(&database, "acme", runs(20_000, 100_000), None).await;
    fill(&database, "initech", runs(20_000, 100_000), Some("g")).await;
    let lone = bench
        .send(of_customer("globex", message("plain", "lone")))
        .await;
    let nobodys = hearth::backend::queue::Outgoing {
        customer: None,
        ..message("plain", "nobody's")
    };
    let nobodys = bench.send(nobodys).await;
    let mut came = Vec::new();
    for _ in 0..4 {
        let received = bench.receive("plain", 10).await;
        came.extend(received.into_iter().map(|message| message.id));
    }
    assert!(came.contains(&lone), "within a turn of each customer");
    assert!(came.contains(&nobodys), "within a turn of each customer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_send_wakes_who_waits_and_anothers_is_found_by_looking() {
    let mut bench = Bench::with(On::Postgres, |config| config.poll_ms = 60_000).await;
    let queues = bench.queues.clone();
    let waiting =
        tokio::spawn(async move { queues.receive("plain", 1, HOUR, HOUR).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.send(message("plain", "own")).await;
    // Sooner than it would look by itself.
    let received = tokio::time::timeout(Duration::from_secs(50), waiting).await;
    assert_eq!(body(&received.unwrap().unwrap()[0]), "own");

    bench.config.poll_ms = 50;
    let other = bench.another().await;
    let waiting =
        tokio::spawn(async move { other.receive("plain", 1, PATIENCE, HOUR).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.send(message("plain", "another's")).await;
    assert_eq!(body(&waiting.await.unwrap()[0]), "another's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_who_waits_gets_a_message_of_a_crowd() {
    let bench = Bench::with(On::Postgres, |config| config.poll_ms = 60_000).await;
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let queues = bench.queues.clone();
            tokio::spawn(async move { queues.receive("plain", 1, HOUR, HOUR).await.unwrap() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let messages = (0..10).map(|number| message("plain", &number.to_string()));
    bench.queues.send(messages.collect()).await;
    for waiting in waiting {
        let received = tokio::time::timeout(Duration::from_secs(50), waiting).await;
        assert_eq!(received.expect("nobody woke it").unwrap().len(), 1);
    }
}

/// A message under a lease that ends before anybody settles it.
async fn soon_over(bench: &Bench) -> Received {
    bench.send(message("plain", "a")).await;
    let short = Duration::from_millis(100);
    let received = bench.queues.receive("plain", 1, PATIENCE, short).await;
    received.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_leases_of_a_message_are_told_apart_where_they_end_together() {
    let bench = Bench::start(On::Postgres).await;
    let over = (soon_over(&bench).await, Settlement::Done);
    let held = async || {
        (
            bench.one("plain").await,
            Settlement::RetryAfter(Duration::ZERO),
        )
    };
    let both = vec![over.clone(), held().await];
    let (lost, ended) = (Err(QueueError::LeaseLost), Ok(()));
    let settled = bench.queues.settle("plain", both).await;
    assert_eq!(settled, [lost.clone(), ended.clone()]);
    let both = vec![held().await, over];
    assert_eq!(bench.queues.settle("plain", both).await, [ended, lost]);
    bench.done(bench.one("plain").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_that_is_over_cannot_be_settled_any_more() {
    let bench = Bench::start(On::Postgres).await;
    let first = soon_over(&bench).await;
    let second = bench.one("plain").await;
    let late = vec![(first.clone(), Settlement::Done)];
    assert_eq!(
        bench.queues.settle("plain", late).await,
        [Err(QueueError::LeaseLost)]
    );
    let extended = bench.queues.extend("plain", &[first.receipt], HOUR).await;
    assert_eq!(extended, [Err(QueueError::LeaseLost)]);
    bench.done(second.clone()).await;
    let twice = vec![(second, Settlement::Done)];
    assert_eq!(
        bench.queues.settle("plain", twice).await,
        [Err(QueueError::LeaseLost)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_is_bounded_and_a_customer_has_a_part_of_it() {
    let bench = Bench::with(On::Postgres, |config| {
        config.depth_max = 100;
        config.customer_depth_percent_max = 50;
    })
    .await;
    let database = bench.cluster.connect(None).await;
    fill(&database, "acme", 60, None).await;
    let sent = async || bench.queues.send(vec![message("plain", "more")]).await;
    until(async || sent().await == [Err(QueueError::ShareFull)]).await;
    let full = |sent: Vec<Result<String, QueueError>>| sent == [Err(QueueError::Full)];
    bench
        .send(of_customer("globex", message("plain", "has its own part")))
        .await;
    fill(&database, "globex", 40, None).await;
    let another = || of_customer("initech", message("plain", "more"));
    until(async || full(bench.queues.send(vec![another()]).await)).await;
    // Each is told for itself, and another queue has room.
    let sent = vec![message("other", "a"), another(), message("other", "b")];
    let sent = bench.queues.send(sent).await;
    assert!(sent[0].is_ok() && sent[2].is_ok(), "{sent:?}");
    assert_eq!(sent[1], Err(QueueError::Full));
    database
        .execute("DELETE FROM hearth.outbox", &[])
        .await
        .unwrap();
    until(async || bench.queues.send(vec![another()]).await[0].is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_consumes_is_dropped_after_its_retention() {
    let bench = Bench::start(On::Postgres).await;
    let days = 24 * HOUR;
    bench.send(message("plain", "dead")).await;
    let dead = bench.one("plain").await;
    bench
        .settle(dead, Settlement::DeadLetter("no".into()))
        .await;
    bench.send(message("plain", "old")).await;
    bench.send(of_group("g", "old 1")).await;
    bench.send(of_group("g", "old 2")).await;
    // It is young when it becomes visible.
    bench
        .send(super::bench::after(20 * days, message("plain", "late")))
        .await;
    bench.forward(13 * days);
    bench.send(of_group("g", "young")).await;
    bench.forward(15 * days);
    until(async || {
        let depths = bench.queues.depths().await.unwrap();
        let waiting: u64 = depths.iter().map(|depth| depth.waiting).sum();
        let dead: u64 = depths.iter().map(|depth| depth.dead).sum();
        (waiting, dead) == (1, 0)
    })
    .await;
    assert_eq!(body(&bench.one("ordered").await), "young");
    bench.forward(21 * days);
    assert_eq!(body(&bench.one("plain").await), "late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_a_queue_are_bounded() {
    let bench = Bench::with(On::Postgres, |config| config.dead_letters_max = 3).await;
    for number in 0..6 {
        bench.send(message("plain", &number.to_string())).await;
        let received = bench.one("plain").await;
        bench
            .settle(received, Settlement::DeadLetter("no".into()))
            .await;
    }
    until(async || {
        let dead = bench.queues.dead_letters("plain", None, 10).await.unwrap();
        let bodies: Vec<_> = dead.iter().map(|dead| dead.body[0]).collect();
        bodies == b"543"
    })
    .await;
    assert_eq!(bench.queues.redrive("plain", &Which::All).await, Ok(3));
    // Oldest first.
    let received = bench.receive("plain", 10).await;
    let bodies: Vec<_> = received.iter().map(|received| received.body[0]).collect();
    assert_eq!(bodies, b"345");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depths_are_counted_and_told_as_metrics() {
    let bench = Bench::start(On::Postgres).await;
    for number in 0..3 {
        bench.send(message("plain", &number.to_string())).await;
    }
    bench
        .send(super::bench::after(HOUR, message("plain", "later")))
        .await;
    bench
        .queues
        .receive("plain", 1, PATIENCE, HOUR)
        .await
        .unwrap();
    let dead = bench.queues.receive("plain", 1, PATIENCE, HOUR).await;
    let dead = dead.unwrap().remove(0);
    bench
        .settle(dead, Settlement::DeadLetter("no".into()))
        .await;
    let depth = |state: &str| bench.metric("hearth_queue_depth", state);
    until(async || {
        let depths = ["waiting", "delayed", "leased", "dead"].map(depth);
        depths == [1.0, 1.0, 1.0, 1.0]
    })
    .await;
    assert_eq!(bench.metric("hearth_queue_sent_total", "plain"), 4.0);
    assert_eq!(bench.metric("hearth_queue_received_total", "plain"), 2.0);
    assert_eq!(bench.metric("hearth_queue_settled_total", "dead"), 1.0);
    assert!(bench.metric("hearth_queue_oldest_age_seconds", "plain") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_postgres_holds_nobody() {
    let bench = Bench::with(On::Postgres, |config| config.operation_ms_max = 500).await;
    bench.send(message("plain", "a")).await;
    let received = bench.one("plain").await;
    let frozen = bench.cluster.freeze();
    let sent = bench.queues.send(vec![message("plain", "b")]).await;
    assert!(is_unavailable(sent[0].as_ref().unwrap_err()), "{sent:?}");
    let receiving = bench.queues.receive("plain", 1, PATIENCE, HOUR).await;
    assert!(is_unavailable(&receiving.unwrap_err()));
    let settled = vec![(received.clone(), Settlement::Done)];
    let settled = bench.queues.settle("plain", settled).await;
    assert!(is_unavailable(settled[0].as_ref().unwrap_err()));
    drop(frozen);
    until(async || {
        let sent = bench.queues.send(vec![message("plain", "c")]).await;
        sent[0].is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn groups_stay_in_order_while_many_send_and_consume() {
    let mut bench = Bench::start(On::Postgres).await;
    let other = bench.another().await;
    let (groups, each) = (8, runs(60, 500));
    let senders: Vec<_> = (0..groups)
        .map(|group| {
            let queues = [bench.queues.clone(), other.clone()];
            tokio::spawn(async move {
                for number in 0..each {
                    let message = of_group(&format!("g{group}"), &number.to_string());
                    let queues = &queues[number % 2];
                    queues.send(vec![message]).await.remove(0).unwrap();
                }
            })
        })
        .collect();
    let came = Arc::new(parking_lot::Mutex::new(vec![Vec::new(); groups]));
    let consumers: Vec<_> = (0..6)
        .map(|number| {
            let queues = [&bench.queues, &other][number % 2].clone();
            let came = came.clone();
            tokio::spawn(async move {
                while came.lock().iter().map(Vec::len).sum::<usize>() < groups * each {
                    let wait = Duration::from_millis(200);
                    let received = queues.receive("ordered", 5, wait, HOUR).await.unwrap();
                    let mut settled = Vec::new();
                    for received in received {
                        let group = received.group.clone().unwrap();
                        let group: usize = group[1..].parse().unwrap();
                        let number: usize = body(&received).parse().unwrap();
                        // Now and then one comes again first.
                        let again = rand::random_ratio(1, 10);
                        match again {
                            true => settled.push((received, Settlement::GiveBack)),
                            false => {
                                came.lock()[group].push(number);
                                settled.push((received, Settlement::Done));
                            }
                        }
                    }
                    for settled in queues.settle("ordered", settled).await {
                        settled.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in senders.into_iter().chain(consumers) {
        task.await.unwrap();
    }
    for came in came.lock().iter() {
        assert_eq!(*came, (0..each).collect::<Vec<_>>());
    }
}
