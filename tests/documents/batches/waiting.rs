//! What waits to be sent: for how long, behind whom, and how much of it.

use std::sync::Arc;

use hearth::capability::documents::{Config, GuestError, Range};

use super::super::fixture::{item, key};
use super::{Behind, Counter, numbered, slow_to_linger};
use crate::harness::dynamodb::Request;
use crate::harness::postgres::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn put_waits_for_no_other_while_nothing_is_in_flight() {
    let behind = Behind::new(slow_to_linger(), Counter::holding_all_but(usize::MAX)).await;
    for n in 0..5 {
        let put = behind
            .bench
            .call("acme")
            .put(item(&n.to_string(), "{}"))
            .await;
        assert_eq!(put, Ok(()));
    }
    assert_eq!(behind.counter.sizes(), [1; 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn put_waits_behind_a_slow_call_for_a_while_and_no_longer() {
    let behind = Behind::new(Config::default(), Counter::holding_all_but(0)).await;
    let first = behind.put("acme", item("a", "{}"));
    behind.in_flight(1).await;
    let second = behind.put("acme", item("b", "{}"));
    // The first is still held when the second goes.
    behind.in_flight(2).await;
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(first.await.unwrap(), Ok(()));
    assert_eq!(second.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_puts_of_one_customer_delay_no_single_put_of_another() {
    let behind = Behind::new(Config::default(), Counter::holding_all_but(0)).await;
    let many = behind.put_many("acme", numbered(0..10_000));
    behind.in_flight(8).await;
    behind.waiting(2_500.0).await;
    let one = behind.put("globex", item("single", "{}"));
    behind.waiting(2_501.0).await;
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(one.await.unwrap(), Ok(()));
    assert_eq!(many.await.unwrap(), vec![Ok(()); 10_000]);
    let single = |call: &Arc<Request>| call.keys().iter().any(|(_, sort)| sort == "single");
    let calls = behind.counter.calls.lock().unwrap();
    let place = calls.iter().position(single).unwrap();
    // Eight go at once, and may pass each other on their way. A hundred calls of the
    // other customer waited before it.
    assert!(
        place < 8 + 8,
        "it went with call {place}, and 8 were in flight when it came"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queue_sheds_what_comes_and_keeps_what_it_has() {
    let mut config = Config::default();
    (
        config.writer.waiting_items_max,
        config.writer.owner_waiting_items_max,
    ) = (50, 50);
    let behind = Behind::new(config, Counter::holding_all_but(0)).await;
    let kept = behind.put_many("acme", numbered(0..50));
    behind.waiting(50.0).await;
    let shed = behind.bench.call("globex").put_many(numbered(0..3)).await;
    assert_eq!(shed, vec![Err(GuestError::Unavailable); 3]);
    assert_eq!(
        behind.bench.metric("hearth_documents_items_total", "shed"),
        3.0
    );
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(kept.await.unwrap(), vec![Ok(()); 50]);
    assert_eq!(
        behind.bench.call("globex").put(item("s", "{}")).await,
        Ok(())
    );
    behind.waiting(0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_wait_are_bounded_too() {
    let mut config = Config::default();
    config.writer.waiting_bytes_max = 16 << 20;
    let behind = Behind::new(config, Counter::holding_all_but(0)).await;
    let large = format!("{{\"text\":{:?}}}", "x".repeat(380_000));
    let items: Vec<_> = (0..60).map(|n| item(&n.to_string(), &large)).collect();
    let kept = behind.put_many("acme", items);
    behind.in_flight(1).await;
    until(async || behind.bench.metric("hearth_documents_items_total", "shed") > 0.0).await;
    behind.counter.open.send_replace(usize::MAX);
    let outcomes = kept.await.unwrap();
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(kept, (16 << 20) / 380_000);
    assert_eq!(
        behind.bench.call("acme").count(Range::All, 100).await,
        Ok(kept as u32)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_one_customer_leave_room_for_another_s() {
    let mut config = Config::default();
    config.writer.waiting_bytes_max = 32 << 20;
    config.writer.owner_waiting_bytes_max = 1 << 20;
    let behind = Behind::new(config, Counter::holding_all_but(0)).await;
    let large = format!("{{\"text\":{:?}}}", "x".repeat(380_000));
    let items: Vec<_> = (0..4).map(|n| item(&n.to_string(), &large)).collect();
    let greedy = behind.put_many("acme", items);
    behind.in_flight(1).await;
    until(async || behind.bench.metric("hearth_documents_items_total", "shed") >= 2.0).await;
    let quiet = behind.put("globex", item("s", &large));
    behind.waiting(3.0).await;
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(quiet.await.unwrap(), Ok(()));
    let kept = greedy.await.unwrap();
    assert_eq!(kept.iter().filter(|outcome| outcome.is_ok()).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_that_is_gone_withdraws_what_was_not_sent() {
    let behind = Behind::new(slow_to_linger(), Counter::holding_all_but(0)).await;
    let first = behind.put("acme", item("a", "{\"n\":1}"));
    behind.in_flight(1).await;
    let gone = [
        behind.put("acme", item("b", "{\"n\":1}")),
        behind.put("acme", item("a", "{\"n\":2}")),
    ];
    behind.waiting(3.0).await;
    let stays = behind.put("acme", item("b", "{\"n\":3}"));
    behind.waiting(4.0).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    behind.waiting(2.0).await;
    // The one in flight is written all the same.
    first.abort();
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(stays.await.unwrap(), Ok(()));
    let mut call = behind.bench.call("acme");
    assert_eq!(call.get(key("b")).await.unwrap().attributes, "{\"n\":3}");
    assert_eq!(call.get(key("a")).await.unwrap().attributes, "{\"n\":1}");
    behind.waiting(0.0).await;
    assert_eq!(behind.counter.sizes(), [1, 1]);
}
