//! The capability `cache`: whose a value is, how long it holds, and who computes.

mod bounds;
mod fleet;
mod guest;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hearth::capability::Call;
use hearth::capability::cache::{
    Client, Config, Entry, Found, GuestError, Host, HostLease, LeaseHandle, Options, Scope, State,
    View,
};
use hearth::telemetry::{HostMetrics, Metrics};
use wasmtime::component::{Resource, ResourceTable};

use crate::harness::host::runs;
use crate::harness::postgres::until;

/// A cache without Postgres, so without other hosts.
#[derive(Clone)]
struct Bench {
    client: Client,
    metrics: Metrics,
}

impl Bench {
    fn new(config: Config) -> Bench {
        let metrics = Metrics::new(&hearth::telemetry::Config::default());
        let client = Client::open(&config, &HostMetrics::new(&metrics));
        Bench { client, metrics }
    }

    /// One call of a plugin for a customer.
    fn call(&self, plugin: &str, customer: &str) -> Borrowed {
        borrow(&self.client, plugin, customer)
    }

    fn metric(&self, name: &str, label: &str) -> u64 {
        let page = self.metrics.render();
        let series = page
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

/// What one call borrows.
struct Borrowed {
    call: Call,
    lent: hearth::capability::cache::Lent,
    state: State,
    table: ResourceTable,
}

fn borrow(client: &Client, plugin: &str, customer: &str) -> Borrowed {
    Borrowed {
        call: Call::of(plugin, Some(customer)),
        lent: client.lend(plugin),
        state: State::default(),
        table: ResourceTable::new(),
    }
}

impl Borrowed {
    fn view(&mut self) -> View<'_> {
        View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
            table: &mut self.table,
        }
    }

    async fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.get_from(key, Scope::Local).await
    }

    async fn get_from(&mut self, key: &str, scope: Scope) -> Option<Vec<u8>> {
        let entry = self.view().get(key.into(), scope).await.unwrap();
        entry.map(|entry| entry.value)
    }

    async fn set(&mut self, key: &str, value: &[u8], options: Options) -> Result<(), GuestError> {
        let set = self.view().set(key.into(), value.to_vec(), options).await;
        set.unwrap()
    }

    async fn invalidate(&mut self, tag: &str) {
        self.view().invalidate_tag(tag.into()).await.unwrap();
    }

    async fn lookup(&mut self, key: &str) -> Found {
        self.lookup_from(key, Scope::Local).await
    }

    async fn lookup_from(&mut self, key: &str, scope: Scope) -> Found {
        self.view().lookup(key.into(), scope).await.unwrap()
    }

    /// The lease of a key that nobody has.
    async fn lease(&mut self, key: &str) -> Resource<LeaseHandle> {
        match self.lookup(key).await {
            Found::Miss(lease) => lease,
            found => panic!("expected a miss, found {found:?}"),
        }
    }

    async fn fulfil(
        &mut self,
        lease: &Resource<LeaseHandle>,
        value: &[u8],
        options: Options,
    ) -> Result<(), GuestError> {
        let lease = Resource::new_borrow(lease.rep());
        let mut view = self.view();
        view.fulfil(lease, value.to_vec(), options).await.unwrap()
    }
}

fn hour(tags: &[&str]) -> Options {
    Options {
        ttl_ms: 3_600_000,
        stale_ms: 0,
        tags: tags.iter().map(|tag| tag.to_string()).collect(),
        scope: Scope::Local,
    }
}

fn value(found: Found) -> Vec<u8> {
    match found {
        Found::Hit(Entry { value, .. }) => value,
        found => panic!("expected a hit, found {found:?}"),
    }
}

#[tokio::test]
async fn value_is_seen_by_its_plugin_and_customer_and_by_no_other() {
    let bench = Bench::new(Config::default());
    let mut acme = bench.call("tickets", "acme");
    acme.set("k", b"acme's", hour(&[])).await.unwrap();
    assert_eq!(acme.get("k").await.unwrap(), b"acme's");
    assert_eq!(bench.call("tickets", "globex").get("k").await, None);
    assert_eq!(bench.call("forecasting", "acme").get("k").await, None);
    let mut nobody = bench.call("tickets", "acme");
    nobody.call = Call::of("tickets", None);
    assert_eq!(nobody.get("k").await, None);
    // A later deployment of the plugin borrows the same share.
    assert_eq!(
        bench.call("tickets", "acme").get("k").await.unwrap(),
        b"acme's"
    );
}

#[tokio::test]
async fn empty_value_is_a_value() {
    let bench = Bench::new(Config::default());
    let mut call = bench.call("tickets", "acme");
    call.set("none", b"", hour(&[])).await.unwrap();
    assert_eq!(call.get("none").await, Some(Vec::new()));
}

#[tokio::test]
async fn tag_takes_its_entries_of_its_customer_and_leaves_the_rest() {
    let bench = Bench::new(Config::default());
    let (mut acme, mut globex) = (
        bench.call("tickets", "acme"),
        bench.call("tickets", "globex"),
    );
    for call in [&mut acme, &mut globex] {
        call.set("a", b"1", hour(&["t", "u"])).await.unwrap();
        call.set("b", b"1", hour(&["u"])).await.unwrap();
    }
    acme.invalidate("t").await;
    assert_eq!(acme.get("a").await, None);
    assert!(acme.get("b").await.is_some());
    assert!(globex.get("a").await.is_some());
    acme.view().delete("b".into()).await.unwrap();
    assert_eq!(acme.get("b").await, None);
    assert!(globex.get("b").await.is_some());
    // What is set after its own invalidation holds.
    acme.set("a", b"2", hour(&["t"])).await.unwrap();
    assert_eq!(acme.get("a").await.unwrap(), b"2");
}

#[tokio::test]
async fn invalidation_during_a_computation_is_not_undone_by_its_value() {
    let bench = Bench::new(Config::default());
    let mut computing = bench.call("tickets", "acme");
    let lease = computing.lease("k").await;
    bench.call("tickets", "acme").invalidate("t").await;
    computing
        .fulfil(&lease, b"old", hour(&["t"]))
        .await
        .unwrap();
    assert_eq!(bench.call("tickets", "acme").get("k").await, None);
    let mut deleted = bench.call("tickets", "acme");
    let lease = deleted.lease("k").await;
    let mut other = bench.call("tickets", "acme");
    other.view().delete("k".into()).await.unwrap();
    deleted.fulfil(&lease, b"old", hour(&[])).await.unwrap();
    assert_eq!(bench.call("tickets", "acme").get("k").await, None);
}

#[tokio::test]
async fn value_read_before_an_invalidation_and_set_after_it_is_not_kept() {
    let bench = Bench::new(Config::default());
    let mut slow = bench.call("tickets", "acme");
    assert_eq!(slow.get("k").await, None);
    bench.call("tickets", "acme").invalidate("t").await;
    slow.set("k", b"old", hour(&["t"])).await.unwrap();
    assert_eq!(slow.get("k").await, None);
}

#[tokio::test]
async fn who_asks_after_an_invalidation_does_not_get_the_value_computed_before_it() {
    let bench = Bench::new(Config::default());
    let mut computing = bench.call("tickets", "acme");
    let lease = computing.lease("k").await;
    let waiting = |bench: &Bench| {
        let mut call = bench.call("tickets", "acme");
        async move {
            let found = call.lookup("k").await;
            (call, found)
        }
    };
    let mut early = tokio::spawn(waiting(&bench));
    let followed = async || bench.metric("hearth_cache_coalesced_total", "tickets");
    until(async || followed().await == 1).await;
    bench.call("tickets", "acme").invalidate("t").await;
    let late = tokio::spawn(waiting(&bench));
    until(async || followed().await == 2).await;
    computing
        .fulfil(&lease, b"old", hour(&["t"]))
        .await
        .unwrap();
    assert_eq!(value((&mut early).await.unwrap().1), b"old");
    let (mut late, found) = late.await.unwrap();
    let Found::Miss(lease) = found else {
        panic!("got {found:?}")
    };
    late.fulfil(&lease, b"new", hour(&["t"])).await.unwrap();
    assert_eq!(
        bench.call("tickets", "acme").get("k").await.unwrap(),
        b"new"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_concurrent_lookups_compute_once() {
    let bench = Bench::new(Config::default());
    let computed = Arc::new(AtomicUsize::new(0));
    for round in 0..runs(3, 100) {
        let key = format!("k{round}");
        let lookups: Vec<_> = (0..1_000)
            .map(|_| {
                let (bench, computed, key) = (bench.clone(), computed.clone(), key.clone());
                tokio::spawn(async move {
                    let mut call = bench.call("forecasting", "acme");
                    match call.lookup(&key).await {
                        Found::Miss(lease) => {
                            computed.fetch_add(1, SeqCst);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            call.fulfil(&lease, b"forecast", hour(&[])).await.unwrap();
                        }
                        found => assert_eq!(value(found), b"forecast"),
                    }
                })
            })
            .collect();
        for lookup in lookups {
            lookup.await.unwrap();
        }
        assert_eq!(computed.load(SeqCst), round + 1);
    }
    let misses = bench.metric("hearth_cache_lookups_total", "outcome=\"miss\"");
    assert_eq!(misses, computed.load(SeqCst) as u64);
}

#[tokio::test]
async fn lease_that_ends_without_a_value_passes_to_one_who_waits() {
    let bench = Bench::new(Config::default());
    let mut first = bench.call("tickets", "acme");
    first.lease("k").await;
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut call = bench.call("tickets", "acme");
            tokio::spawn(async move {
                match call.lookup("k").await {
                    Found::Miss(lease) => {
                        call.fulfil(&lease, b"v", hour(&[])).await.unwrap();
                        1
                    }
                    found => {
                        assert_eq!(value(found), b"v");
                        0
                    }
                }
            })
        })
        .collect();
    let followed = async || bench.metric("hearth_cache_coalesced_total", "tickets") == 10;
    until(followed).await;
    // A store that ends drops its state, whatever the guest did with the handle.
    drop(first);
    let mut computed = 0;
    for call in waiting {
        computed += call.await.unwrap();
    }
    assert_eq!(computed, 1);
}

#[tokio::test]
async fn nobody_waits_for_a_lease_for_longer_than_it_may_last() {
    let config = Config {
        lease_ms_max: 50,
        ..Config::default()
    };
    let bench = Bench::new(config);
    let mut stuck = bench.call("tickets", "acme");
    let stuck_lease = stuck.lease("k").await;
    let mut second = bench.call("tickets", "acme");
    let lease = second.lease("k").await;
    second.fulfil(&lease, b"v", hour(&[])).await.unwrap();
    // The first one's value is still good, and its lease is then spent.
    stuck.fulfil(&stuck_lease, b"w", hour(&[])).await.unwrap();
    let again = stuck.fulfil(&stuck_lease, b"x", hour(&[])).await;
    assert!(matches!(again, Err(GuestError::Invalid(_))), "{again:?}");
}

#[tokio::test]
async fn call_does_not_wait_for_itself() {
    let bench = Bench::new(Config::default());
    let mut call = bench.call("tickets", "acme");
    call.lease("k").await;
    call.lease("k").await;
}

#[tokio::test]
async fn past_its_time_a_value_is_answered_as_stale_while_one_renews_it() {
    let bench = Bench::new(Config::default());
    let mut renewing = bench.call("tickets", "acme");
    let past = Options {
        ttl_ms: 0,
        stale_ms: 3_600_000,
        ..hour(&["t"])
    };
    renewing.set("k", b"old", past.clone()).await.unwrap();
    assert_eq!(renewing.get("k").await, None, "get answers what is fresh");
    let Found::Stale((entry, Some(lease))) = renewing.lookup("k").await else {
        panic!("the first gets the lease");
    };
    assert_eq!(entry.value, b"old");
    let mut other = bench.call("tickets", "acme");
    let found = other.lookup("k").await;
    assert!(matches!(found, Found::Stale((_, None))), "{found:?}");
    renewing.fulfil(&lease, b"new", hour(&["t"])).await.unwrap();
    assert_eq!(value(other.lookup("k").await), b"new");
    // What was declared stale by its tag is no longer good enough at all.
    let mut call = bench.call("tickets", "acme");
    call.set("k", b"old", past).await.unwrap();
    call.invalidate("t").await;
    call.lease("k").await;
}
