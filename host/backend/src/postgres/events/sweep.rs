//! What the log does not keep: events that are too old, and too many of a channel.

use std::time::Duration;

use deadpool_postgres::Client;
use uuid::Uuid;

use super::{Log, LogError, limit};

/// Rows of one statement, so that none takes long.
const ROWS_MAX: usize = 10_000;

/// What a log keeps.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub age: Duration,
    /// Of one channel.
    pub events_max: usize,
    /// How often hosts sweep, together.
    pub every: Duration,
}

/// Whoever comes first sweeps for all.
const TURN: &str = "
    UPDATE hearth.push_sweep SET at = clock_timestamp()
    WHERE at <= clock_timestamp() - $1::bigint * interval '1 millisecond'";

/// A position is a time, so it tells the age.
const OLD: &str = "
    WITH gone AS (
        DELETE FROM hearth.push_events WHERE position IN (
            SELECT position FROM hearth.push_events
            WHERE position < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1::bigint
            ORDER BY position LIMIT $2
        ) RETURNING position
    ), swept AS (
        UPDATE hearth.push_sweep SET position = greatest(position, (SELECT max(position) FROM gone))
        WHERE EXISTS (SELECT FROM gone)
    )
    SELECT count(*) FROM gone";

/// Channels with too much, and the newest that each is to lose.
const LONG: &str = "
    SELECT long.channel, (
        SELECT position FROM hearth.push_events AS event
        WHERE event.channel = long.channel ORDER BY position DESC OFFSET $1 LIMIT 1)
    FROM (SELECT channel FROM hearth.push_events GROUP BY channel HAVING count(*) > $1) AS long";

const TRIM: &str = "
    WITH gone AS (
        DELETE FROM hearth.push_events WHERE position IN (
            SELECT position FROM hearth.push_events
            WHERE channel = $1 AND position <= $2 ORDER BY position LIMIT $3
        ) RETURNING position
    ), floor AS (
        INSERT INTO hearth.push_floors AS floor (channel, position)
        SELECT $1, max(position) FROM gone HAVING count(*) > 0
        ON CONFLICT (channel) DO UPDATE
        SET position = greatest(floor.position, excluded.position)
    )
    SELECT count(*) FROM gone";

/// Floors that are below everyone's.
const FLOORS: &str = "
    DELETE FROM hearth.push_floors
    WHERE position <= (SELECT position FROM hearth.push_sweep)";

impl Log {
    /// Removes what is not kept, unless a host has done so just now. Answers how
    /// many events went.
    pub async fn sweep(&self, kept: &Retention) -> Result<u64, LogError> {
        let client = self.server.host().get().await?;
        let every = i64::try_from(kept.every.as_millis()).unwrap_or(i64::MAX);
        if client.execute(TURN, &[&every]).await? == 0 {
            return Ok(0);
        }
        let mut gone = old(&client, kept.age).await?;
        for row in client.query(LONG, &[&limit(kept.events_max)]).await? {
            let (channel, position): (Uuid, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(position) = position {
                gone += trim(&client, channel, position).await?;
            }
        }
        client.execute(FLOORS, &[]).await?;
        Ok(gone)
    }
}

async fn old(client: &Client, age: Duration) -> Result<u64, LogError> {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let mut all = 0;
    loop {
        let row = client.query_one(OLD, &[&age, &limit(ROWS_MAX)]).await?;
        let gone = count(row.try_get(0)?);
        all += gone;
        if gone < ROWS_MAX as u64 {
            return Ok(all);
        }
    }
}

async fn trim(client: &Client, channel: Uuid, position: i64) -> Result<u64, LogError> {
    let mut all = 0;
    loop {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&channel, &position, &limit(ROWS_MAX)];
        let gone = count(client.query_one(TRIM, &parameters).await?.try_get(0)?);
        all += gone;
        if gone < ROWS_MAX as u64 {
            return Ok(all);
        }
    }
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
