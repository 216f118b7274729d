//! The shared tier: what one host computed another serves, and never past an
//! invalidation that it has heard of. Each test has hosts of its own in this
//! process, on a real Postgres, with a real Redis or DynamoDB between them.

mod away;
mod dynamodb;
mod model;
mod served;
mod stale;
mod store;

use std::sync::Arc;

use hearth::backend::dynamodb::cache::CacheTable;
use hearth::backend::redis;
use hearth::backend::url::Url;
use hearth::capability::cache::shared::{SharedTier, Store};
use hearth::capability::cache::{Client, Config, Found, GuestError, Options, Scope};
use hearth::secret::RootSecret;
use hearth::telemetry::{HostMetrics, Metrics};
use tokio::task::AbortHandle;

use super::{Bench, Borrowed, hour};
use crate::harness::dynamodb::Private;
use crate::harness::postgres::{Cluster, until};
use crate::harness::redis::Redis;

/// A database, a root secret, and a store that all hosts share.
struct Fleet<S> {
    cluster: Cluster,
    secret: Arc<RootSecret>,
    store: S,
}

/// Something that a host can have as its shared tier.
trait Between {
    async fn store(&self) -> Store;
}

impl Between for Redis {
    async fn store(&self) -> Store {
        let config = redis::Config::default();
        Store::Redis(
            redis::Redis::open(&config, &Url::from(self.url()))
                .unwrap()
                .into(),
        )
    }
}

impl Between for Private {
    async fn store(&self) -> Store {
        Store::Dynamodb(CacheTable::of(&self.dynamo().await))
    }
}

/// One host of it. Dropped, it listens no more.
struct Host {
    bench: Bench,
    following: AbortHandle,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Quicker than by default to tell that a store is unavailable, and to try it again; slow
/// to give one up that is merely busy with other tests.
fn patient() -> Config {
    Config {
        shared_ms_max: 5_000,
        shared_write_ms_max: 10_000,
        shared_probe_ms: 100,
        ..Config::default()
    }
}

/// Gives up soon, as by default.
fn hasty() -> Config {
    Config {
        shared_ms_max: 50,
        shared_failures_max: 3,
        ..patient()
    }
}

impl<S: Between> Fleet<S> {
    async fn with(store: S) -> Fleet<S> {
        let folder = tempfile::tempdir().unwrap();
        let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
        Fleet {
            cluster: Cluster::start().await,
            secret: Arc::new(secret),
            store,
        }
    }

    async fn host(&self, config: Config) -> Host {
        let metrics = Metrics::new(&hearth::telemetry::Config::default());
        let host_metrics = HostMetrics::new(&metrics);
        let store = self.store.store().await;
        let shared = SharedTier::open(store, &config, &self.secret, &host_metrics);
        let client = Client::open(&config, &host_metrics).with_shared(shared);
        // A host has its plugins before it begins to listen.
        client.lend("tickets");
        let following = client.clone().follow_fleet(self.cluster.server().await);
        let following = tokio::spawn(following).abort_handle();
        Host {
            bench: Bench { client, metrics },
            following,
        }
    }

    /// Two hosts that share what they compute.
    async fn two(&self) -> (Host, Host) {
        let (one, two) = (self.host(patient()).await, self.host(patient()).await);
        one.settle().await;
        two.settle().await;
        (one, two)
    }

    /// What was declared stale and is in the log.
    async fn told(&self) -> i64 {
        let client = self.cluster.connect(None).await;
        let count = "SELECT count(*) FROM hearth.cache_invalidations";
        client.query_one(count, &[]).await.unwrap().get(0)
    }
}

impl Host {
    fn call(&self) -> Borrowed {
        self.bench.call("tickets", "acme")
    }

    async fn get(&self, key: &str) -> Option<String> {
        let found = self.call().get_from(key, Scope::Shared).await;
        found.map(|value| String::from_utf8(value).unwrap())
    }

    /// What is in this host's own memory.
    async fn remembers(&self, key: &str) -> Option<String> {
        let found = self.call().get(key).await;
        found.map(|value| String::from_utf8(value).unwrap())
    }

    /// As a handler does that finds nothing.
    async fn compute(&self, key: &str, value: &str, tags: &[&str]) {
        let mut call = self.call();
        let Found::Miss(lease) = call.lookup_from(key, Scope::Shared).await else {
            panic!("{key} is there");
        };
        call.fulfil(&lease, value.as_bytes(), shared(tags))
            .await
            .unwrap();
    }

    async fn invalidate(&self, tag: &str) {
        self.call().invalidate(tag).await;
    }

    fn count(&self, name: &str, label: &str) -> u64 {
        self.bench.metric(name, label)
    }

    fn written(&self) -> u64 {
        self.count("hearth_cache_shared_writes_total", "written")
    }

    /// Waits until it listens and has its shared tier.
    async fn ready(&self) {
        let missed = || self.count("hearth_cache_shared_looks_total", "miss");
        let before = missed();
        until(async || {
            assert_eq!(self.get("nothing").await, None);
            missed() > before
        })
        .await;
    }

    /// The same, and leaves something there.
    async fn settle(&self) {
        self.ready().await;
        let before = self.written();
        let mut call = self.call();
        let set = call.set("settled", b"v", shared(&[]));
        set.await.unwrap();
        until(async || self.written() > before).await;
    }

    /// Computes, and waits until others can find it.
    async fn share(&self, key: &str, value: &str, tags: &[&str]) {
        let before = self.written();
        self.compute(key, value, tags).await;
        until(async || self.written() > before).await;
    }
}

fn shared(tags: &[&str]) -> Options {
    Options {
        scope: Scope::Shared,
        ..hour(tags)
    }
}
