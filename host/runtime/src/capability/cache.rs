//! The capability `cache`: values that a plugin would rather not compute again.
//!
//! Each plugin has a share of this host's memory, which survives its swaps and
//! which no other plugin can push out. The customer is part of every key and tag,
//! stamped by the host. Of all callers of a host that miss a key, one computes.
//! What one host declares stale all others hear of through Postgres. Where there is
//! a second tier ([`shared`]) what one host computed the others need not.
//!
//! ```
//! use hearth_runtime::capability::cache::{Client, Config, Scope, State, View};
//! use hearth_runtime::capability::cache::{Host, Options};
//! use hearth_runtime::capability::Call;
//! # use hearth_base::telemetry::{HostMetrics, Metrics};
//! # use wasmtime::component::ResourceTable;
//! # let metrics = HostMetrics::new(&Metrics::new(&hearth_base::telemetry::Config::default()));
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let client = Client::open(&Config::default(), &metrics);
//! let lent = client.lend("tickets");
//! let (mut state, mut table) = (State::default(), ResourceTable::new());
//! let call = Call::of("tickets", Some("acme"));
//! let mut view = View { call: &call, lent: &lent, state: &mut state, table: &mut table };
//! let options = Options { ttl_ms: 1_000, stale_ms: 0, tags: vec![], scope: Scope::Local };
//! view.set("tier".into(), b"premium".into(), options).await.unwrap().unwrap();
//! let found = view.get("tier".into(), Scope::Local).await.unwrap();
//! assert_eq!(found.unwrap().value, b"premium");
//! # });
//! ```

mod fleet;
mod flight;
mod invalidations;
mod memory;
mod metrics;
mod pending_invalidations;
mod share;
pub mod shared;
mod shared_look_up;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use serde::Deserialize;
use wasmtime::component::{HasData, Linker, ResourceTable};

use self::fleet::Fleet;
use self::flight::ComputeLease;
use self::metrics::CacheMetrics;
use self::share::Began;
use self::shared::SharedTier;
use super::{Backends, Call, OpenError};
use hearth_backend::postgres::Server;
use hearth_base::bounds;
use hearth_base::section::{DAY_MS, GIB, HOUR_MS, KIB, MIB, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;

pub use generated::hearth::plugin::cache::{
    Entry, Error as GuestError, Found, Host, HostLease, Options, Scope,
};
pub use invalidations::{Declaration, Invalidations, Moment, TagHash};
pub use share::Share;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-cache; world lends { import hearth:plugin/cache@0.1.0; }",
        imports: { default: async | trappable },
        with: { "hearth:plugin/cache.lease": super::LeaseHandle },
    });
}

/// Section `[cache]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What each plugin has of this host's memory.
    pub plugin_bytes_max: usize,
    /// What one customer may have of that, of looks into the shared tier, and of what
    /// waits to be written to it. In percent.
    pub customer_percent_max: u64,
    /// One value.
    pub entry_bytes_max: usize,
    pub key_bytes_max: usize,
    pub tag_bytes_max: usize,
    /// Tags of one entry.
    pub tags_max: usize,
    /// The longest that anything is served for; the same again as stale.
    pub ttl_ms_max: u64,
    /// How long others wait for whoever computes a value before one of them does.
    pub lease_ms_max: u64,
    /// Invalidations that are remembered of one plugin. An older one is forgotten
    /// together with all that was cached before it.
    pub marks_max: usize,
    /// How often a host asks what others have invalidated.
    pub fleet_poll_ms: u64,
    /// A host that could not read the invalidations of other hosts for so long serves
    /// nothing from its cache.
    pub fleet_stale_ms_max: u64,
    /// How long invalidations are kept for hosts that were unavailable.
    pub fleet_kept_ms: u64,
    /// Invalidations of one plugin that wait to be told; one more, and all that
    /// the plugin cached on other hosts goes instead.
    pub fleet_waiting_max: usize,
    /// Where values lie that hosts share. Without it that is Redis where `[redis]`
    /// has a URL, else DynamoDB where the host has one: its own, if no other.
    pub shared: Option<SharedStore>,
    /// One value whose scope is shared. An item of DynamoDB has 400 KB (AWS).
    pub shared_value_bytes_max: usize,
    /// How long a call waits for the shared tier before it goes on without.
    pub shared_ms_max: u64,
    /// Looks into it at once; more wait, of the same time.
    pub shared_looks_max: usize,
    /// For writing one value, beside the calls.
    pub shared_write_ms_max: u64,
    /// Values that wait to be written, and their bytes; more are not shared.
    pub shared_waiting_max: usize,
    pub shared_waiting_bytes_max: usize,
    /// Of the last 16 looks so many may fail. Then it is not asked any more, but
    /// probed every `shared_probe_ms` until it answers in time.
    pub shared_failures_max: u32,
    pub shared_probe_ms: u64,
}

/// Where shared values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedStore {
    Dynamodb,
    Redis,
    /// Each host has its memory alone.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plugin_bytes_max: 64 << 20,
            customer_percent_max: 50,
            entry_bytes_max: 1 << 20,
            key_bytes_max: 1_024,
            tag_bytes_max: 256,
            tags_max: 16,
            ttl_ms_max: 24 * 60 * 60 * 1_000,
            lease_ms_max: 5_000,
            marks_max: 100_000,
            fleet_poll_ms: 250,
            fleet_stale_ms_max: 5_000,
            fleet_kept_ms: 600_000,
            fleet_waiting_max: 1_000,
            shared: None,
            shared_value_bytes_max: 350 << 10,
            shared_ms_max: 50,
            shared_looks_max: 64,
            shared_write_ms_max: 1_000,
            shared_waiting_max: 1_000,
            shared_waiting_bytes_max: 16 << 20,
            shared_failures_max: 8,
            shared_probe_ms: 500,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // Nothing is read late: a host stops vouching long before rows are swept.
        let stale_max = (self.fleet_kept_ms / 2).max(1_000);
        bounds! { self, mistakes =>
            plugin_bytes_max in MIB..=64 * GIB,
            entry_bytes_max in 1..=64 * MIB,
            customer_percent_max in 1..=100,
            key_bytes_max in 16..=8 * KIB,
            tag_bytes_max in 16..=8 * KIB,
            tags_max in 0..=256,
            ttl_ms_max in 1..=DAY_MS,
            lease_ms_max in 1..=HOUR_MS,
            marks_max in 100..=10_000_000,
            // With the time to tell, all hosts shall know within a second.
            fleet_poll_ms in 10..=500,
            fleet_stale_ms_max in 1_000..=stale_max,
            fleet_kept_ms in 10_000..=DAY_MS,
            fleet_waiting_max in 1..=100_000,
            // With its seal and its tags it must fit into an item of DynamoDB.
            shared_value_bytes_max in 1..=390 * KIB,
            shared_ms_max in 1..=10_000,
            shared_looks_max in 1..=10_000,
            shared_write_ms_max in 1..=60_000,
            shared_waiting_max in 1..=1_000_000,
            // One of the largest has room.
            shared_waiting_bytes_max in MIB..=4 * GIB - 1,
            shared_failures_max in 0..=15,
            shared_probe_ms in 10..=60_000,
        }
    }
}

impl Config {
    fn check(&self, key: &str, value: &[u8], options: &Options) -> Result<(), Error> {
        self.check_name("key", key, self.key_bytes_max)?;
        if options.tags.len() > self.tags_max {
            return Err(Error::Invalid(format!(
                "too many tags: an entry may have at most {} (cache.tags_max)",
                self.tags_max
            )));
        }
        for tag in &options.tags {
            self.check_name("tag", tag, self.tag_bytes_max)?;
        }
        let bytes_max = match options.scope {
            Scope::Local => self.entry_bytes_max,
            // Whether this host has such a tier or not.
            Scope::Shared => self.entry_bytes_max.min(self.shared_value_bytes_max),
        };
        match value.len() > bytes_max {
            true => Err(Error::TooLarge),
            false => Ok(()),
        }
    }

    fn check_name(&self, what: &str, name: &str, bytes_max: usize) -> Result<(), Error> {
        match name.len() {
            0 => Err(Error::Invalid(format!("the {what} is empty"))),
            bytes if bytes > bytes_max => Err(Error::Invalid(format!(
                "the {what} is too large: {bytes} bytes, and at most {bytes_max} are allowed \
                 (cache.{what}_bytes_max)"
            ))),
            _ => Ok(()),
        }
    }
}

/// Why something was not cached. The guest is to blame for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the value is too large (cache.entry_bytes_max)")]
    TooLarge,
    #[error("{0}")]
    Invalid(String),
}

/// The cache of all plugins. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    config: Config,
    metrics: HostMetrics,
    fleet: Arc<Fleet>,
    shares: Arc<Shares>,
    shared: Option<Arc<SharedTier>>,
    callers: Arc<AtomicU64>,
}

/// Every plugin's share, by its name: it outlives the plugin's deployments.
type Shares = Mutex<SharesByPlugin>;
type SharesByPlugin = HashMap<String, Arc<Share>>;

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        let memory = Self::open(config, backends.host_metrics);
        Ok(match SharedTier::from_backends(config, backends)? {
            Some(shared) => memory.with_shared(shared),
            None => memory,
        })
    }

    pub fn open(config: &Config, metrics: &HostMetrics) -> Client {
        metrics::describe(metrics);
        Client {
            config: config.clone(),
            metrics: metrics.clone(),
            fleet: Arc::new(Fleet::new(config)),
            shares: Arc::default(),
            shared: None,
            callers: Arc::default(),
        }
    }

    /// With a second tier, for what is lent from now on. It serves nothing before
    /// [`Client::follow_fleet`], since nobody would know what is stale.
    pub fn with_shared(mut self, shared: SharedTier) -> Client {
        self.shared = Some(Arc::new(shared));
        self
    }

    /// What a deployment borrows: the share of its plugin.
    pub fn lend(&self, plugin: &str) -> Lent {
        let mut shares = self.shares.lock();
        let share = shares.entry(plugin.to_owned()).or_insert_with(|| {
            let metrics = CacheMetrics::new(&self.metrics, plugin);
            let (fleet, shared) = (self.fleet.clone(), self.shared.clone());
            Arc::new(Share::new(plugin, &self.config, metrics, fleet, shared))
        });
        Lent {
            share: share.clone(),
            callers: self.callers.clone(),
        }
    }

    /// Tells the fleet and listens to it, until it is dropped.
    pub async fn follow_fleet(self, server: Server) {
        fleet::follow(&self.fleet, &self.shares, server).await;
    }

    /// Tells the fleet what it was not told yet, for a host that ends.
    pub async fn tell_last(&self, server: Server) {
        fleet::tell_last(&self.fleet, &self.shares, server).await;
    }
}

/// What one deployment borrows.
#[derive(Clone)]
pub struct Lent {
    pub share: Arc<Share>,
    callers: Arc<AtomicU64>,
}

impl Lent {
    /// A number that no other call of this process has.
    fn caller(&self) -> u64 {
        self.callers.fetch_add(1, Relaxed)
    }
}

/// The guest's handle. What it stands for is in the call's state, which ends with
/// the call even where the guest keeps the handle.
#[derive(Debug, PartialEq, Eq)]
pub struct LeaseHandle {
    number: u64,
}

/// What one call accumulates. Dropped, its leases pass on.
#[derive(Default)]
pub struct State {
    caller: Option<u64>,
    /// When the call first used the cache: what it sets is as old.
    began: Option<Began>,
    leases: HashMap<u64, LeaseState>,
    leased: u64,
}

/// What a guest's lease stands for.
enum LeaseState {
    /// `None` once it is fulfilled.
    Lease(Option<ComputeLease>),
    /// The key is none, so nothing can be set under it.
    Refused(Error),
}

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
    pub state: &'a mut State,
    pub table: &'a mut ResourceTable,
}

/// What the guest gets of an error.
fn convert_error(error: Error) -> GuestError {
    match error {
        Error::TooLarge => GuestError::TooLarge,
        Error::Invalid(reason) => GuestError::Invalid(reason),
    }
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::hearth::plugin::cache::add_to_linker::<T, Access>(linker, view)
}
