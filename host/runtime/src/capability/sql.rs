//! The capability `sql`: a plugin's declared statements on its own schema in
//! Postgres, each seeing the rows of the caller's customer and no others.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use hearth_backend::postgres::Server;
//! # use hearth_runtime::capability::sql;
//! # use hearth_base::secret::RootSecret;
//! # use hearth_base::telemetry::HostMetrics;
//! # async fn example(server: Arc<Server>, secret: Arc<RootSecret>, told: &HostMetrics,
//! #     deployment: sql::SqlDeployment<'_>) -> Result<(), sql::LendError> {
//! // One per process.
//! let client = sql::Client::open(server, secret, sql::Config::default(), told);
//! // One per deployment: gate, roles, migrations, described statements, pool.
//! let lent = client.lend(deployment).await?;
//! // One `View` per call borrows `lent` and a fresh `State`.
//! lent.retire();
//! # Ok(())
//! # }
//! ```

mod analyse;
mod batch;
mod concurrent_index;
mod describe;
mod enqueue;
mod error;
pub mod gate;
mod guard;
mod ledger;
mod lend;
mod lent;
mod migrate;
mod numeric;
mod owner;
mod pipeline;
mod reset;
mod roles;
mod run;
mod scans;
pub mod statement;
mod step;
mod tables;
mod transaction;
mod turn;
mod usage;
mod value;
mod view;

use std::sync::Arc;

use serde::Deserialize;
use wasmtime::component::{HasData, Linker, ResourceTable};

use crate::capability::{Backends, Call, OpenError};
use hearth_backend::postgres::Server;
use hearth_backend::postgres::plugin::{PoolLimits, Pools};
use hearth_base::bounds;
use hearth_base::secret::RootSecret;
use hearth_base::section::{DAY_MS, GIB, KIB, Mistakes, Section};
use hearth_base::telemetry::statements::StatementRegistry;
use hearth_base::telemetry::{BackendWatch, HostMetrics};

pub use error::Error;
pub use generated::hearth::plugin::sql::{
    Call as BatchCall, Enqueue, Error as GuestError, Host, HostTransaction, Isolation, Outcome,
    RowSet, Statement, Value,
};
pub use generated::hearth::plugin::types::OutgoingMessage;
pub use lend::{LendContext, LendError, Lending, Serving, SqlDeployment};
pub use lent::Lent;
pub use migrate::Migration;
pub use scans::{Outlook, Scan};
pub use transaction::Transaction;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import hearth:plugin/sql@0.1.0;",
        imports: { default: async | trappable },
        with: { "hearth:plugin/sql.transaction": super::Transaction },
    });
}

/// The `[sql]` table of hearth.toml. Connections and Postgres's own time-outs
/// are in `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rows of one result.
    pub rows_max: u64,
    /// Bytes of one result, as Postgres sends them.
    pub result_bytes_max: u64,
    /// Bytes of one parameter.
    pub value_bytes_max: u64,
    /// Bytes of all parameters of one statement.
    pub params_bytes_max: u64,
    /// Statements of one batch; its messages are bounded as those of a transaction.
    pub batch_calls_max: usize,
    /// Calls of one plugin that may wait for a connection.
    pub waiters_max: usize,
    /// What one customer may hold of a plugin's connections while another one
    /// waits, in percent.
    pub tenant_percent_max: usize,
    /// What one customer may hold of them at all, in percent, rounded up.
    pub tenant_connections_percent_max: u64,
    /// Requests to cancel a statement that may be under way at once.
    pub cancels_max: usize,
    /// For one statement of a migration, and for the other hosts' migrations
    /// before it. Milliseconds.
    pub migration_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            rows_max: 10_000,
            result_bytes_max: 8 * 1024 * 1024,
            value_bytes_max: 4 * 1024 * 1024,
            params_bytes_max: 8 * 1024 * 1024,
            batch_calls_max: 1_000,
            waiters_max: 1_000,
            tenant_percent_max: 50,
            tenant_connections_percent_max: 75,
            cancels_max: 8,
            migration_ms_max: 60_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            rows_max in 1..=10_000_000,
            result_bytes_max in KIB..=GIB,
            value_bytes_max in KIB..=GIB,
            params_bytes_max in KIB..=GIB,
            batch_calls_max in 1..=100_000,
            waiters_max in 0..=1_000_000,
            tenant_percent_max in 1..=100,
            tenant_connections_percent_max in 1..=100,
            cancels_max in 1..=1_000,
            migration_ms_max in 1..=DAY_MS,
        }
    }
}

/// The database of all plugins. One per process.
pub struct Client {
    server: Arc<Server>,
    secret: Arc<RootSecret>,
    config: Arc<Config>,
    pools: Arc<Pools>,
    statements: Arc<StatementRegistry>,
    watch: Arc<BackendWatch>,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        let server = Arc::new(backends.postgres.clone());
        let secret = backends.secret.clone();
        Ok(Self::open(
            server,
            secret,
            config.clone(),
            backends.host_metrics,
        ))
    }

    /// To be called within the runtime that shall end what dropped calls left
    /// running in Postgres. Connects to nothing yet.
    pub fn open(
        server: Arc<Server>,
        secret: Arc<RootSecret>,
        config: Config,
        told: &HostMetrics,
    ) -> Client {
        let limits = PoolLimits {
            waiters_max: config.waiters_max,
            tenant_percent_max: config.tenant_percent_max,
            tenant_connections_percent_max: config.tenant_connections_percent_max,
            cancels_max: config.cancels_max,
        };
        let pools = Arc::new(Pools::new(server.clone(), limits));
        let statements = Arc::new(StatementRegistry::default());
        told.sources.add(&pools);
        told.sources.add(&statements);
        Client {
            server,
            secret,
            config: Arc::new(config),
            pools,
            statements,
            watch: told.watches.postgres.clone(),
        }
    }
}

/// What one call accumulates: at most one open transaction. Dropped, it is
/// rolled back and its connection goes back clean.
#[derive(Default)]
pub struct State {
    open: Option<transaction::OpenTransaction>,
    begun: u64,
}

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
    pub state: &'a mut State,
    pub table: &'a mut ResourceTable,
}

/// What the guest gets of an error. Nothing is added on the way.
fn convert_error(error: Error) -> GuestError {
    match error {
        Error::UniqueViolation(name) => GuestError::UniqueViolation(name),
        Error::ForeignKeyViolation(name) => GuestError::ForeignKeyViolation(name),
        Error::CheckViolation(name) => GuestError::CheckViolation(name),
        Error::SerializationConflict => GuestError::SerializationConflict,
        Error::DeadlineExceeded => GuestError::DeadlineExceeded,
        Error::TooLarge => GuestError::TooLarge,
        Error::Unavailable(_) => GuestError::Unavailable,
        Error::QueueFull(queue) => GuestError::QueueFull(queue),
        Error::Denied(reason) => GuestError::Denied(reason),
        Error::Invalid(reason) => GuestError::Invalid(reason),
        Error::OutcomeUnknown => GuestError::OutcomeUnknown,
    }
}

/// Tells wasmtime how long a view lives.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Adds the interface `hearth:plugin/sql` to a linker.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::hearth::plugin::sql::add_to_linker::<T, Access>(linker, view)
}
