//! Reading on from a place in the log, for a listener that is behind.

use uuid::Uuid;

use super::{Event, Log, LogError, Position, event, limit};

/// Up to where a listener knows a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelPosition {
    pub channel: Uuid,
    pub after: Position,
}

/// What follows some places.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their positions.
    pub events: Vec<Event>,
    /// The end of the log.
    pub clock: Position,
    /// Everything up to here is known now.
    pub reached: Position,
    /// Whether that is all that there is.
    pub complete: bool,
    /// Something between a place and the oldest that is kept is gone.
    pub lost: bool,
}

/// One statement, so one snapshot: what is there, what is gone and how far that
/// goes belong together.
const PAGE: &str = "
    WITH place AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS place (channel, after)),
    found AS (
        SELECT event.* FROM place CROSS JOIN LATERAL (
            SELECT position, kind, data FROM hearth.push_events AS event
            WHERE event.channel = place.channel AND event.position > place.after
            ORDER BY position LIMIT $3
        ) AS event
        ORDER BY event.position LIMIT $3
    ),
    page AS (
        SELECT *, sum(octet_length(data)) OVER (ORDER BY position) - octet_length(data) AS before
        FROM found
    )
    SELECT clock.position,
           EXISTS (
               SELECT FROM place WHERE place.after < (SELECT position FROM hearth.push_sweep)
               OR place.after < (SELECT floor.position FROM hearth.push_floors AS floor
                                 WHERE floor.channel = place.channel)
           ),
           page.position, page.kind, page.data
    FROM hearth.push_clock AS clock
    LEFT JOIN page ON page.before < $4::bigint
    ORDER BY page.position";

const FIND: &str = "
    SELECT position FROM hearth.push_events
    WHERE channel = ANY ($1) AND id = $2 ORDER BY position LIMIT 1";

impl Log {
    /// At most `rows_max` events, and no more of them than it takes to have
    /// `bytes_max`.
    pub async fn page(
        &self,
        places: &[ChannelPosition],
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Page, LogError> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(PAGE).await?;
        let channels: Vec<Uuid> = places.iter().map(|place| place.channel).collect();
        let afters: Vec<i64> = places.iter().map(|place| place.after.0).collect();
        let rows = client
            .query(
                &statement,
                &[&channels, &afters, &limit(rows_max), &limit(bytes_max)],
            )
            .await?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        let (mut clock, mut lost) = (Position::default(), false);
        for row in &rows {
            (clock, lost) = (Position(row.try_get(0)?), row.try_get(1)?);
            if row.try_get::<_, Option<i64>>(2)?.is_some() {
                let event = event(row, 2)?;
                bytes += event.data.len();
                events.push(event);
            }
        }
        let complete = events.len() < rows_max && bytes < bytes_max;
        let last = events.last().map(|event| event.position);
        Ok(Page {
            reached: last.filter(|_| !complete).unwrap_or(clock),
            clock,
            complete,
            events,
            lost,
        })
    }

    /// Where the event is that a plugin gave this id: the first, if there are more.
    pub async fn find(&self, channels: &[Uuid], id: &str) -> Result<Option<Position>, LogError> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(FIND).await?;
        let row = client.query_opt(&statement, &[&channels, &id]).await?;
        let position = row.map(|row| row.try_get(0)).transpose()?;
        Ok(position.map(Position))
    }
}
