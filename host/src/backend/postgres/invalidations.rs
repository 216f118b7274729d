//! The log of what plugins declared stale, which every host reads.
//!
//! A plugin's own transaction never writes it: hosts append to it afterwards,
//! many at once. A reader remembers the oldest transaction that was still running
//! in its last snapshot, since ids become visible out of order.

use std::collections::HashSet;
use std::time::Duration;

use deadpool_postgres::{Client, PoolError};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Server;

/// One thing that is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalidation {
    pub plugin: String,
    /// `None` for calls without a customer.
    pub customer: Option<String>,
    pub what: Stale,
}

/// What is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stale {
    Tag(String),
    Key(String),
    /// All that the plugin cached, whosever it is.
    Plugin,
}

impl Stale {
    fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Stale::Tag(name) => ("tag", Some(name)),
            Stale::Key(name) => ("key", Some(name)),
            Stale::Plugin => ("plugin", None),
        }
    }

    /// What is not understood, perhaps a newer host's, makes all of it stale.
    fn read(kind: &str, name: Option<String>) -> Stale {
        match (kind, name) {
            ("tag", Some(name)) => Stale::Tag(name),
            ("key", Some(name)) => Stale::Key(name),
            _ => Stale::Plugin,
        }
    }
}

/// The backend's: Postgres is away or refused; try again.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no connection: {0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
}

const APPEND: &str = "
    INSERT INTO hearth.cache_invalidations (origin, plugin, customer, kind, name)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])";

/// One statement, so one snapshot: the horizon belongs to the rows.
const READ: &str = "
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
           log.id, log.plugin, log.customer, log.kind, log.name
    FROM (VALUES (1)) AS one
    LEFT JOIN hearth.cache_invalidations AS log
           ON log.xid >= $1::text::xid8 AND log.origin <> $2
    ORDER BY log.id LIMIT $3";

const HORIZON: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";

const SWEEP: &str = "
    DELETE FROM hearth.cache_invalidations
    WHERE at < now() - $1::bigint * interval '1 millisecond'";

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// What was not read before.
    New(Vec<Invalidation>),
    /// The log is read from here on, at first or because there was more than a
    /// read may find: everything from before is to be taken for stale.
    Begun,
}

/// This host's place in the log.
pub struct Log {
    server: Server,
    origin: Uuid,
    rows_max: usize,
    horizon: Option<String>,
    /// The rows that the last read found, and the next may find again.
    seen: HashSet<i64>,
}

impl Log {
    /// `rows_max` is how much one read may find. Asks Postgres nothing yet.
    pub fn new(server: Server, rows_max: usize) -> Log {
        Log {
            server,
            origin: Uuid::new_v4(),
            rows_max,
            horizon: None,
            seen: HashSet::new(),
        }
    }

    /// Tells the other hosts.
    pub async fn append(&self, stale: &[Invalidation]) -> Result<(), LogError> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(APPEND).await?;
        let plugins: Vec<&str> = stale.iter().map(|one| &*one.plugin).collect();
        let customers: Vec<Option<&str>> =
            stale.iter().map(|one| one.customer.as_deref()).collect();
        let (kinds, names): (Vec<_>, Vec<_>) = stale.iter().map(|one| one.what.parts()).unzip();
        client
            .execute(
                &statement,
                &[&self.origin, &plugins, &customers, &kinds, &names],
            )
            .await?;
        Ok(())
    }

    /// What other hosts have told since the last read.
    pub async fn read(&mut self) -> Result<Read, LogError> {
        let client = self.server.host().get().await?;
        let Some(horizon) = &self.horizon else {
            return self.begin(&client).await;
        };
        let statement = client.prepare_cached(READ).await?;
        let limit = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
        let rows = client
            .query(&statement, &[horizon, &self.origin, &limit])
            .await?;
        if rows.len() >= self.rows_max {
            return self.begin(&client).await;
        }
        self.take(&rows)
    }

    async fn begin(&mut self, client: &Client) -> Result<Read, LogError> {
        self.forget();
        let row = client.query_one(HORIZON, &[]).await?;
        self.horizon = Some(row.try_get(0)?);
        Ok(Read::Begun)
    }

    fn take(&mut self, rows: &[Row]) -> Result<Read, LogError> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for row in rows {
            self.horizon = Some(row.try_get(0)?);
            let Some(id) = row.try_get::<_, Option<i64>>(1)? else {
                continue;
            };
            seen.insert(id);
            if !self.seen.contains(&id) {
                found.push(Invalidation {
                    plugin: row.try_get(2)?,
                    customer: row.try_get(3)?,
                    what: Stale::read(row.try_get(4)?, row.try_get(5)?),
                });
            }
        }
        self.seen = seen;
        Ok(Read::New(found))
    }

    /// Begins anew, for a host that was away for longer than rows are kept.
    pub fn forget(&mut self) {
        self.horizon = None;
        self.seen.clear();
    }

    /// Removes rows older than `kept`.
    pub async fn sweep(&self, kept: Duration) -> Result<u64, LogError> {
        let client = self.server.host().get().await?;
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Ok(client.execute(SWEEP, &[&kept_ms]).await?)
    }
}
