//! What was computed before an invalidation is not served after it, by no host
//! that has heard of it, out of whichever tier.

use super::*;

use std::time::Duration;

use hearth::backend::postgres::invalidations::InvalidationLog;
use rand::RngExt;

use crate::harness::host::runs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidation_on_one_host_holds_there_at_once_and_soon_on_the_other() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "old", &["t"]).await;
    one.share("kept", "old", &["u"]).await;
    assert_eq!(two.get("k").await.unwrap(), "old");
    one.invalidate("t").await;
    // The store still has it, and the log may not have been written yet.
    assert_eq!(one.get("k").await, None);
    assert_eq!(one.get("kept").await.unwrap(), "old");
    until(async || two.get("k").await.is_none()).await;
    assert_eq!(two.get("kept").await.unwrap(), "old");
    // What is computed afterwards is served again, on both.
    until(async || {
        let before = one.written();
        let mut call = one.call();
        call.set("k", b"new", shared(&["t"])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        one.written() > before
    })
    .await;
    until(async || two.get("k").await.is_some_and(|value| value == "new")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_value_is_gone_from_the_shared_tier_too() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "v", &[]).await;
    let mut call = one.call();
    hearth::capability::cache::Host::delete(&mut call.view(), "k".into())
        .await
        .unwrap();
    assert_eq!(one.get("k").await, None);
    until(async || two.get("k").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_whose_computation_began_before_an_invalidation_is_served_by_no_host() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let mut computing = one.call();
    let found = computing.lookup_from("k", Scope::Shared).await;
    let Found::Miss(lease) = found else {
        panic!("found {found:?}");
    };
    // The other host changes what the first has read already.
    two.invalidate("t").await;
    until(async || fleet.told().await == 1).await;
    let old = computing.fulfil(&lease, b"old", shared(&["t"]));
    old.await.unwrap();
    // Long enough to be written, if it were.
    one.share("later", "v", &[]).await;
    assert_eq!(two.get("k").await, None);
    until(async || one.get("k").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_joins_late_serves_what_holds_and_nothing_that_was_invalidated_before() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("gone", "old", &["t"]).await;
    one.share("kept", "v", &["u"]).await;
    two.invalidate("t").await;
    until(async || fleet.told().await == 1).await;
    let late = fleet.host(patient()).await;
    until(async || late.get("kept").await.is_some()).await;
    assert_eq!(late.get("gone").await, None);
    // A plugin that comes while its host serves knows nothing of before.
    one.invalidate("u").await;
    until(async || late.get("kept").await.is_none()).await;
    let mut computing = one.bench.call("forecasting", "acme");
    let set = computing.set("k", b"v", shared(&[]));
    set.await.unwrap();
    until(async || {
        let mut asking = late.bench.call("forecasting", "acme");
        let set = computing.set("k", b"v", shared(&[]));
        set.await.unwrap();
        asking.get_from("k", Scope::Shared).await.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_log_is_not_trusted_by_a_host_that_was_not_there() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, _two) = fleet.two().await;
    one.share("before", "v", &["u"]).await;
    one.invalidate("t").await;
    until(async || fleet.told().await == 1).await;
    one.settle().await;
    let log = InvalidationLog::new(fleet.cluster.server().await, 100);
    log.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(fleet.told().await, 0);
    until(async || {
        one.invalidate("other").await;
        one.call().set("after", b"v", shared(&[])).await.unwrap();
        let late = fleet.host(patient()).await;
        let there = async || late.get("after").await.is_some();
        for _ in 0..20 {
            if there().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let found = there().await;
        assert_eq!(
            late.get("before").await,
            None,
            "nobody knows whether it holds"
        );
        found
    })
    .await;
    // Who heard everything knows that it does.
    assert_eq!(one.get("before").await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_cannot_listen_serves_nothing_of_the_shared_tier() {
    let fleet = Fleet::with(Redis::start().await).await;
    let config = Config {
        fleet_stale_ms_max: 1_000,
        ..patient()
    };
    let (one, two) = (fleet.host(config.clone()).await, fleet.host(config).await);
    one.settle().await;
    two.settle().await;
    one.share("k", "v", &["t"]).await;
    let frozen = fleet.cluster.freeze();
    until(async || two.get("k").await.is_none() && one.get("k").await.is_none()).await;
    one.invalidate("t").await;
    one.invalidate("u").await;
    drop(frozen);
    until(async || fleet.told().await == 2).await;
    until(async || two.get("settled").await.is_some()).await;
    assert_eq!(one.get("k").await, None);
    until(async || two.get("k").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_went_back_in_time_takes_all_that_was_cached_with_it() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    for _ in 0..5 {
        one.invalidate("other").await;
        until(async || {
            one.bench
                .client
                .lend("tickets")
                .share
                .invalidations
                .unreported()
                .is_empty()
        })
        .await;
    }
    one.settle().await;
    one.share("k", "v", &["t"]).await;
    assert_eq!(two.get("k").await.unwrap(), "v");
    let database = fleet.cluster.connect(None).await;
    let back = "UPDATE hearth.cache_clock SET tick = 1;
                DELETE FROM hearth.cache_invalidations WHERE tick > 1";
    database.batch_execute(back).await.unwrap();
    until(async || one.get("k").await.is_none() && two.get("k").await.is_none()).await;
    // Nor does a host that was not there serve it; all share again.
    let late = fleet.host(patient()).await;
    late.settle().await;
    assert_eq!(late.get("k").await, None);
    one.settle().await;
    one.share("new", "v", &["t"]).await;
    until(async || late.get("new").await.is_some() && two.get("new").await.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_with_another_history_begins_anew_and_one_that_tells_none_is_good_enough() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "v", &["t"]).await;
    assert_eq!(two.get("k").await.unwrap(), "v");
    let database = fleet.cluster.connect(None).await;
    // Where it cannot be asked, the history is another one than before.
    let hide = "ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_hidden;
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    database.batch_execute(hide).await.unwrap();
    until(async || one.get("k").await.is_none() && two.get("k").await.is_none()).await;
    one.ready().await;
    one.share("new", "v", &["t"]).await;
    until(async || two.get("new").await.is_some()).await;
    assert_eq!(one.get("k").await, None);
    two.invalidate("t").await;
    until(async || one.get("new").await.is_none()).await;
}

/// Two hosts, one key, and a number that is counted up before each invalidation:
/// what a host serves is never less than what it knew to be there, and what it
/// knows only grows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_goes_back_behind_what_it_declared_or_has_seen() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let truth = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let act = |host: Host, truth: Arc<std::sync::atomic::AtomicU64>| async move {
        use std::sync::atomic::Ordering::SeqCst;
        let mut declared = 0;
        let mut served = 0;
        for _ in 0..runs(400, 20_000) {
            let dice = rand::rng().random_range(0..10);
            if dice == 0 {
                let now = truth.fetch_add(1, SeqCst) + 1;
                host.invalidate("t").await;
                declared = declared.max(now);
                continue;
            }
            let mut call = host.call();
            let value = match call.lookup_from("k", Scope::Shared).await {
                Found::Hit(entry) => {
                    served += 1;
                    u64::from_be_bytes(entry.value.try_into().unwrap())
                }
                Found::Stale(_) => panic!("nothing may be stale"),
                Found::Miss(lease) => {
                    let read = truth.load(SeqCst);
                    tokio::time::sleep(Duration::from_millis(dice)).await;
                    let value = read.to_be_bytes();
                    let fulfilled = call.fulfil(&lease, &value, shared(&["t"]));
                    fulfilled.await.unwrap();
                    read
                }
            };
            assert!(value >= declared, "{value} after {declared} was declared");
        }
        served
    };
    let (first, second) = tokio::join!(
        tokio::spawn(act(one, truth.clone())),
        tokio::spawn(act(two, truth))
    );
    assert!(first.unwrap() > 0 && second.unwrap() > 0);
}
