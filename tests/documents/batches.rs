//! How the writes of all calls are merged, counted at a proxy in front of DynamoDB.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::backend::dynamodb::Config as DynamoConfig;
use hearth::capability::documents::{Config, GuestError, Item, Range};
use tokio::sync::watch;
use tokio::time::Instant;

use super::fixture::{Bench, item, key};
use crate::harness::dynamodb::{Fate, Private, Proxy, Request};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// Counts the calls of BatchWriteItem, and holds those that the test wants held.
struct Counter {
    calls: Mutex<Vec<Arc<Request>>>,
    in_flight: Mutex<Vec<(String, String)>>,
    /// How many calls are let through.
    open: watch::Sender<usize>,
}

impl Counter {
    fn holding_all_but(open: usize) -> Arc<Counter> {
        Arc::new(Counter {
            calls: Mutex::default(),
            in_flight: Mutex::default(),
            open: watch::channel(open).0,
        })
    }

    async fn pass(self: Arc<Self>, request: Arc<Request>) -> Fate {
        if !request.is_batch() {
            return Fate::Pass;
        }
        let number = self.enter(&request);
        let mut open = self.open.subscribe();
        open.wait_for(|open| number < *open).await.unwrap();
        self.leave(&request);
        Fate::Pass
    }

    /// No key may be in two calls at once, or twice in one.
    fn enter(&self, request: &Arc<Request>) -> usize {
        let mut in_flight = self.in_flight.lock().unwrap();
        in_flight.extend(request.keys());
        let different: HashSet<_> = in_flight.iter().collect();
        assert_eq!(different.len(), in_flight.len(), "a key is in flight twice");
        let mut calls = self.calls.lock().unwrap();
        calls.push(request.clone());
        calls.len() - 1
    }

    fn leave(&self, request: &Request) {
        let keys = request.keys();
        self.in_flight
            .lock()
            .unwrap()
            .retain(|key| !keys.contains(key));
    }

    fn sizes(&self) -> Vec<usize> {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .map(|call| call.writes())
            .collect()
    }
}

/// A bench behind a proxy that counts.
struct Behind {
    bench: Bench,
    counter: Arc<Counter>,
    _parts: (Proxy, Private),
}

impl Behind {
    async fn new(config: Config, counter: Arc<Counter>) -> Behind {
        Behind::with(&DynamoConfig::default(), config, counter).await
    }

    async fn with(dynamo: &DynamoConfig, config: Config, counter: Arc<Counter>) -> Behind {
        let private = Private::start().await;
        let of_proxy = counter.clone();
        let decide = move |request| of_proxy.clone().pass(request);
        let proxy = Proxy::start(private.url(), decide).await;
        Behind {
            bench: Bench::reaching(&proxy.url, dynamo, config).await,
            counter,
            _parts: (proxy, private),
        }
    }

    async fn waiting(&self, items: f64) {
        until(async || self.bench.metric("hearth_documents_waiting", "") == items).await;
    }

    /// Puts one item in a task of its own.
    fn put(&self, customer: &str, item: Item) -> tokio::task::JoinHandle<Result<(), GuestError>> {
        let mut call = self.bench.call(customer);
        tokio::spawn(async move { call.put(item).await })
    }

    fn put_many(
        &self,
        customer: &str,
        items: Vec<Item>,
    ) -> tokio::task::JoinHandle<Vec<Result<(), GuestError>>> {
        let mut call = self.bench.call(customer);
        tokio::spawn(async move { call.put_many(items).await })
    }

    async fn in_flight(&self, calls: usize) {
        until(async || self.counter.sizes().len() >= calls).await;
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<Item> {
    range
        .map(|n| item(&format!("{n:05}"), "{\"read\":false}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn put_many_of_100_is_4_calls() {
    let behind = Behind::new(Config::default(), Counter::holding_all_but(usize::MAX)).await;
    let outcomes = behind.bench.call("acme").put_many(numbered(0..100)).await;
    assert_eq!(outcomes, vec![Ok(()); 100]);
    assert_eq!(behind.counter.sizes(), [25; 4]);
    let count = behind.bench.call("acme").count(Range::All, 1_000).await;
    assert_eq!(count, Ok(100));
    let keys = (0..100).map(|n| key(&format!("{n:05}"))).collect();
    let mut call = behind.bench.call("acme");
    let outcomes = call.delete_many(keys).await;
    assert_eq!(outcomes, vec![Ok(()); 100]);
    assert_eq!(behind.counter.sizes(), [25; 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_concurrent_puts_of_one_are_at_most_8_calls() {
    for _ in 0..runs(5, 50) {
        let behind = Behind::new(Config::default(), Counter::holding_all_but(0)).await;
        let open = behind.counter.clone();
        // The first call is held until all have arrived; those behind it are not.
        let puts: Vec<_> = (0..100)
            .map(|n| behind.put(&format!("customer-{n}"), item("s", "{}")))
            .collect();
        behind.waiting(100.0).await;
        open.open.send_replace(usize::MAX);
        for put in puts {
            assert_eq!(put.await.unwrap(), Ok(()));
        }
        let sizes = behind.counter.sizes();
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        assert!(sizes.len() <= 8, "{sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_that_trickle_in_behind_a_held_call_are_at_most_8_calls() {
    let counter = Counter::holding_all_but(0);
    let of_proxy = counter.clone();
    let private = Private::start().await;
    // Only the very first call is held; the others go through as they come.
    let proxy = Proxy::start(private.url(), move |request: Arc<Request>| {
        let counter = of_proxy.clone();
        async move {
            if !request.is_batch() {
                return Fate::Pass;
            }
            let number = counter.enter(&request);
            if number == 0 {
                let mut open = counter.open.subscribe();
                open.wait_for(|open| *open > 0).await.unwrap();
            }
            counter.leave(&request);
            Fate::Pass
        }
    })
    .await;
    let config = slow_to_linger();
    let bench = Bench::at(&proxy.url, config).await;
    let mut puts = Vec::new();
    for n in 0..100 {
        let mut call = bench.call(&format!("customer-{n}"));
        puts.push(tokio::spawn(async move { call.put(item("s", "{}")).await }));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let done = || bench.metric("hearth_documents_items_total", "written");
    until(async || done() + bench.metric("hearth_documents_waiting", "") == 100.0).await;
    counter.open.send_replace(1);
    for put in puts {
        assert_eq!(put.await.unwrap(), Ok(()));
    }
    assert_eq!(counter.sizes(), [1, 25, 25, 25, 24]);
}

/// Nothing goes out because it waited for long.
fn slow_to_linger() -> Config {
    let mut config = Config::default();
    config.writer.linger_ms_max = 60_000;
    config
}

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
async fn at_most_8_calls_are_in_flight() {
    let behind = Behind::new(Config::default(), Counter::holding_all_but(0)).await;
    let all = behind.put_many("acme", numbered(0..1_000));
    behind.in_flight(8).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(behind.counter.sizes(), [25; 8]);
    behind.counter.open.send_replace(usize::MAX);
    assert_eq!(all.await.unwrap(), vec![Ok(()); 1_000]);
    assert_eq!(behind.counter.sizes(), [25; 40]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_has_no_more_than_16_mb_as_they_are_sent() {
    let patient = DynamoConfig {
        attempt_ms_max: 60_000,
        operation_ms_max: 60_000,
        ..DynamoConfig::default()
    };
    let counter = Counter::holding_all_but(usize::MAX);
    let behind = Behind::with(&patient, Config::default(), counter).await;
    // Each control character is sent as six bytes: 2.3 MB an item.
    let large = format!("{{\"text\":\"{}\"}}", "\\u0001".repeat(390_000));
    let items: Vec<_> = (0..20).map(|n| item(&n.to_string(), &large)).collect();
    let outcomes = behind.bench.call("acme").put_many(items).await;
    assert_eq!(outcomes, vec![Ok(()); 20]);
    let calls = behind.counter.calls.lock().unwrap();
    assert!(calls.iter().all(|call| call.bytes <= 16 << 20));
    assert_eq!(calls.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_key_goes_once_in_a_call_and_in_order_over_calls() {
    let behind = Behind::new(Config::default(), Counter::holding_all_but(usize::MAX)).await;
    let mut items = Vec::new();
    for n in 0..50 {
        items.push(item("same", &format!("{{\"n\":{n}}}")));
        items.push(item(&format!("other-{n}"), "{}"));
    }
    let outcomes = behind.bench.call("acme").put_many(items).await;
    assert_eq!(outcomes, vec![Ok(()); 100]);
    let last = behind.bench.call("acme").get(key("same")).await.unwrap();
    assert_eq!(last.attributes, "{\"n\":49}");
    let with_same = |call: &Arc<Request>| call.keys().iter().any(|(_, sort)| sort == "same");
    let calls = behind.counter.calls.lock().unwrap();
    assert_eq!(calls.iter().filter(|call| with_same(call)).count(), 50);
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
    assert!(
        place <= 9,
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

/// A bench behind a proxy that decides so.
async fn facing<F>(
    decide: impl Fn(Arc<Request>) -> F + Send + Sync + 'static,
) -> (Bench, Proxy, Private)
where
    F: Future<Output = Fate> + Send + 'static,
{
    let private = Private::start().await;
    let proxy = Proxy::start(private.url(), decide).await;
    (
        Bench::at(&proxy.url, Config::default()).await,
        proxy,
        private,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unprocessed_items_are_sent_again_and_counted() {
    let calls = Arc::new(Mutex::new(0));
    let (bench, _proxy, _private) = facing(move |request| {
        let calls = calls.clone();
        async move {
            let mut calls = calls.lock().unwrap();
            *calls += usize::from(request.is_batch());
            match request.is_batch() && *calls == 1 {
                true => Fate::Unprocessed(vec![0, 3, 4]),
                false => Fate::Pass,
            }
        }
    })
    .await;
    let outcomes = bench.call("acme").put_many(numbered(0..10)).await;
    assert_eq!(outcomes, vec![Ok(()); 10]);
    assert_eq!(bench.call("acme").count(Range::All, 100).await, Ok(10));
    assert_eq!(bench.metric("hearth_documents_unprocessed_total", ""), 3.0);
    assert_eq!(bench.metric("hearth_documents_retries_total", ""), 3.0);
    assert_eq!(
        bench.metric("hearth_documents_items_total", "written"),
        10.0
    );
    assert!(bench.metric("hearth_documents_calls_total", "") >= 2.0);
    assert_eq!(bench.metric("hearth_documents_call_items_sum", ""), 13.0);
    assert!(bench.metric("hearth_documents_flush_seconds_count", "") >= 2.0);
    assert_eq!(
        bench.metric("hearth_documents_item_seconds_count", ""),
        10.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_item_takes_no_other_of_its_batch_with_it() {
    let (bench, _proxy, _private) = facing(|request| async move {
        match request.keys().iter().any(|(_, sort)| sort == "00007") {
            true => Fate::Refuse,
            false => Fate::Pass,
        }
    })
    .await;
    let outcomes = bench.call("acme").put_many(numbered(0..30)).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        match place {
            7 => assert!(
                matches!(outcome, Err(GuestError::Invalid(_))),
                "{outcome:?}"
            ),
            _ => assert_eq!(outcome, &Ok(()), "{place}"),
        }
    }
    assert_eq!(bench.call("acme").count(Range::All, 100).await, Ok(29));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dynamodb_never_takes_is_given_up_at_the_deadline_and_never_written() {
    let throttles = Arc::new(watch::channel(true).0);
    let of_proxy = throttles.clone();
    let (bench, _proxy, _private) = facing(move |request| {
        let throttles = *of_proxy.borrow();
        async move {
            match request.is_batch() && throttles {
                true => Fate::Throttle,
                false => Fate::Pass,
            }
        }
    })
    .await;
    let mut call = bench.call("acme");
    call.call.deadline = Instant::now() + Duration::from_millis(400);
    let outcomes = call.put_many(numbered(0..3)).await;
    let given_up = |outcome: &Result<(), GuestError>| {
        matches!(
            outcome,
            Err(GuestError::Unavailable | GuestError::DeadlineExceeded)
        )
    };
    assert!(outcomes.iter().all(given_up), "{outcomes:?}");
    throttles.send_replace(false);
    assert_eq!(bench.call("acme").put(item("after", "{}")).await, Ok(()));
    assert_eq!(bench.call("acme").sorts(Range::All).await, ["after"]);
    until(async || bench.metric("hearth_documents_waiting", "") == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_is_lost_is_no_acknowledgement() {
    let (bench, _proxy, _private) = facing(|request| async move {
        match request.is_batch() {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    })
    .await;
    let mut call = bench.call("acme");
    call.call.deadline = Instant::now() + Duration::from_millis(400);
    let outcome = call.put(item("s", "{}")).await;
    assert!(outcome.is_err(), "{outcome:?}");
    let retried = bench.metric("hearth_documents_calls_total", "");
    assert!(retried > 1.0, "{retried}");
}
