//! The one place that knows how to reach a Postgres.
//!
//! A [`Server`] is opened once per process. It holds a small pool for the
//! host's own tables ([`Server::host`]) and hands out what the `sql` capability
//! needs to open a pool of its own per plugin ([`Server::connect_config`] and
//! [`Server::tls`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), hearth_backend::postgres::OpenError> {
//! use hearth_backend::postgres::{Config, Server};
//!
//! let server = Server::open(Config::default(), "postgres://hearth@localhost/hearth").await?;
//! server.prepare_database().await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod cancel;
pub mod connection;
mod error;
pub mod events;
mod harden;
mod host;
pub mod invalidations;
pub mod lease;
mod listen;
mod parameter;
pub mod plugin;
mod pool_metrics;
mod root_secret;
mod schema;
pub mod share;
mod slots;
pub mod tenancy;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use address::Roots;
pub use address::{Url, hosts};
pub use error::chain;
pub use error::{OpenError, pool_unavailable, unavailable};
use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, MIB, Mistakes, Section};
pub use host::HostPool;
pub use listen::{Listening, raise};
pub use root_secret::Match;
pub use tokio_postgres_rustls::MakeRustlsConnect as Tls;

/// The `[database]` table of hearth.toml. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://user:password@host:port/database?sslmode=...&sslrootcert=...`, or
    /// libpq's `key=value` form. Without it the host starts a private cluster.
    pub url: Option<Url>,
    /// What this host may open in all: its own tables' and every plugin's. One that
    /// listens for `push` comes on top.
    pub connections_max: u32,
    /// For the host's own tables.
    pub host_connections_max: u32,
    /// For each plugin. Measured: 8 carry nearly all that Postgres can do.
    pub plugin_connections_max: u32,
    /// For opening one connection, its TLS and its log-in included.
    pub connect_ms_max: u64,
    /// For a free connection of a pool; then the request gets 503.
    pub wait_ms_max: u64,
    /// Postgres's `statement_timeout`.
    pub statement_ms_max: u64,
    /// Postgres's `lock_timeout`.
    pub lock_ms_max: u64,
    /// Postgres's `idle_in_transaction_session_timeout`.
    pub idle_in_transaction_ms_max: u64,
    /// The same for the host's own transactions, which no guest can hold open but
    /// which a starved machine can delay.
    pub host_idle_in_transaction_ms_max: u64,
    /// How long a starting host waits for a Postgres that does not answer yet.
    pub start_ms_max: u64,
    /// How often the host looks for tables, its own and of plugins, that have grown from
    /// nothing and have no statistics yet.
    pub analyse_look_ms: u64,
    /// The authorities (PEM) to trust instead of the machine's own, where the URL names
    /// none by `sslrootcert`.
    pub tls_root_file: Option<PathBuf>,
    pub embedded: Embedded,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            connections_max: 48,
            host_connections_max: 4,
            plugin_connections_max: 8,
            connect_ms_max: 3_000,
            wait_ms_max: 1_000,
            statement_ms_max: 5_000,
            lock_ms_max: 1_000,
            idle_in_transaction_ms_max: 2_000,
            host_idle_in_transaction_ms_max: 30_000,
            start_ms_max: 30_000,
            analyse_look_ms: 5_000,
            tls_root_file: None,
            embedded: Embedded::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // What the host and one plugin have must fit into what both share.
        let shares = u64::from(self.host_connections_max) + u64::from(self.plugin_connections_max);
        bounds! { self, mistakes =>
            connections_max in shares..=10_000,
            host_connections_max in 1..=1_000,
            plugin_connections_max in 1..=1_000,
            connect_ms_max in 1..=600_000,
            wait_ms_max in 1..=600_000,
            statement_ms_max in 1..=HOUR_MS,
            lock_ms_max in 1..=HOUR_MS,
            idle_in_transaction_ms_max in 1..=HOUR_MS,
            host_idle_in_transaction_ms_max in 1..=HOUR_MS,
            start_ms_max in 0..=HOUR_MS,
            analyse_look_ms in 100..=HOUR_MS,
        }
        mistakes.section("embedded", &self.embedded);
    }
}

/// Section `[database.embedded]`: what one process of the private cluster may take, and
/// so one statement, for each runs in one process.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedded {
    /// Address space, of which the program and its shared buffers take 220 MB. A plugin's
    /// file is stored in one statement: the default has room for one of 64 MiB.
    pub backend_memory_bytes_max: u64,
    /// Files that sorting, hashing and building an index leave on disk meanwhile.
    pub temp_file_bytes_max: u64,
}

impl Default for Embedded {
    fn default() -> Self {
        Embedded {
            backend_memory_bytes_max: 640 << 20,
            temp_file_bytes_max: 1 << 30,
        }
    }
}

impl Section for Embedded {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            // With less it does not start.
            backend_memory_bytes_max in 320 * MIB..=1024 * GIB,
            temp_file_bytes_max in MIB..=1024 * GIB,
        }
    }
}

/// A Postgres that answered once. Cloning shares the pool.
#[derive(Clone)]
pub struct Server {
    shared: Arc<ServerInner>,
}

struct ServerInner {
    config: Config,
    connect: tokio_postgres::Config,
    tls: Tls,
    host: HostPool,
}

impl Server {
    /// Reads the URL, builds TLS and the host's pool, and waits at most
    /// `start_ms_max` until a Postgres of version 14 or newer answers.
    ///
    /// # Errors
    /// At once for what waiting cannot mend: a malformed URL, a refused
    /// password, an unknown database, a certificate that does not verify, a
    /// server that is too old.
    pub async fn open(config: Config, url: &str) -> Result<Server, OpenError> {
        check_limits(&config)?;
        let connect = address::parse(url, &config)?;
        let of_url = address::roots(url, &connect);
        let tls = tls::connector(match &of_url {
            Some(Roots::File(file)) => Some(file.as_path()),
            Some(Roots::Machine) => None,
            None => config.tls_root_file.as_deref(),
        })?;
        let host = host::pool(&config, connect.clone(), tls.clone())?;
        let limit = Duration::from_millis(config.start_ms_max);
        host::wait_until_up(&host, limit).await?;
        let shared = ServerInner {
            config,
            connect,
            tls,
            host,
        };
        Ok(Server {
            shared: Arc::new(shared),
        })
    }

    /// The limits that this server was opened with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// How to connect: address, database, user and password of the host, with
    /// application name, connect timeout and keepalives set. Change the user
    /// and password in the copy to log in as somebody else.
    pub fn connect_config(&self) -> tokio_postgres::Config {
        self.shared.connect.clone()
    }

    /// The TLS connector that belongs to [`Server::connect_config`].
    pub fn tls(&self) -> Tls {
        self.shared.tls.clone()
    }

    /// Connections for the host's own tables. Its waits are bounded by
    /// `wait_ms_max` and `connect_ms_max`. The search path is `pg_catalog`
    /// alone, so name the schema of every table.
    pub fn host(&self) -> &HostPool {
        &self.shared.host
    }

    /// Brings the host's schema `hearth` up to this version and takes from
    /// PUBLIC what would let a plugin leave its tenant. Safe to run from
    /// several hosts at once: the migrations take turns on an advisory lock.
    ///
    /// What a managed server does not let us take away is logged as a warning;
    /// the statement gate refuses the same functions by name.
    ///
    /// Afterwards only superusers (and the host's own role, which is granted it
    /// explicitly) may call advisory locks, `set_config` and their like.
    pub async fn prepare_database(&self) -> Result<(), OpenError> {
        let mut client = self.host().get().await?;
        schema::migrate(&mut client, self.config()).await?;
        harden::harden(&mut client, self.config()).await?;
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// A pool of no connections would make every request wait for nothing.
fn check_limits(config: &Config) -> Result<(), OpenError> {
    if config.host_connections_max == 0 || config.plugin_connections_max == 0 {
        return Err(OpenError::Limits(
            "host_connections_max and plugin_connections_max must be at least 1",
        ));
    }
    let least = config
        .host_connections_max
        .saturating_add(config.plugin_connections_max);
    if config.connections_max < least {
        return Err(OpenError::Limits(
            "connections_max must hold host_connections_max and plugin_connections_max",
        ));
    }
    Ok(())
}
