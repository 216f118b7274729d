//! A deployment: one component digest serving one plugin with one manifest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::Gauge;
use tokio_util::sync::CancellationToken;

use super::admission::Gate;
use super::cached_routes::CachedRoutes;
use super::failing::{FailureStreak, StreakChange};
use super::idle::Idle;
use super::instance::PreInstance;
use super::manifest::Manifest;
use super::openapi::Fragment;
use super::package::Digest;
use crate::capability::Lents;
use crate::capability::sql::statement::Declared;
use crate::plugin::limits::PluginLimits;
use hearth_base::telemetry::host::PluginMetrics;

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
    /// What it says of its routes, ready to be merged.
    pub openapi: Arc<Fragment>,
    /// Those of its routes whose answers may be kept.
    pub cached: CachedRoutes,
    pub idle: Idle,
    pub gate: Gate,
    pub metrics: PluginMetrics,
    /// What the operator approved together with it.
    pub approved: Approved,
    /// Its declared statements: a later deployment's migrations must leave them
    /// able to run.
    pub declared: Vec<Declared>,
    pub tally: RequestCounts,
    /// Whether all its calls fail, of requests and of messages.
    pub failing: FailureStreak,
    /// Ends what still runs when a drain has lasted too long.
    pub stop: CancellationToken,
    pub live: Live,
}

/// What an operator approved of what a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved {
    pub grants: Vec<String>,
    /// SQL functions: those of Postgres by name, `pg_sleep`, the plugin's own with
    /// the digest of their body, `touch@sha256:…`.
    pub functions: Vec<String>,
    /// Tables that all customers share, by name.
    pub shared: Vec<String>,
    /// Statements that read all rows of a customer, with the digest of their text.
    pub scans: Vec<String>,
}

/// The requests that a deployment answered, and how many of them with a 5xx.
#[derive(Debug, Default)]
pub struct RequestCounts {
    requests: AtomicU64,
    failures: AtomicU64,
}

impl RequestCounts {
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

    /// A call of the guest has ended. That all of them fail is told once, and so is that
    /// they do no longer.
    pub fn note_call(&self, failed: bool) {
        let Some(change) = self.failing.note(failed) else {
            return;
        };
        let (plugin, deployment) = (&self.plugin, self.number);
        match change {
            StreakChange::Began => {
                let calls = self.failing.calls();
                tracing::error!(%plugin, deployment, calls, "every call of the plugin fails");
            }
            StreakChange::Ended(calls) => {
                tracing::warn!(%plugin, deployment, calls, "a call of the plugin succeeded again");
            }
        }
    }

    /// Whether it consumes a queue, or may send to it.
    pub fn uses_queue(&self, name: &str) -> bool {
        let mut grants = self.approved.grants.iter();
        let consumes = self.manifest.queues.iter().any(|queue| queue.name == name);
        consumes || grants.any(|grant| grant.strip_prefix("queue:") == Some(name))
    }

    pub fn wall_max(&self) -> Duration {
        Duration::from_millis(self.limits.wall_ms_max)
    }

    pub fn cpu_max(&self) -> Duration {
        Duration::from_millis(self.limits.cpu_ms_max)
    }
}
