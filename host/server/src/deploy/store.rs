//! Deployments in Postgres: the bytes, what was approved, and what serves. The
//! only place with that SQL. A restart needs nothing else.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;

use hearth_backend::postgres::{Server, chain};
use hearth_runtime::plugin::deployment::Approved;
use hearth_runtime::plugin::package::{Digest, Package};

/// Postgres is unavailable or answered what it should not.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("Postgres: {0}")]
    Backend(String),
    #[error("another host is deploying this plugin")]
    Locked,
    #[error("the deployment {0} was not found in the database")]
    Missing(u64),
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> StoreError {
        match error.as_db_error() {
            Some(db) => {
                StoreError::Backend(format!("{} (SQLSTATE {})", db.message(), db.code().code()))
            }
            None => StoreError::Backend(chain(&error)),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> StoreError {
        StoreError::Backend(chain(&error))
    }
}

/// One deployment as it was approved.
#[derive(Clone, Debug)]
pub struct Stored {
    pub number: u64,
    pub approved: Approved,
    pub by: String,
    pub digest: Vec<u8>,
    pub bytes: Bytes,
}

/// One line of a plugin's history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryLine {
    pub number: u64,
    pub version: String,
    pub digest: String,
    pub deployed_at: String,
    pub by: String,
    pub grants: Vec<String>,
    pub state: String,
    pub serving_since: Option<String>,
    pub bytes: i64,
}

/// Writing or reading a whole artifact may take longer than other statements.
const LARGE: &str = "SET LOCAL statement_timeout = 60000";
/// The first half of the advisory locks of plugins, "depl" in ASCII.
const LOCK: i32 = 0x6465_706c;
/// How long a starting host waits for another that deploys the same plugin.
const TURN_MAX: Duration = Duration::from_secs(300);
/// How long a deploy waits for it.
const TURN_SOON: Duration = Duration::from_secs(2);
const TURN_AGAIN: Duration = Duration::from_millis(20);

/// The tables `hearth.artifacts`, `hearth.deployments` and `hearth.slots`.
#[derive(Clone)]
pub struct Store {
    server: Server,
}

/// The right to deploy one plugin, among all hosts of this database. Dropped,
/// its connection closes, and with it the lock goes.
pub struct Turn {
    _client: tokio_postgres::Client,
}

impl Store {
    pub fn open(server: Server) -> Store {
        Store { server }
    }

    /// Takes the plugin's lock for a deploy. It waits a little, for the lock of a
    /// deploy that just ended goes with its connection.
    pub async fn try_turn(&self, plugin: &str) -> Result<Turn, StoreError> {
        self.turn_within(plugin, TURN_SOON).await
    }

    /// Waits for the plugin's lock, as several hosts that start at once do.
    pub async fn turn(&self, plugin: &str) -> Result<Turn, StoreError> {
        self.turn_within(plugin, TURN_MAX).await
    }

    /// It asks again and again: a session that waits inside Postgres holds a
    /// snapshot, for which the other host's CREATE INDEX CONCURRENTLY would wait.
    async fn turn_within(&self, plugin: &str, bound: Duration) -> Result<Turn, StoreError> {
        let until = Instant::now() + bound;
        let client = self.connect().await?;
        let text = "SELECT pg_catalog.pg_try_advisory_lock($1, pg_catalog.hashtext($2))";
        loop {
            let row = client.query_one(text, &[&LOCK, &plugin]).await?;
            if row.try_get(0)? {
                return Ok(Turn { _client: client });
            }
            if Instant::now() >= until {
                return Err(StoreError::Locked);
            }
            sleep(TURN_AGAIN).await;
        }
    }

    /// A connection of its own: a lock of a session must not go back to a pool.
    async fn connect(&self) -> Result<tokio_postgres::Client, StoreError> {
        let (client, connection) = self
            .server
            .connect_config()
            .connect(self.server.tls())
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the connection with the lock of a deploy was lost");
            }
        });
        Ok(client)
    }

    /// Writes down a deployment and its bytes, and answers its number. It does
    /// not serve by that.
    pub async fn add(
        &self,
        package: &Package,
        approved: &Approved,
        by: &str,
    ) -> Result<u64, StoreError> {
        let mut client = self.server.host().get().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(LARGE).await?;
        let digest = package.digest.0.as_slice();
        let bytes: &[u8] = &package.component;
        transaction
            .execute(
                "INSERT INTO hearth.artifacts (digest, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[&digest, &bytes],
            )
            .await?;
        let manifest = &package.manifest;
        let text = "INSERT INTO hearth.deployments (plugin, number, digest, version, grants, functions, shared, scans, by_whom)
             SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8
             FROM hearth.deployments WHERE plugin = $1 RETURNING number";
        let row = transaction
            .query_one(
                text,
                &[
                    &manifest.name,
                    &digest,
                    &manifest.version.to_string(),
                    &approved.grants,
                    &approved.functions,
                    &approved.shared,
                    &approved.scans,
                    &by,
                ],
            )
            .await?;
        let number = number(&row, 0)?;
        transaction.commit().await?;
        Ok(number)
    }

    /// Drops the bytes of a refused deployment, unless they served at some time.
    pub async fn forget(&self, digest: &Digest) -> Result<(), StoreError> {
        let text = "DELETE FROM hearth.artifacts WHERE digest = $1 AND NOT EXISTS (
             SELECT FROM hearth.deployments d WHERE d.digest = $1 AND d.served_at IS NOT NULL)";
        let client = self.server.host().get().await?;
        client.execute(text, &[&digest.0.as_slice()]).await?;
        Ok(())
    }

    /// The commit that decides what serves.
    pub async fn serve(&self, plugin: &str, number: u64) -> Result<(), StoreError> {
        let mut client = self.server.host().get().await?;
        let transaction = client.transaction().await?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        transaction
            .execute(
                "UPDATE hearth.deployments SET served_at = clock_timestamp() WHERE plugin = $1 AND number = $2",
                &[&plugin, &number],
            )
            .await?;
        transaction
            .execute(
                "INSERT INTO hearth.slots (plugin, serving) VALUES ($1, $2)
                 ON CONFLICT (plugin) DO UPDATE SET serving = $2, since = now()",
                &[&plugin, &number],
            )
            .await?;
        Ok(transaction.commit().await?)
    }

    /// From now on nothing serves the plugin.
    pub async fn undeploy(&self, plugin: &str) -> Result<(), StoreError> {
        let client = self.server.host().get().await?;
        let text = "UPDATE hearth.slots SET serving = NULL, since = now() WHERE plugin = $1";
        client.execute(text, &[&plugin]).await?;
        Ok(())
    }

    /// Every plugin that something serves, with the deployment's number.
    pub async fn serving(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let client = self.server.host().get().await?;
        let text = "SELECT plugin, serving FROM hearth.slots WHERE serving IS NOT NULL ORDER BY 1";
        let rows = client.query(text, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, number(row, 1)?)))
            .collect()
    }

    /// Whether these bytes have ever served the plugin.
    pub async fn has_served(&self, plugin: &str, digest: &Digest) -> Result<bool, StoreError> {
        let client = self.server.host().get().await?;
        let text = "SELECT EXISTS (SELECT FROM hearth.deployments
             WHERE plugin = $1 AND digest = $2 AND served_at IS NOT NULL)";
        let row = client
            .query_one(text, &[&plugin, &digest.0.as_slice()])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// A deployment that has served, with its bytes.
    pub async fn load(&self, plugin: &str, wanted: u64) -> Result<Stored, StoreError> {
        let mut client = self.server.host().get().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(LARGE).await?;
        let text = "SELECT d.grants, d.functions, d.shared, d.by_whom, d.digest, a.bytes, d.scans
             FROM hearth.deployments d JOIN hearth.artifacts a USING (digest)
             WHERE d.plugin = $1 AND d.number = $2 AND d.served_at IS NOT NULL";
        let key = i64::try_from(wanted).unwrap_or(i64::MAX);
        let row = transaction.query_opt(text, &[&plugin, &key]).await?;
        let row = row.ok_or(StoreError::Missing(wanted))?;
        let bytes: Vec<u8> = row.try_get(5)?;
        Ok(Stored {
            number: wanted,
            approved: Approved {
                grants: row.try_get(0)?,
                functions: row.try_get(1)?,
                shared: row.try_get(2)?,
                scans: row.try_get(6)?,
            },
            by: row.try_get(3)?,
            digest: row.try_get(4)?,
            bytes: Bytes::from(bytes),
        })
    }

    /// The deployment that served before the present one; the last one, where
    /// nothing serves.
    pub async fn previous(&self, plugin: &str) -> Result<Option<u64>, StoreError> {
        let text = "SELECT d.number FROM hearth.deployments d JOIN hearth.slots s USING (plugin)
             WHERE plugin = $1 AND d.served_at IS NOT NULL AND d.number IS DISTINCT FROM s.serving
             ORDER BY d.served_at DESC LIMIT 1";
        let client = self.server.host().get().await?;
        let row = client.query_opt(text, &[&plugin]).await?;
        row.map(|row| number(&row, 0)).transpose()
    }

    /// The tables that any deployment of the plugin lists as shared.
    pub async fn shared_tables(&self, plugin: &str) -> Result<Vec<String>, StoreError> {
        let client = self.server.host().get().await?;
        let text = "SELECT DISTINCT unnest(shared) FROM hearth.deployments WHERE plugin = $1";
        let rows = client.query(text, &[&plugin]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Everything that has served the plugin, the newest first.
    pub async fn history(&self, plugin: &str) -> Result<Vec<HistoryLine>, StoreError> {
        let client = self.server.host().get().await?;
        let rows = client.query(HISTORY, &[&plugin]).await?;
        rows.iter().map(record).collect()
    }

    /// Since when the plugin's slot holds what it holds.
    pub async fn since(&self) -> Result<Vec<(String, String)>, StoreError> {
        let client = self.server.host().get().await?;
        let text =
            "SELECT plugin, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
             FROM hearth.slots WHERE serving IS NOT NULL";
        let rows = client.query(text, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }
}

/// Retired is what served and does not; of a plugin that nothing serves, the
/// deployment that served last is the one that was undeployed.
const HISTORY: &str = "
    SELECT d.number, d.version, encode(d.digest, 'hex'),
           to_char(d.deployed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
           d.by_whom, d.grants,
           CASE WHEN d.number = s.serving THEN 'serving'
                WHEN s.serving IS NULL AND d.served_at = max(d.served_at) OVER () THEN 'undeployed'
                ELSE 'retired' END,
           CASE WHEN d.number = s.serving
                THEN to_char(s.since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') END,
           coalesce((SELECT octet_length(bytes) FROM hearth.artifacts a WHERE a.digest = d.digest), 0)::bigint
    FROM hearth.deployments d LEFT JOIN hearth.slots s USING (plugin)
    WHERE plugin = $1 AND d.served_at IS NOT NULL
    ORDER BY d.number DESC LIMIT 1000";

fn record(row: &Row) -> Result<HistoryLine, StoreError> {
    let digest: String = row.try_get(2)?;
    Ok(HistoryLine {
        number: number(row, 0)?,
        version: row.try_get(1)?,
        digest: format!("sha256:{digest}"),
        deployed_at: row.try_get(3)?,
        by: row.try_get(4)?,
        grants: row.try_get(5)?,
        state: row.try_get(6)?,
        serving_since: row.try_get(7)?,
        bytes: row.try_get(8)?,
    })
}

fn number(row: &Row, column: usize) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column)?;
    Ok(number.unsigned_abs())
}
