//! What operators see of the pools: names and meanings are OpenTelemetry's for pools of
//! a database's client.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use deadpool::Status;

use hearth_base::telemetry::distribution::Distribution;
use hearth_base::telemetry::page::{FamilyKind, Label, MetricsPage};

const COUNT: &str = "hearth_db_client_connection_count";
const MAX: &str = "hearth_db_client_connection_max";
const PENDING: &str = "hearth_db_client_connection_pending_requests";
const WAIT: &str = "hearth_db_client_connection_wait_time_seconds";
const TIMEOUTS: &str = "hearth_db_client_connection_timeouts_total";

/// What is counted of one pool.
#[derive(Debug, Default)]
pub struct PoolMetrics {
    waited: Distribution,
    timeouts: AtomicU64,
}

impl PoolMetrics {
    /// Somebody got a connection after so long.
    pub fn got(&self, waited: Duration) {
        self.waited.record(waited);
    }

    /// Somebody got none in time.
    pub fn timed_out(&self) {
        self.timeouts.fetch_add(1, Relaxed);
    }
}

/// A pool at an instant.
pub struct PoolView<'p> {
    /// `None` for the pool of the host's own tables.
    pub plugin: Option<&'p str>,
    pub status: Status,
    /// Who waits in front of the pool.
    pub waiting: usize,
    pub metrics: &'p PoolMetrics,
}

impl PoolView<'_> {
    fn labels(&self) -> Vec<Label<'_>> {
        match self.plugin {
            Some(plugin) => vec![("pool", "plugin"), ("plugin", plugin)],
            None => vec![("pool", "host")],
        }
    }

    fn with(&self, label: Label<'static>) -> Vec<Label<'_>> {
        let mut labels = self.labels();
        labels.push(label);
        labels
    }
}

/// Writes all pools' families.
pub fn write(pools: &[PoolView<'_>], page: &mut MetricsPage) {
    page.family(
        COUNT,
        FamilyKind::Gauge,
        "Connections to Postgres, by pool and state.",
    );
    for pool in pools {
        let idle = pool.status.available;
        let used = pool.status.size.saturating_sub(idle);
        page.sample(COUNT, &pool.with(("state", "used")), used);
        page.sample(COUNT, &pool.with(("state", "idle")), idle);
    }
    page.family(MAX, FamilyKind::Gauge, "Connections that a pool may have.");
    for pool in pools {
        page.sample(MAX, &pool.labels(), pool.status.max_size);
    }
    page.family(
        PENDING,
        FamilyKind::Gauge,
        "Calls that wait for a connection of a pool.",
    );
    for pool in pools {
        let waiting = pool.waiting + pool.status.waiting;
        page.sample(PENDING, &pool.labels(), waiting);
    }
    page.family(
        WAIT,
        FamilyKind::Histogram,
        "Time until a call had a connection of a pool.",
    );
    for pool in pools {
        page.histogram(WAIT, &pool.labels(), &pool.metrics.waited);
    }
    page.family(
        TIMEOUTS,
        FamilyKind::Counter,
        "Calls that had no connection of a pool in time.",
    );
    for pool in pools {
        let timeouts = pool.metrics.timeouts.load(Relaxed);
        page.sample(TIMEOUTS, &pool.labels(), timeouts);
    }
}
