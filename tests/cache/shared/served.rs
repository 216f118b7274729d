//! What hosts do for one another, in a Redis between them.

use super::*;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::harness::host::runs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_computed_the_other_serves_for_the_same_plugin_and_customer() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "forecast", &["t"]).await;
    one.share("none", "", &[]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut call = two.call();
    let Found::Hit(entry) = call.lookup_from("k", Scope::Shared).await else {
        panic!("it computes again");
    };
    assert_eq!(entry.value, b"forecast");
    assert!(entry.age_ms >= 50, "its age goes on: {}", entry.age_ms);
    assert_eq!(two.count("hearth_cache_lookups_total", "shared"), 1);
    // From here on it is in memory.
    assert_eq!(two.remembers("k").await.unwrap(), "forecast");
    assert_eq!(
        two.get("none").await.unwrap(),
        "",
        "that there is none is known, too"
    );
    let mut globex = two.bench.call("tickets", "globex");
    assert_eq!(globex.get_from("k", Scope::Shared).await, None);
    let mut other = two.bench.call("forecasting", "acme");
    assert_eq!(other.get_from("k", Scope::Shared).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_local_stays_on_its_host_and_costs_no_look() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.call().set("k", b"v", hour(&[])).await.unwrap();
    let looks = || two.count("hearth_cache_shared_seconds_count", "look");
    let before = looks();
    assert_eq!(two.remembers("k").await, None);
    two.call().lease("k").await;
    assert_eq!(looks(), before);
    assert_eq!(two.get("k").await, None);
    assert_eq!(looks(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_past_its_time_is_answered_as_stale_while_one_renews_it_for_all_hosts() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let past = Options {
        ttl_ms: 0,
        stale_ms: 3_600_000,
        ..shared(&[])
    };
    let before = one.written();
    one.call().set("k", b"old", past).await.unwrap();
    until(async || one.written() > before).await;
    assert_eq!(two.get("k").await, None, "get answers what is fresh");
    let mut renewing = two.call();
    let found = renewing.lookup_from("k", Scope::Shared).await;
    let Found::Stale((entry, Some(lease))) = found else {
        panic!("found {found:?}");
    };
    assert_eq!(entry.value, b"old");
    let found = two.call().lookup_from("k", Scope::Shared).await;
    assert!(matches!(found, Found::Stale((_, None))), "{found:?}");
    let before = two.written();
    let renewed = renewing.fulfil(&lease, b"new", shared(&[]));
    renewed.await.unwrap();
    until(async || two.written() > before).await;
    // The first host has the old one in memory, and takes the new one from there.
    let found = one.call().lookup_from("k", Scope::Shared).await;
    assert!(matches!(found, Found::Hit(entry) if entry.value == b"new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_concurrent_first_lookups_look_once_and_compute_once() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let looks = || one.count("hearth_cache_shared_seconds_count", "look");
    for round in 0..runs(3, 100) {
        let (before, computed) = (looks(), Arc::new(AtomicUsize::new(0)));
        let key = format!("k{round}");
        let lookups: Vec<_> = (0..1_000)
            .map(|_| {
                let (mut call, computed, key) = (one.call(), computed.clone(), key.clone());
                tokio::spawn(async move {
                    match call.lookup_from(&key, Scope::Shared).await {
                        Found::Miss(lease) => {
                            computed.fetch_add(1, SeqCst);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            call.fulfil(&lease, b"v", shared(&[])).await.unwrap();
                        }
                        found => assert!(matches!(found, Found::Hit(_)), "{found:?}"),
                    }
                })
            })
            .collect();
        for lookup in lookups {
            lookup.await.unwrap();
        }
        assert_eq!(computed.load(SeqCst), 1);
        assert_eq!(looks(), before + 1);
        until(async || two.get(&key).await.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_that_was_set_while_another_was_fetched_is_not_undone() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "theirs", &[]).await;
    fleet.store.freeze();
    let mut fetching = two.call();
    let fetching = tokio::spawn(async move { fetching.get_from("k", Scope::Shared).await });
    let mut call = two.call();
    tokio::time::sleep(Duration::from_millis(100)).await;
    call.set("k", b"ours", hour(&[])).await.unwrap();
    fleet.store.thaw();
    assert_eq!(fetching.await.unwrap().unwrap(), b"theirs");
    assert_eq!(two.remembers("k").await.unwrap(), "ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_reached_with_tls_and_a_password() {
    struct Secure(Redis);
    impl Between for Secure {
        async fn store(&self) -> Store {
            let config = redis::Config {
                tls_root_file: Some(self.0.root_file()),
                ..redis::Config::default()
            };
            let url = Url::from(self.0.url());
            Store::Redis(redis::Redis::open(&config, &url).unwrap().into())
        }
    }
    let fleet = Fleet::with(Secure(Redis::start_with_tls().await)).await;
    let (one, two) = fleet.two().await;
    one.share("k", "v", &[]).await;
    assert_eq!(two.get("k").await.unwrap(), "v");
}
