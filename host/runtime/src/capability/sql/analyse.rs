//! Statistics earlier than Postgres's own autovacuum makes them: of a plugin's tables after
//! its migrations, and of all tables that have grown from nothing. Nobody but their owner
//! may make them, so the host logs in as the plugin's owner, and makes those of its own
//! schema itself.
//!
//! An empty table is left alone: of one that was never analysed Postgres expects a few
//! rows, of one that was found empty none.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::Client as Session;

use super::Client;
use super::lend::{LendContext, LendError};
use super::migrate::Plan;
use super::owner::OwnerSession;
use super::roles::RoleNames;
use super::turn::Turn;

/// Tables of a schema that have rows, as they can be named.
const FILLED: &str = "
    SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0
    ORDER BY c.oid";

/// Those that nobody has analysed or vacuumed and that have many rows all the same, with
/// their schemas.
const GROWN: &str = "
    SELECT n.nspname::text, c.oid::regclass::text FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.reltuples < 0 AND pg_stat_get_live_tuples(c.oid) >= $1
    ORDER BY c.oid";
const GROWN_ROWS_MIN: i64 = 1_000;

/// The host's own schema.
const HOST: &str = "hearth";

/// All tables of a schema that has just been migrated.
pub(super) async fn migrated(owner: &OwnerSession, names: &RoleNames) {
    match filled(&owner.client, &names.schema).await {
        Ok(tables) => analyse(&owner.client, &tables).await,
        Err(error) => tracing::warn!(%error, "tables could not be analysed after a migration"),
    }
}

impl Client {
    /// How often tables are looked for that may have grown.
    pub fn analyse_look_ms(&self) -> u64 {
        self.server.config().analyse_look_ms
    }

    /// Analyses the tables of the host and of these plugins that have grown from nothing
    /// since the last look.
    pub async fn analyse_grown(&self, plugins: &[Arc<str>]) -> Result<(), LendError> {
        let host = self.server.host().get().await?;
        let mut grown = grown(&host).await?;
        analyse(&host, &grown.remove(HOST).unwrap_or_default()).await;
        drop(host);
        if grown.is_empty() {
            return Ok(());
        }
        let database = self.database().await?;
        for plugin in plugins {
            let names = RoleNames::of(plugin, &database);
            let found = names.and_then(|names| Some((grown.remove(&names.schema)?, names)));
            let Some((tables, names)) = found else {
                continue;
            };
            if let Err(error) = self.analyse_as_owner(plugin, &names, &tables).await {
                tracing::warn!(%plugin, %error, "the plugin's tables could not be analysed");
            }
        }
        Ok(())
    }

    async fn analyse_as_owner(
        &self,
        plugin: &str,
        names: &RoleNames,
        tables: &[String],
    ) -> Result<(), LendError> {
        let plan = Plan {
            plugin,
            names,
            password: "",
            migrations: &[],
            shared: &[],
            limits: self.limits(),
            beside: &LendContext::default(),
            server: &self.server,
        };
        let turn = Turn::take(&plan).await?;
        let owner = OwnerSession::log_in(&turn, &plan).await?;
        analyse(&owner.client, tables).await;
        Ok(())
    }
}

async fn filled(session: &Session, schema: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session.query(FILLED, &[&schema]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn grown(session: &Session) -> Result<BTreeMap<String, Vec<String>>, tokio_postgres::Error> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.query(GROWN, &[&GROWN_ROWS_MIN]).await? {
        tables
            .entry(row.try_get(0)?)
            .or_default()
            .push(row.try_get(1)?);
    }
    Ok(tables)
}

/// Each by itself. What goes wrong costs statistics alone, which come later by themselves.
async fn analyse(session: &Session, tables: &[String]) {
    for table in tables {
        let text = format!("ANALYZE {table}");
        if let Err(error) = session.batch_execute(&text).await {
            tracing::warn!(table, %error, "a table could not be analysed");
        }
    }
}
