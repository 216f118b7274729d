//! Writing to the log.

use super::tail::CHANNEL;
use super::{Log, LogError, Position, Published};

/// The clock's row is locked until the commit, so that the next host's positions
/// come after these. One statement, so the lock is never held for a round trip.
const APPEND: &str = "
    WITH clock AS (
        UPDATE hearth.push_clock
        SET position = $1::bigint
            + greatest(position, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        RETURNING position
    ), appended AS (
        INSERT INTO hearth.push_events
            (position, channel, plugin, customer, name, id, kind, data)
        SELECT clock.position - $1 + event.number,
               event.channel, event.plugin, event.customer, event.name,
               event.id, event.kind, event.data
        FROM clock, unnest($2::uuid[], $3::text[], $4::text[], $5::text[],
                           $6::text[], $7::text[], $8::text[])
            WITH ORDINALITY AS event
                (channel, plugin, customer, name, id, kind, data, number)
    )
    SELECT position, pg_notify($9, position::text) FROM clock";

impl Log {
    /// Appends all or nothing, in this order, and answers the last one's position;
    /// the others' are the numbers before it. After an error it may have happened
    /// all the same.
    pub async fn append(&self, events: &[Published]) -> Result<Position, LogError> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(APPEND).await?;
        let channels: Vec<_> = events.iter().map(|event| event.channel).collect();
        let plugins: Vec<&str> = events.iter().map(|event| &*event.plugin).collect();
        let customers: Vec<Option<&str>> = events
            .iter()
            .map(|event| event.customer.as_deref())
            .collect();
        let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
        let ids: Vec<Option<&str>> = events.iter().map(|event| event.id.as_deref()).collect();
        let kinds: Vec<Option<&str>> = events.iter().map(|event| event.kind.as_deref()).collect();
        let data: Vec<&str> = events.iter().map(|event| &*event.data).collect();
        let row = client
            .query_one(
                &statement,
                &[
                    &super::limit(events.len()),
                    &channels,
                    &plugins,
                    &customers,
                    &names,
                    &ids,
                    &kinds,
                    &data,
                    &CHANNEL,
                ],
            )
            .await?;
        Ok(Position(row.try_get(0)?))
    }
}
