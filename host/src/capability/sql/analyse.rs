//! Statistics of plugins' tables, earlier than Postgres's own autovacuum makes them: after
//! migrations, and of tables that have grown from nothing. The plugin's owner makes them,
//! for nobody else may.
//!
//! An empty table is left alone: of one that was never analysed Postgres expects a few
//! rows, of one that was found empty none.

use tokio_postgres::Client as Session;

use super::Client;
use super::lend::{Beside, LendError};
use super::migrate::Plan;
use super::owner::Owner;
use super::roles::Names;
use super::turn::Turn;

/// Tables of a schema that have rows, as they can be named.
const FILLED: &str = "
    SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0
    ORDER BY c.oid";

/// Those that nobody has analysed or vacuumed, and that have many rows all the same.
const GROWN: &str = "
    SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND c.reltuples < 0
        AND s.n_live_tup >= $2
    ORDER BY c.oid";
const GROWN_ROWS_MIN: i64 = 1_000;

/// All tables of a schema that has just been migrated.
pub(super) async fn migrated(owner: &Owner, names: &Names) {
    match tables(&owner.client, FILLED, &[&names.schema]).await {
        Ok(tables) => analyse(owner, &tables).await,
        Err(error) => tracing::warn!(%error, "migrated tables were not analysed"),
    }
}

impl Client {
    /// How often tables are looked at that may have grown.
    pub fn analyse_look_ms(&self) -> u64 {
        self.server.config().analyse_look_ms
    }

    /// The tables of a plugin that have grown from nothing since the last look. It logs in
    /// as their owner where there are any.
    pub async fn analyse_grown(&self, plugin: &str) -> Result<(), LendError> {
        let names = self.names(plugin).await?;
        let host = self.server.host().get().await?;
        let grown = tables(&host, GROWN, &[&names.schema, &GROWN_ROWS_MIN]).await?;
        drop(host);
        if grown.is_empty() {
            return Ok(());
        }
        let plan = Plan {
            plugin,
            names: &names,
            password: "",
            migrations: &[],
            shared: &[],
            limits: self.limits(),
            beside: &Beside::default(),
            server: &self.server,
        };
        let turn = Turn::take(&plan).await?;
        let owner = Owner::log_in(&turn, &plan).await?;
        analyse(&owner, &grown).await;
        Ok(())
    }
}

async fn tables(
    session: &Session,
    text: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session.query(text, parameters).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Each by itself. What goes wrong costs statistics alone, which come later by themselves.
async fn analyse(owner: &Owner, tables: &[String]) {
    for table in tables {
        let text = format!("ANALYZE {table}");
        if let Err(error) = owner.client.batch_execute(&text).await {
            tracing::warn!(table, %error, "a table was not analysed");
        }
    }
}
