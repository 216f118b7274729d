//! How the writes of all calls are merged, counted at a proxy in front of DynamoDB.

mod undone;
mod waiting;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::backend::dynamodb::Config as DynamoConfig;
use hearth::capability::documents::{Config, GuestError, Item, Range};
use tokio::sync::watch;

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
        connect_ms_max: 60_000,
        attempt_ms_max: 60_000,
        operation_ms_max: 60_000,
        ..DynamoConfig::default()
    };
    let counter = Counter::holding_all_but(usize::MAX);
    let mut config = Config::default();
    config.writer.owner_waiting_bytes_max = config.writer.waiting_bytes_max;
    let behind = Behind::with(&patient, config, counter).await;
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
