//! The second tier: what the hosts of a fleet computed for one another.
//!
//! It is asked when a value is not in memory, for as long as `shared_ms_max` and no
//! longer; a tier that fails is not asked at all until it answers again. Writing to
//! it happens beside the calls. What lies there is sealed ([`seal`]): whoever can
//! write to the store can make it forget, and nothing else.
//!
//! Whether an entry still holds is not judged here, but by the [`super::invalidations`] of
//! the host that found it.

mod breaker;
mod seal;
mod store;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use self::breaker::StoreBreaker;
use self::store::StoreError;
use self::writer::SharedWriter;
use super::Config;
use super::metrics::SharedCacheMetrics;
use crate::capability::{Backends, OpenError};
use hearth_base::budget::{self, Customer, Room};
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::HostMetrics;

pub use self::seal::{EntryName, Seal, SharedEntry};
pub use self::store::Store;
pub(super) use self::writer::Write;

/// What a look into the shared tier found.
pub(super) enum Looked {
    Entry(SharedEntry),
    Nothing,
    /// It did not answer in time, or was not asked because of late it never did.
    Away,
}

/// The shared tier of one host. Dropped, what waits to be written is not.
pub struct SharedTier {
    core: Arc<Core>,
    writer: SharedWriter,
}

/// What looking, writing and probing have in common.
struct Core {
    store: Store,
    seal: Seal,
    breaker: StoreBreaker,
    looks: Room<Customer>,
    look_max: Duration,
    write_max: Duration,
    probe: Duration,
    metrics: SharedCacheMetrics,
}

impl SharedTier {
    /// `None` where each host has its memory alone.
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Option<SharedTier>, OpenError> {
        let store = Store::from_backends(config.shared, backends)?;
        let (secret, metrics) = (backends.secret, backends.host_metrics);
        Ok(store.map(|store| SharedTier::open(store, config, secret, metrics)))
    }

    /// Begins to write, and to reach the store where it is unavailable. Asks for a
    /// runtime and does not wait for the store.
    pub fn open(
        store: Store,
        config: &Config,
        secret: &RootSecret,
        metrics: &HostMetrics,
    ) -> SharedTier {
        let core = Arc::new(Core {
            store,
            seal: Seal::new(secret),
            breaker: StoreBreaker::new(config.shared_failures_max),
            looks: Room::new(
                config.shared_looks_max,
                budget::share(config.shared_looks_max, config.customer_percent_max),
            ),
            look_max: Duration::from_millis(config.shared_ms_max),
            write_max: Duration::from_millis(config.shared_write_ms_max),
            probe: Duration::from_millis(config.shared_probe_ms),
            metrics: SharedCacheMetrics::new(metrics),
        });
        let writer = SharedWriter::start(&core, config);
        tokio::spawn(probe(Arc::downgrade(&core)));
        SharedTier { core, writer }
    }

    pub(super) async fn look(&self, name: &EntryName<'_>) -> Looked {
        self.core.look(name).await
    }

    /// Beside the call; what finds no room is dropped and counted.
    pub(super) fn write(&self, write: Write) {
        self.writer.write(write);
    }
}

impl Core {
    async fn look(&self, name: &EntryName<'_>) -> Looked {
        if self.breaker.is_open() {
            self.metrics.looks_refused.increment(1);
            return Looked::Away;
        }
        let asked = Instant::now();
        let stored_as = self.seal.name(name);
        // A store that is slow is found out by those who ask it. Whoever waits for a
        // customer's own looks to end says nothing of the store.
        let turn = self.looks.enter(name.customer.map(Arc::from));
        let Ok(_turn) = timeout(self.look_max, turn).await else {
            self.metrics.looks_refused.increment(1);
            return Looked::Away;
        };
        let left = self.look_max.saturating_sub(asked.elapsed());
        let found = match timeout(left, self.store.get(&stored_as)).await {
            Ok(found) => found,
            Err(_) => Err(StoreError::Away("timed out".into())),
        };
        let seconds = asked.elapsed().as_secs_f64();
        self.metrics.look_seconds.record(seconds);
        match found {
            Ok(found) => {
                self.breaker.note(true);
                self.opened(name, found)
            }
            Err(error) => {
                self.metrics.look_errors.increment(1);
                self.failed(&error, Some(name.plugin));
                Looked::Away
            }
        }
    }

    fn opened(&self, name: &EntryName<'_>, found: Option<Vec<u8>>) -> Looked {
        let Some(sealed) = found else {
            return Looked::Nothing;
        };
        match self.seal.open(name, sealed) {
            Some(entry) => Looked::Entry(entry),
            None => {
                self.metrics.looks_forged.increment(1);
                tracing::debug!(
                    plugin = %name.plugin,
                    "the cache's shared tier contained a value that no host of this fleet wrote: \
                     it was ignored"
                );
                Looked::Nothing
            }
        }
    }

    /// Whose look it was is told, where a plugin's was.
    fn failed(&self, error: &StoreError, plugin: Option<&str>) {
        if self.breaker.note(false) {
            self.metrics.unavailable.set(1.0);
            let backend = self.store.name();
            tracing::warn!(backend, plugin, %error, "the cache's shared tier is unavailable: this host continues with its memory alone");
        }
    }

    /// As a look would be answered, on a connection of its own.
    async fn is_back(&self) -> Result<(), StoreError> {
        let late = |_| StoreError::Away("timed out".into());
        let reach = timeout(self.write_max, self.store.reconnect());
        reach.await.map_err(late)??;
        let look = timeout(self.look_max, self.store.get("probe"));
        look.await.map_err(late)?.map(|_| ())
    }
}

/// Reaches the store at first, and whenever it is unavailable, until it answers: no call
/// pays for finding out. Ends with the tier.
async fn probe(core: std::sync::Weak<Core>) {
    let mut first = true;
    while let Some(core) = core.upgrade() {
        let pause = core.probe;
        if std::mem::take(&mut first) || core.breaker.is_open() {
            match core.is_back().await {
                Ok(()) => {
                    if core.breaker.close() {
                        let backend = core.store.name();
                        tracing::warn!(backend, "the cache's shared tier is available again");
                    }
                    core.metrics.unavailable.set(0.0);
                }
                Err(error) => core.failed(&error, None),
            }
        }
        drop(core);
        sleep(pause).await;
    }
}
