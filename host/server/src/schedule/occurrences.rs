//! The rows of `hearth.schedules` and `hearth.schedule_occurrences`.

use std::time::SystemTime;

use deadpool_postgres::PoolError;
use tokio_postgres::Row;
use uuid::Uuid;

use hearth_backend::postgres::Server;

/// A schedule with other times begins anew: what they would have had before now
/// was never due. Answers when it was last due, or first seen.
const MEET: &str = "
    WITH met AS (
        INSERT INTO hearth.schedules AS own (plugin, name, times, since) VALUES ($1, $2, $3, $4)
        ON CONFLICT (plugin, name) DO UPDATE
        SET times = excluded.times,
            since = CASE own.times WHEN excluded.times THEN own.since ELSE excluded.since END
        RETURNING since)
    SELECT greatest(met.since, (
        SELECT max(due_at) FROM hearth.schedule_occurrences WHERE plugin = $1 AND name = $2))
    FROM met";

/// A host whose clock is late begins nothing that was due before what is known.
const BEGIN: &str = "
    INSERT INTO hearth.schedule_occurrences (plugin, name, due_at, holder, held_until)
    SELECT $1, $2, $3, $4, now() + $5 * interval '1 millisecond'
    WHERE NOT EXISTS (
        SELECT FROM hearth.schedule_occurrences WHERE plugin = $1 AND name = $2 AND due_at > $3)
    ON CONFLICT DO NOTHING
    RETURNING plugin, name, due_at, last_customer";

const TAKE_OVER: &str = "
    UPDATE hearth.schedule_occurrences AS own
    SET holder = $2, held_until = now() + $3 * interval '1 millisecond'
    FROM (SELECT ctid FROM hearth.schedule_occurrences
          WHERE plugin = ANY ($1) AND NOT done AND held_until < now()
          ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS left_over
    WHERE own.ctid = left_over.ctid
    RETURNING own.plugin, own.name, own.due_at, own.last_customer";

const ADVANCE: &str = "
    UPDATE hearth.schedule_occurrences
    SET last_customer = $5, held_until = now() + $6 * interval '1 millisecond'
    WHERE plugin = $1 AND name = $2 AND due_at = $3 AND holder = $4";

const END: &str = "
    UPDATE hearth.schedule_occurrences SET done = true
    WHERE plugin = $1 AND name = $2 AND due_at = $3 AND holder = $4";

/// One row of a schedule is enough to know when it was last due.
const FORGET: &str = "
    DELETE FROM hearth.schedule_occurrences
    WHERE plugin = $1 AND name = $2 AND due_at < $3 AND done";

const CUSTOMERS: &str = "
    SELECT id FROM hearth.customers WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2";

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
}

/// An occurrence that this host sends.
#[derive(Clone, Debug)]
pub(super) struct ClaimedOccurrence {
    pub(super) plugin: String,
    pub(super) name: String,
    pub(super) due: SystemTime,
    pub(super) last_customer: Option<String>,
}

pub(super) struct Occurrences {
    server: Server,
    holder: Uuid,
    held_ms: f64,
}

impl Occurrences {
    pub(super) fn new(server: Server, held_ms: u64) -> Occurrences {
        Occurrences {
            server,
            holder: Uuid::new_v4(),
            held_ms: held_ms as f64,
        }
    }

    /// Answers when the schedule was last due, or first seen with these times.
    pub(super) async fn meet(
        &self,
        plugin: &str,
        name: &str,
        times: &str,
        now: SystemTime,
    ) -> Result<SystemTime, Error> {
        let client = self.server.host().get().await?;
        let row = client
            .query_one(MEET, &[&plugin, &name, &times, &now])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Nothing, where another host was first.
    pub(super) async fn begin(
        &self,
        plugin: &str,
        name: &str,
        due: SystemTime,
    ) -> Result<Option<ClaimedOccurrence>, Error> {
        let client = self.server.host().get().await?;
        let row = client
            .query_opt(BEGIN, &[&plugin, &name, &due, &self.holder, &self.held_ms])
            .await?;
        row.as_ref().map(claimed_occurrence).transpose()
    }

    /// An unfinished one that nobody holds any more.
    pub(super) async fn take_over(
        &self,
        plugins: &[&str],
    ) -> Result<Option<ClaimedOccurrence>, Error> {
        let client = self.server.host().get().await?;
        let row = client
            .query_opt(TAKE_OVER, &[&plugins, &self.holder, &self.held_ms])
            .await?;
        row.as_ref().map(claimed_occurrence).transpose()
    }

    /// Whether it is still this host's to go on with.
    pub(super) async fn advance(
        &self,
        held: &ClaimedOccurrence,
        last: &str,
    ) -> Result<bool, Error> {
        let client = self.server.host().get().await?;
        let ClaimedOccurrence {
            plugin, name, due, ..
        } = held;
        let advanced = client
            .execute(
                ADVANCE,
                &[plugin, name, due, &self.holder, &last, &self.held_ms],
            )
            .await?;
        Ok(advanced > 0)
    }

    pub(super) async fn end(&self, held: &ClaimedOccurrence) -> Result<(), Error> {
        let client = self.server.host().get().await?;
        let ClaimedOccurrence {
            plugin, name, due, ..
        } = held;
        client
            .execute(END, &[plugin, name, due, &self.holder])
            .await?;
        client.execute(FORGET, &[plugin, name, due]).await?;
        Ok(())
    }

    /// Customers in the order of their ids.
    pub(super) async fn customers(
        &self,
        after: Option<&str>,
        customers_max: usize,
    ) -> Result<Vec<String>, Error> {
        let client = self.server.host().get().await?;
        let limit = i64::try_from(customers_max).unwrap_or(i64::MAX);
        let rows = client.query(CUSTOMERS, &[&after, &limit]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

fn claimed_occurrence(row: &Row) -> Result<ClaimedOccurrence, Error> {
    Ok(ClaimedOccurrence {
        plugin: row.try_get(0)?,
        name: row.try_get(1)?,
        due: row.try_get(2)?,
        last_customer: row.try_get(3)?,
    })
}
