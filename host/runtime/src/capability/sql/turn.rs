//! The host's own session while a plugin's schema changes. It holds the plugin's
//! advisory lock, so that hosts take turns, and does what wants the host's rights:
//! roles, the schema itself, the ledger. It names no table, view, type or function
//! of a plugin, so nothing of a plugin is ever evaluated as the host.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;

use super::lend::LendError;
use super::migrate::Plan;
use hearth_backend::postgres::Server;

/// The first half of the advisory locks, "migr" in ASCII.
const LOCK: i32 = 0x6d69_6772;
const AGAIN: Duration = Duration::from_millis(20);

/// Dropped, its connection closes, and with it the lock goes.
pub(super) struct Turn {
    pub client: Client,
}

impl Turn {
    /// Another host's migration may take as long as one may. It asks again and
    /// again: a session that waits inside Postgres holds a snapshot, for which the
    /// other host's CREATE INDEX CONCURRENTLY would wait.
    pub async fn take(plan: &Plan<'_>) -> Result<Turn, LendError> {
        let client = connect(plan.server, &plan.server.connect_config()).await?;
        let ms = plan.limits.migration_ms_max;
        let until = Instant::now() + Duration::from_millis(ms);
        let settings = format!(
            "SET search_path = pg_catalog, pg_temp; SET statement_timeout = {ms}; \
             SET lock_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; \
             SET idle_session_timeout = 0"
        );
        client.batch_execute(&settings).await?;
        let text = "SELECT pg_try_advisory_lock($1, hashtext($2))";
        loop {
            let row = client.query_one(text, &[&LOCK, &plan.plugin]).await?;
            if row.try_get(0)? {
                return Ok(Turn { client });
            }
            if Instant::now() >= until {
                let reason = "another host has migrated this plugin for longer than \
                              sql.migration_ms_max; try again when it is done";
                return Err(LendError::Backend(reason.to_owned()));
            }
            sleep(AGAIN).await;
        }
    }
}

/// A connection that belongs to no pool: no lock, role or setting outlives it.
pub(super) async fn connect(
    server: &Server,
    config: &tokio_postgres::Config,
) -> Result<Client, LendError> {
    let most = Duration::from_millis(server.config().connect_ms_max);
    let connected = timeout(most, config.connect(server.tls())).await;
    let late = |_| LendError::Backend("connecting took longer than connect_ms_max".to_owned());
    let (client, connection) = connected.map_err(late)??;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection of a migration ended");
        }
    });
    Ok(client)
}
