//! A deployment: one component digest serving one plugin with one manifest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::idle::Idle;
use super::instance::PreInstance;
use super::manifest::Manifest;
use super::package::Digest;
use crate::capability::Lents;
use crate::capability::sql::statement::Declared;
use crate::config::PluginLimits;
use crate::telemetry::host::PluginMetrics;

/// All that a call needs of the deployment that serves it.
pub struct Deployment {
    pub plugin: Arc<str>,
    pub number: u64,
    pub digest: Digest,
    pub manifest: Manifest,
    pub mount: Arc<str>,
    pub limits: PluginLimits,
    pub pre: PreInstance,
    pub lents: Arc<Lents>,
    pub idle: Idle,
    pub gate: Gate,
    pub metrics: PluginMetrics,
    /// What the operator approved together with it.
    pub approved: Approved,
    /// Its declared statements: a later deployment's migrations must leave them
    /// able to run.
    pub declared: Vec<Declared>,
    pub tally: Tally,
    /// Ends what still runs when a drain has lasted too long.
    pub stop: CancellationToken,
    pub live: Live,
}

/// What an operator approved of what a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved {
    pub grants: Vec<String>,
    /// SQL functions, by name.
    pub functions: Vec<String>,
}

/// The requests that a deployment answered, and how many of them with a 5xx.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    pub fn count(&self, failed: bool) {
        self.requests.fetch_add(1, Relaxed);
        if failed {
            self.failures.fetch_add(1, Relaxed);
        }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }
}

/// Counts deployments that are in memory, until it is dropped.
pub struct Live(Gauge);

impl Live {
    pub fn new(gauge: Gauge) -> Live {
        gauge.increment(1.0);
        Live(gauge)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Deployment {
    /// `tickets@3`, as answers carry it.
    pub fn label(&self) -> String {
        format!("{}@{}", self.plugin, self.number)
    }

    pub fn wall_max(&self) -> Duration {
        Duration::from_millis(self.limits.wall_ms_max)
    }

    pub fn cpu_max(&self) -> Duration {
        Duration::from_millis(self.limits.cpu_ms_max)
    }
}

/// Why a call does not get to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    #[error("too many requests of this plugin are waiting")]
    QueueFull,
    #[error("no instance came free in time")]
    WaitedTooLong,
}

/// How many calls run, and how many may wait for how long. A full queue sheds:
/// it does not grow.
pub struct Gate {
    plugin: Arc<Semaphore>,
    host: Arc<Semaphore>,
    in_flight_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
    wait_max: Duration,
}

/// The right to run one call; dropped, another may.
pub struct Permit {
    _plugin: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

impl Gate {
    /// `host` is shared by all plugins.
    pub fn new(limits: &PluginLimits, host: Arc<Semaphore>) -> Gate {
        Gate {
            plugin: Arc::new(Semaphore::new(limits.in_flight_max)),
            host,
            in_flight_max: limits.in_flight_max,
            waiting: AtomicUsize::new(0),
            waiting_max: limits.waiting_max,
            wait_max: Duration::from_millis(limits.wait_ms_max),
        }
    }

    pub async fn enter(&self) -> Result<Permit, Shed> {
        if let Some(permit) = self.try_enter() {
            return Ok(permit);
        }
        let _place = Place::take(self).ok_or(Shed::QueueFull)?;
        match tokio::time::timeout(self.wait_max, self.wait()).await {
            Ok(Some(permit)) => Ok(permit),
            _ => Err(Shed::WaitedTooLong),
        }
    }

    /// Calls that run or wait for their turn.
    pub fn in_flight(&self) -> usize {
        let running = self
            .in_flight_max
            .saturating_sub(self.plugin.available_permits());
        running + self.waiting.load(Relaxed)
    }

    fn try_enter(&self) -> Option<Permit> {
        let plugin = self.plugin.clone().try_acquire_owned().ok()?;
        let host = self.host.clone().try_acquire_owned().ok()?;
        Some(Permit {
            _plugin: plugin,
            _host: host,
        })
    }

    async fn wait(&self) -> Option<Permit> {
        let plugin = self.plugin.clone().acquire_owned().await.ok()?;
        let host = self.host.clone().acquire_owned().await.ok()?;
        Some(Permit {
            _plugin: plugin,
            _host: host,
        })
    }
}

struct Place<'a>(&'a Gate);

impl<'a> Place<'a> {
    fn take(gate: &'a Gate) -> Option<Place<'a>> {
        let room = |waiting: usize| (waiting < gate.waiting_max).then_some(waiting + 1);
        gate.waiting.fetch_update(Relaxed, Relaxed, room).ok()?;
        Some(Place(gate))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}
