//! The log of what was declared stale, which every host reads.
//!
//! A plugin's own transaction never writes it: hosts append to it afterwards, many
//! rows at once. Appends take turns on one row, the clock, which each holds until
//! its commit. So ticks become visible in their order, and a host that has seen the
//! clock at a tick has seen everything that was told up to it. No clock of a
//! machine is compared with another's; the time is Postgres's own.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::{Client, PoolError};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Server;

/// How much had been told at a moment: a number that only grows. 0 is before all.
pub type Tick = i64;

/// Which history of the database ticks belong to. A database that was put back, or
/// whose standby took over, counts on from another past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Era(pub [u8; 16]);

impl Era {
    pub fn of(text: &str) -> Era {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut era = [0; 16];
        era.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Era(era)
    }
}

/// A moment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    pub era: Era,
    pub tick: Tick,
    /// What time it was for Postgres, in microseconds since 1970, soon after.
    pub micros: i64,
}

/// The plugin of what every plugin cached.
pub const EVERY_PLUGIN: &str = "*";

/// One thing that is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalidation {
    /// A plugin's name, or [`EVERY_PLUGIN`].
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

/// The backend's: Postgres is unavailable or refused; try again.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the row of hearth.cache_clock is missing")]
    NoClock,
}

const APPEND: &str = "
    WITH clock AS (UPDATE hearth.cache_clock SET tick = tick + 1 RETURNING tick),
    told AS (
        INSERT INTO hearth.cache_invalidations (tick, origin, plugin, customer, kind, name)
        SELECT clock.tick, $1, given.*
        FROM clock, unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS given)
    SELECT tick FROM clock";

/// One statement, so one snapshot: the clock and the rows belong together. A tick
/// that was swept shows a reader whether it was disconnected for too long.
const READ: &str = "
    SELECT clock.tick, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
           coalesce((SELECT max(tick) FROM hearth.cache_swept), 0),
           log.tick, log.plugin, log.customer, log.kind, log.name
    FROM hearth.cache_clock AS clock
    LEFT JOIN hearth.cache_invalidations AS log ON log.tick > $1 AND log.origin <> $2
    ORDER BY log.tick LIMIT $3";

const SWEPT: &str = "SELECT plugin, tick FROM hearth.cache_swept";

/// The cluster, and the timeline that it writes now.
const ERA: &str = "
    SELECT concat((pg_control_system()).system_identifier, '/',
                  left(pg_walfile_name(pg_current_wal_lsn()), 8))";

/// In the order of the plugins, so that two hosts that sweep at once take turns.
const SWEEP: &str = "
    WITH gone AS (
        DELETE FROM hearth.cache_invalidations
        WHERE at < clock_timestamp() - $1::bigint * interval '1 millisecond'
        RETURNING plugin, tick)
    INSERT INTO hearth.cache_swept AS swept (plugin, tick)
    SELECT plugin, max(tick) FROM gone GROUP BY plugin ORDER BY plugin
    ON CONFLICT (plugin) DO UPDATE SET tick = greatest(swept.tick, excluded.tick)";

const RENEW: &str = "
    WITH clock AS (
        UPDATE hearth.cache_clock SET tick = greatest(tick, $1) + 1 RETURNING tick)
    INSERT INTO hearth.cache_swept AS swept (plugin, tick)
    SELECT '*', tick FROM clock
    ON CONFLICT (plugin) DO UPDATE SET tick = greatest(swept.tick, excluded.tick)";

/// What a read found, and how far it saw.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub position: LogPosition,
    pub found: LogNews,
}

#[derive(Debug, PartialEq, Eq)]
pub enum LogNews {
    /// What was not read before, the oldest first.
    New(Vec<LoggedInvalidation>),
    /// The log is read from here on: everything that this host cached before is to
    /// be taken for stale. What the log still holds comes with it.
    Begun {
        told: Vec<LoggedInvalidation>,
        lost: Lost,
    },
}

/// One thing that was told, and when.
#[derive(Debug, PartialEq, Eq)]
pub struct LoggedInvalidation {
    pub tick: Tick,
    pub stale: Invalidation,
}

/// What a reader that begins cannot know.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    /// Up to these ticks, by plugin.
    Swept(HashMap<String, Tick>),
    /// Everything until now: there was more than a read may find.
    All,
}

/// This host's place in the log.
pub struct InvalidationLog {
    server: Server,
    origin: Uuid,
    rows_max: usize,
    last: Option<(Era, Tick)>,
    /// A managed server may not tell which history it has.
    era_denied: bool,
}

/// The rows of one read.
struct LogRead {
    tick: Tick,
    micros: i64,
    swept: Tick,
    told: Vec<LoggedInvalidation>,
    full: bool,
}

impl InvalidationLog {
    /// `rows_max` is how much one read may find. Asks Postgres nothing yet.
    pub fn new(server: Server, rows_max: usize) -> InvalidationLog {
        InvalidationLog {
            server,
            origin: Uuid::new_v4(),
            rows_max,
            last: None,
            era_denied: false,
        }
    }

    /// Tells the other hosts, and answers at which tick. After an error nobody
    /// knows whether they were told; telling twice does no harm.
    pub async fn append(&self, stale: &[Invalidation]) -> Result<Tick, LogError> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(APPEND).await?;
        let plugins: Vec<&str> = stale.iter().map(|one| &*one.plugin).collect();
        let customers: Vec<Option<&str>> =
            stale.iter().map(|one| one.customer.as_deref()).collect();
        let (kinds, names): (Vec<_>, Vec<_>) = stale.iter().map(|one| one.what.parts()).unzip();
        let row = client
            .query_opt(
                &statement,
                &[&self.origin, &plugins, &customers, &kinds, &names],
            )
            .await?;
        Ok(row.ok_or(LogError::NoClock)?.try_get(0)?)
    }

    /// What others have told since the last read.
    pub async fn read(&mut self) -> Result<Read, LogError> {
        let client = self.server.host().get().await?;
        let era = self.era(&client).await?;
        if let Some((_, last)) = self.last.filter(|(last, _)| *last == era) {
            let page = self.page(&client, last).await?;
            if page.tick < last {
                renew(&client, last).await?;
            }
            if !page.full && page.swept <= last && last <= page.tick {
                return Ok(self.take(era, page.tick, page.micros, LogNews::New(page.told)));
            }
        }
        self.begin(&client, era).await
    }

    /// What was swept is asked for after the rows, so that nothing falls between.
    async fn begin(&mut self, client: &Client, era: Era) -> Result<Read, LogError> {
        let page = self.page(client, 0).await?;
        let (told, lost) = match page.full {
            true => (Vec::new(), Lost::All),
            false => (page.told, Lost::Swept(swept(client).await?)),
        };
        Ok(self.take(era, page.tick, page.micros, LogNews::Begun { told, lost }))
    }

    fn take(&mut self, era: Era, tick: Tick, micros: i64, found: LogNews) -> Read {
        self.last = Some((era, tick));
        let position = LogPosition { era, tick, micros };
        Read { position, found }
    }

    async fn page(&self, client: &Client, after: Tick) -> Result<LogRead, LogError> {
        let statement = client.prepare_cached(READ).await?;
        let limit = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
        let rows = client
            .query(&statement, &[&after, &self.origin, &limit])
            .await?;
        let first = rows.first().ok_or(LogError::NoClock)?;
        let told = rows.iter().filter_map(|row| read_row(row).transpose());
        Ok(LogRead {
            tick: first.try_get(0)?,
            micros: first.try_get(1)?,
            swept: first.try_get(2)?,
            told: told.collect::<Result<_, _>>()?,
            full: rows.len() >= self.rows_max,
        })
    }

    async fn era(&mut self, client: &Client) -> Result<Era, LogError> {
        if self.era_denied {
            return Ok(Era::of(""));
        }
        let asked = async {
            let statement = client.prepare_cached(ERA).await?;
            client.query_one(&statement, &[]).await
        };
        match asked.await {
            Ok(row) => Ok(Era::of(row.try_get(0)?)),
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%error, "the timeline of Postgres cannot be read: empty the cache's shared tier after a restore or a failover");
                self.era_denied = true;
                Ok(Era::of(""))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes rows older than `kept`.
    pub async fn sweep(&self, kept: Duration) -> Result<(), LogError> {
        let client = self.server.host().get().await?;
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        client.execute(SWEEP, &[&kept_ms]).await?;
        Ok(())
    }
}

/// The clock went back: the database forgot what this host has seen of it. What any
/// host computed until now was perhaps made of what was forgotten.
async fn renew(client: &Client, last: Tick) -> Result<(), LogError> {
    tracing::warn!(
        "the database was restored to an earlier state: nothing that was cached before is served"
    );
    client.execute(RENEW, &[&last]).await?;
    Ok(())
}

/// Whether asking again would be answered the same: the error is none of a
/// connection, a conflict, a want of resources, or somebody's intervention.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let passes = ["08", "40", "53", "57", "58"];
    let class = error.code().and_then(|code| code.code().get(..2));
    class.is_some_and(|class| !passes.contains(&class))
}

async fn swept(client: &Client) -> Result<HashMap<String, Tick>, LogError> {
    let rows = client.query(SWEPT, &[]).await?;
    let pair = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(pair).collect()
}

/// `None` where the clock came alone.
fn read_row(row: &Row) -> Result<Option<LoggedInvalidation>, tokio_postgres::Error> {
    let Some(tick) = row.try_get::<_, Option<Tick>>(3)? else {
        return Ok(None);
    };
    let stale = Invalidation {
        plugin: row.try_get(4)?,
        customer: row.try_get(5)?,
        what: Stale::read(row.try_get(6)?, row.try_get(7)?),
    };
    Ok(Some(LoggedInvalidation { tick, stale }))
}
