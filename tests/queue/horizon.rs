//! A host looks only for what has come since it looked last, and yet nothing escapes it.

use std::time::Duration;

use hearth::backend::queue::{Received, Settlement};
use tokio_postgres::Client;

use super::bench::{Bench, HOUR, On, PATIENCE, body, message, of_group};
use crate::harness::postgres::until;

/// Begins a transaction that sends.
async fn begin_to_send(database: &Client, queue: &str, group: Option<&str>, text: &str) {
    let send = "SELECT hearth.add_messages(ARRAY[id], ARRAY[id], ARRAY[$1], ARRAY['tickets'],
            ARRAY['acme'], ARRAY[$2], ARRAY[convert_to($3, 'utf8')], ARRAY['[]'], ARRAY[0], '{}',
            ARRAY[0::bigint], 0)
        FROM gen_random_uuid() id";
    database.batch_execute("BEGIN").await.unwrap();
    database
        .query(send, &[&queue, &group, &text])
        .await
        .unwrap();
}

async fn end(database: &Client, how: &str) {
    database.batch_execute(how).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_commits_after_later_ones_were_received_is_received() {
    let bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    begin_to_send(&database, "plain", None, "early").await;
    for number in 0..20 {
        bench.send(message("plain", &number.to_string())).await;
        bench.done(bench.one("plain").await).await;
    }
    end(&database, "COMMIT").await;
    assert_eq!(body(&bench.one("plain").await), "early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_of_a_group_that_commits_late_waits_for_the_one_that_is_leased() {
    let bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    begin_to_send(&database, "ordered", Some("g"), "early").await;
    bench.send(of_group("g", "late")).await;
    let late = bench.one("ordered").await;
    end(&database, "COMMIT").await;
    bench.nothing("ordered").await;
    bench.send(of_group("g", "last")).await;
    bench.nothing("ordered").await;
    bench.done(late).await;
    for text in ["early", "last"] {
        let received = bench.one("ordered").await;
        assert_eq!(body(&received), text);
        bench.done(received).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_of_a_group_is_not_received_beside_a_later_one_that_is_just_being_leased() {
    let bench = Bench::start(On::Postgres).await;
    let (sender, other) = (
        bench.cluster.connect(None).await,
        bench.cluster.connect(None).await,
    );
    begin_to_send(&sender, "ordered", Some("g"), "early").await;
    bench.send(of_group("g", "late")).await;
    let lease = "BEGIN; SELECT hearth.lease_messages('ordered', NULL, '{}', '{}', '', 1, 60000, 0,
                                                     gen_random_uuid(), true)";
    other.batch_execute(lease).await.unwrap();
    end(&sender, "COMMIT").await;
    bench.nothing("ordered").await;
    end(&other, "ROLLBACK").await;
    for text in ["early", "late"] {
        let received = bench.one("ordered").await;
        assert_eq!(body(&received), text);
        bench.done(received).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_whose_receive_was_rolled_back_is_received() {
    let bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    bench.send(message("plain", "taken")).await;
    let take = "BEGIN; SELECT hearth.lease_messages('plain', NULL, '{}', '{}', '', 1, 60000, 0,
                                                    gen_random_uuid(), true)";
    database.batch_execute(take).await.unwrap();
    bench.send(message("plain", "other")).await;
    assert_eq!(body(&bench.one("plain").await), "other");
    bench.nothing("plain").await;
    end(&database, "ROLLBACK").await;
    assert_eq!(body(&bench.one("plain").await), "taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_of_a_host_that_is_gone_are_found_by_another() {
    let mut bench = Bench::start(On::Postgres).await;
    let other = bench.another().await;
    bench.nothing("plain").await;
    bench.send(message("plain", "a")).await;
    let short = Duration::from_millis(200);
    let received = other.receive("plain", 1, PATIENCE, short).await.unwrap();
    assert_eq!(received.len(), 1);
    drop(other);
    assert_eq!(bench.one("plain").await.attempt, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_that_is_made_shorter_ends_sooner() {
    let bench = Bench::start(On::Postgres).await;
    bench.send(message("plain", "a")).await;
    let received = bench.one("plain").await;
    let short = Duration::from_millis(100);
    let receipts = [received.receipt];
    let extended = bench.queues.extend("plain", &receipts, short).await;
    assert_eq!(extended, [Ok(())]);
    assert_eq!(bench.one("plain").await.attempt, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn group_whose_head_came_again_goes_on_with_it() {
    let bench = Bench::start(On::Postgres).await;
    bench.send(of_group("g", "first")).await;
    let first = bench.one("ordered").await;
    bench.send(of_group("g", "second")).await;
    bench.nothing("ordered").await;
    let second = Duration::from_secs(1);
    bench.settle(first, Settlement::RetryAfter(second)).await;
    bench.send(of_group("g", "third")).await;
    for text in ["first", "second", "third"] {
        let received: Received = bench.one("ordered").await;
        assert_eq!(body(&received), text);
        bench.done(received).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_starts_goes_on_from_where_another_was() {
    let mut bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    for number in 0..3 {
        bench.send(message("plain", &number.to_string())).await;
    }
    let received = bench.queues.receive("plain", 1, PATIENCE, HOUR).await;
    bench.done(received.unwrap().remove(0)).await;
    begin_to_send(&database, "plain", None, "late").await;
    let watcher = bench.cluster.connect(None).await;
    let saved = "SELECT count(*) FROM hearth.queue_horizons WHERE queue = 'plain'";
    until(async || {
        watcher
            .query_one(saved, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 1
    })
    .await;
    let other = bench.another().await;
    bench.send(message("plain", "3")).await;
    end(&database, "COMMIT").await;
    let mut bodies = Vec::new();
    while bodies.len() < 4 {
        let received = other.receive("plain", 10, PATIENCE, HOUR).await.unwrap();
        assert!(!received.is_empty(), "{bodies:?}");
        bodies.extend(received.iter().map(|message| body(message).to_owned()));
    }
    bodies.sort();
    assert_eq!(bodies, ["1", "2", "3", "late"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_goes_on_after_postgres_was_started_again() {
    let mut bench = Bench::start(On::Postgres).await;
    for number in 0..5 {
        bench.send(message("plain", &number.to_string())).await;
    }
    let received = bench.queues.receive("plain", 2, PATIENCE, HOUR).await;
    assert_eq!(received.unwrap().len(), 2);
    bench.cluster.pause().await;
    bench.cluster.resume().await;
    until(async || {
        let sent = bench.queues.send(vec![message("plain", "5")]).await;
        sent[0].is_ok()
    })
    .await;
    let mut bodies = Vec::new();
    while bodies.len() < 4 {
        let received = bench.receive("plain", 10).await;
        bodies.extend(received.iter().map(|message| body(message).to_owned()));
    }
    assert_eq!(bodies, ["2", "3", "4", "5"]);
}
