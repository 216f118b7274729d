//! Following the log, on a connection of its own.

use std::collections::HashSet;

use tokio::sync::watch;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{Event, Log, Position, event, limit};
use crate::postgres::Listening;

/// Postgres's name for what is told with each append: how far the log goes.
pub(super) const CHANNEL: &str = "hearth_push";

/// The end of the log, for one host.
pub struct Tail {
    listening: Listening,
}

/// What came since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Where, and in which channel; in order.
    pub events: Vec<(Position, Uuid)>,
    /// Everything up to here is among them, or was lost.
    pub reached: Position,
    /// There is more.
    pub more: bool,
    /// Of all channels something is gone that this host never saw.
    pub lost_all: bool,
    /// Of these channels, too.
    pub lost: HashSet<Uuid>,
}

/// One statement, so one snapshot, as for a page.
const NEWS: &str = "
    SELECT clock.position, sweep.position > $1,
           ARRAY(SELECT channel FROM hearth.push_floors WHERE position > $1),
           event.position, event.channel
    FROM hearth.push_clock AS clock CROSS JOIN hearth.push_sweep AS sweep
    LEFT JOIN LATERAL (
        SELECT position, channel FROM hearth.push_events
        WHERE position > $1 ORDER BY position LIMIT $2
    ) AS event ON true
    ORDER BY event.position";

/// The newest, and up to where the log may have had more than them.
const BEGIN: &str = "
    SELECT clock.position, sweep.position, event.position, event.channel
    FROM hearth.push_clock AS clock CROSS JOIN hearth.push_sweep AS sweep
    LEFT JOIN LATERAL (
        SELECT position, channel FROM hearth.push_events ORDER BY position DESC LIMIT $1
    ) AS event ON true
    ORDER BY event.position";

const FETCH: &str = "
    SELECT position, kind, data FROM hearth.push_events
    WHERE position = ANY ($1) ORDER BY position";

/// The end of the log as a host finds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Newest {
    pub events: Vec<(Position, Uuid)>,
    /// The log may have had more than these up to here.
    pub since: Position,
    pub reached: Position,
}

impl Log {
    /// Connects, and listens before anything is read. How far the log goes is told
    /// to `told` from now on.
    pub async fn tail(&self, told: watch::Sender<i64>) -> Result<Tail, Error> {
        let listening = Listening::open(&self.server, CHANNEL, told).await?;
        Ok(Tail { listening })
    }
}

impl Tail {
    /// Ends when the connection does.
    pub async fn ended(&self) {
        self.listening.ended().await;
    }

    /// The newest `rows_max` of all channels.
    pub async fn newest(&self, rows_max: usize) -> Result<Newest, Error> {
        let rows = self
            .listening
            .client
            .query(BEGIN, &[&limit(rows_max)])
            .await?;
        let (mut reached, mut since) = (Position::default(), Position::default());
        for row in &rows {
            (reached, since) = (Position(row.try_get(0)?), Position(row.try_get(1)?));
        }
        let events = places(&rows, 2)?;
        if let Some((oldest, _)) = events.first().filter(|_| events.len() >= rows_max) {
            since = since.max(*oldest);
        }
        Ok(Newest {
            events,
            since,
            reached,
        })
    }

    /// What came after a position.
    pub async fn news(&self, after: Position, rows_max: usize) -> Result<News, Error> {
        let rows = self
            .listening
            .client
            .query(NEWS, &[&after.0, &limit(rows_max)])
            .await?;
        let (mut clock, mut lost_all, mut lost) = (after, false, HashSet::new());
        if let Some(row) = rows.first() {
            (clock, lost_all) = (Position(row.try_get(0)?), row.try_get(1)?);
            lost = row.try_get::<_, Vec<Uuid>>(2)?.into_iter().collect();
        }
        let events = places(&rows, 3)?;
        let more = events.len() >= rows_max;
        let last = events.last().map(|(position, _)| *position);
        Ok(News {
            reached: last.filter(|_| more).unwrap_or(clock),
            events,
            more,
            lost_all,
            lost,
        })
    }

    /// The events at these positions, as far as they are still there.
    pub async fn fetch(&self, positions: &[Position]) -> Result<Vec<Event>, Error> {
        let positions: Vec<i64> = positions.iter().map(|position| position.0).collect();
        let rows = self.listening.client.query(FETCH, &[&positions]).await?;
        rows.iter().map(|row| event(row, 0)).collect()
    }
}

/// Position and channel, from this column on, of the rows that have them.
fn places(rows: &[Row], first: usize) -> Result<Vec<(Position, Uuid)>, Error> {
    let mut places = Vec::new();
    for row in rows {
        if let Some(position) = row.try_get::<_, Option<i64>>(first)? {
            places.push((Position(position), row.try_get(first + 1)?));
        }
    }
    Ok(places)
}
