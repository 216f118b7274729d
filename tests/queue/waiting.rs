//! Delays, leases and who is woken, on every backend.

use std::time::Duration;

use hearth::backend::queue::Settlement;

use super::bench::{Bench, HOUR, On, PATIENCE, after, body, message};
use super::on_each_backend;

on_each_backend!(
    delayed_message_comes_when_it_is_due_and_others_come_before,
    days_of_delay_are_kept,
    days_of_waiting_are_kept_and_burn_no_attempt,
    lease_that_runs_out_makes_another_attempt,
    heartbeat_holds_a_lease,
    receive_that_is_dropped_gives_back,
    receive_waits_no_longer_than_it_was_told,
);

async fn delayed_message_comes_when_it_is_due_and_others_come_before(on: On) {
    let bench = Bench::start(on).await;
    bench.send(after(HOUR, message("plain", "later"))).await;
    bench.send(message("plain", "now")).await;
    let first = bench.one("plain").await;
    assert_eq!(body(&first), "now");
    bench.done(first).await;
    bench.nothing("plain").await;
    bench.forward(HOUR);
    let second = bench.one("plain").await;
    assert_eq!(body(&second), "later");
    assert_eq!(second.attempt, 1);
}

async fn days_of_delay_are_kept(on: On) {
    let bench = Bench::start(on).await;
    let id = bench
        .send(after(72 * HOUR, message("plain", "later")))
        .await;
    bench.nothing("plain").await;
    bench.forward(71 * HOUR);
    bench.nothing("plain").await;
    bench.forward(73 * HOUR);
    let received = bench.one("plain").await;
    assert_eq!((&received.id, received.attempt), (&id, 1));
    assert_eq!(body(&received), "later");
}

async fn days_of_waiting_are_kept_and_burn_no_attempt(on: On) {
    let bench = Bench::start(on).await;
    let id = bench.send(message("plain", "a")).await;
    for days in 1..=3 {
        let received = bench.one("plain").await;
        assert_eq!((&received.id, received.attempt), (&id, 1));
        bench
            .settle(received, Settlement::RetryAfter(24 * HOUR))
            .await;
        bench.nothing("plain").await;
        bench.forward(days * 25 * HOUR);
    }
    bench.done(bench.one("plain").await).await;
}

async fn lease_that_runs_out_makes_another_attempt(on: On) {
    let mut bench = Bench::start(on).await;
    let other = bench.another().await;
    let id = bench.send(message("plain", "a")).await;
    let second = Duration::from_secs(1);
    let first = bench.queues.receive("plain", 1, PATIENCE, second).await;
    assert_eq!(first.unwrap()[0].attempt, 1);
    let again = other.receive("plain", 1, PATIENCE, HOUR).await.unwrap();
    assert_eq!((&again[0].id, again[0].attempt), (&id, 2));
}

async fn heartbeat_holds_a_lease(on: On) {
    let mut bench = Bench::start(on).await;
    let other = bench.another().await;
    bench.send(message("plain", "a")).await;
    let (lease, look) = (Duration::from_secs(4), Duration::from_millis(1_500));
    let received = bench.queues.receive("plain", 1, PATIENCE, lease).await;
    let received = received.unwrap().remove(0);
    let receipts = [received.receipt.clone()];
    for _ in 0..4 {
        let extended = bench.queues.extend("plain", &receipts, lease).await;
        assert_eq!(extended, [Ok(())]);
        let stolen = other.receive("plain", 1, look, HOUR).await.unwrap();
        assert!(stolen.is_empty(), "{stolen:?}");
    }
    bench.done(received).await;
}

async fn receive_that_is_dropped_gives_back(on: On) {
    let bench = Bench::start(on).await;
    let messages = 30;
    for number in 0..messages {
        bench.send(message("plain", &number.to_string())).await;
    }
    // Dropped at any point of its work, from the first poll on.
    for step in 0..40 {
        let receiving = bench.queues.receive("plain", 2, Duration::ZERO, HOUR);
        let dropped = tokio::time::timeout(Duration::from_micros(step * 200), receiving).await;
        if let Ok(received) = dropped {
            let back = received.unwrap().into_iter();
            let back: Vec<_> = back.map(|m| (m, Settlement::GiveBack)).collect();
            bench.queues.settle("plain", back).await;
        }
    }
    let mut came = std::collections::HashSet::new();
    while came.len() < messages {
        let received = bench.receive("plain", 10).await;
        assert!(!received.is_empty(), "{} of {messages} came", came.len());
        for received in received {
            assert_eq!(received.attempt, 1, "nobody tried it");
            came.insert(body(&received).to_owned());
        }
    }
}

async fn receive_waits_no_longer_than_it_was_told(on: On) {
    let bench = Bench::start(on).await;
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let received = bench.queues.receive("plain", 1, wait, HOUR);
        let received = tokio::time::timeout(Duration::from_secs(60), received).await;
        assert!(received.expect("it waits for ever").unwrap().is_empty());
    }
}
