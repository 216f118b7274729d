//! Queues in Postgres: the rows of `hearth.messages` are the messages, and each is in
//! one of the tables `ready`, `delayed`, `leases` and `blocked` beside it.
//!
//! A transaction of a plugin writes its messages through `hearth.enqueue_many`, so they
//! are there once it has committed. Everything else happens on the host's own pool,
//! each in one round trip: sends of all requests are merged into one call, as what all
//! consumers settle is, and receiving and settling are functions of migration 0013,
//! which says how groups keep their order and how nothing is read that is gone. A
//! receive takes the customers in turn (`line`).
//!
//! With SQS the same rows wait here for the relay, and dead letters and deduplication
//! are here for both.

mod counting;
mod dead;
mod entry;
mod horizon;
mod line;
mod local;
mod receive;
mod send;
mod settle;
mod sweep;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::merge::Merge;
use super::postgres::Server;
use super::queue::{Config, Outgoing, QueueError};
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::HostMetrics;

use local::Local;
use settle::Ending;
use table::Table;

pub use entry::{Columns, ENQUEUE, ENQUEUE_MANY, Entry, Stamp};
pub(crate) use receive::Delivery;

/// The queues of a database. Cloning shares them.
#[derive(Clone)]
pub struct PgQueue {
    shared: Arc<PgQueueInner>,
}

struct PgQueueInner {
    table: Arc<Table>,
    config: Config,
    sends: Arc<Merge<Entry, Result<(), QueueError>>>,
    settles: Arc<Merge<Ending, Result<(), QueueError>>>,
    locals: Mutex<HashMap<Arc<str>, Arc<Local>>>,
    metrics: HostMetrics,
    runtime: Handle,
    /// What gives back that a dropped receive has leased.
    returning: TaskTracker,
}

impl PgQueue {
    /// To be called within the runtime that shall give back what dropped calls
    /// received. Lets Postgres know the key with which this host sends.
    pub async fn open(
        config: &Config,
        server: Server,
        secret: &RootSecret,
        clock: Clock,
        metrics: &HostMetrics,
    ) -> Result<PgQueue, QueueError> {
        let operation_max = Duration::from_millis(config.operation_ms_max);
        let key = secret.derive("outbox/enqueue");
        let table = Arc::new(Table::new(server, clock, key, operation_max));
        table.register_key().await?;
        Ok(PgQueue {
            shared: Arc::new(PgQueueInner {
                sends: send::merge(&table, config),
                settles: settle::merge(&table, config),
                table,
                config: config.clone(),
                locals: Mutex::default(),
                metrics: metrics.clone(),
                runtime: Handle::current(),
                returning: TaskTracker::new(),
            }),
        })
    }

    /// What `hearth.enqueue` wants beside the entry.
    pub(super) fn stamp(&self) -> Stamp {
        self.shared.table.stamp()
    }

    /// Whether there is room for one more.
    pub(super) fn check(&self, message: &Outgoing) -> Result<(), QueueError> {
        let customer = super::queue::customer_text(message.customer.as_ref());
        let local = self.local(&message.queue);
        local
            .check_room(customer, &self.shared.config)
            .inspect_err(|_| local.metrics.full.increment(1))
            .map_err(QueueError::from)
    }

    /// What this process knows of a queue.
    pub(crate) fn local(&self, queue: &str) -> Arc<Local> {
        let mut locals = self.shared.locals.lock();
        if let Some(local) = locals.get(queue) {
            return local.clone();
        }
        let name: Arc<str> = Arc::from(queue);
        let local = Arc::new(Local::new(name.clone(), &self.shared.metrics));
        locals.insert(name, local.clone());
        local
    }

    pub(super) fn server(&self) -> &Server {
        &self.shared.table.server
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    pub(super) fn returning(&self) -> &TaskTracker {
        &self.shared.returning
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.table.clock
    }

    /// Counts what is in the queues and drops what is too old, for as long as it is
    /// polled.
    pub async fn keep(self) {
        tokio::join!(self.keep_counting(), self.keep_sweeping());
    }
}
