//! Dead letters of both backends.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_postgres::Row;
use uuid::Uuid;

use super::PgQueue;
use super::settle::plain;
use super::table::Failure;
use crate::queue::{
    DeadLetter, QueueError, Received, Which, attributes_of, attributes_text, customer_of,
    customer_text, id_of, id_text,
};

const COLUMNS: &str = "number, id, queue, plugin, customer, group_key, body, attributes, reason, \
                       attempts, sent_at, died_at";

/// Oldest first, so that a group keeps its order. `NULL` means all of the queue.
const REDRIVE: &str = "
    WITH gone AS (
        DELETE FROM hearth.dead_letters
        WHERE id IN (SELECT id FROM hearth.dead_letters
                     WHERE queue = $1 AND ($2::uuid[] IS NULL OR id = ANY ($2))
                     ORDER BY number LIMIT $4)
        RETURNING *),
    entry AS MATERIALIZED (
        SELECT gone.*, gen_random_uuid() AS row, nextval('hearth.message_places') AS place
        FROM (SELECT * FROM gone ORDER BY number) gone),
    written AS (
        INSERT INTO hearth.messages (id, message, place, queue, plugin, customer, group_key, body,
                                     attributes, sent_at)
        SELECT row, id, place, queue, plugin, customer, group_key, body, attributes, sent_at
        FROM entry)
    INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
    SELECT row, queue, customer, group_key, place, place, 0,
           clock_timestamp() + $3::bigint * interval '1 millisecond'
    FROM entry";

const DROP: &str = "
    DELETE FROM hearth.dead_letters
    WHERE id IN (SELECT id FROM hearth.dead_letters
                 WHERE queue = $1 AND ($2::uuid[] IS NULL OR id = ANY ($2))
                 ORDER BY number LIMIT $3)";

const BURY: &str = "
    INSERT INTO hearth.dead_letters (id, queue, plugin, customer, group_key, body, attributes,
                                     reason, attempts, sent_at, died_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            clock_timestamp() + $11::bigint * interval '1 millisecond')
    ON CONFLICT (id) DO NOTHING";

/// Dead letters that one statement moves or drops.
const CHUNK: i64 = 1_000;

impl PgQueue {
    pub(crate) async fn dead_letters(
        &self,
        queue: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let text = format!(
            "SELECT {COLUMNS} FROM hearth.dead_letters WHERE queue = $1 AND number < $2 \
             ORDER BY number DESC LIMIT $3"
        );
        let before = before.unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let table = &self.shared.table;
        table
            .bounded(async {
                let held = table.hold().await?;
                let statement = held.client.prepare_cached(&text).await?;
                let rows = held
                    .client
                    .query(&statement, &[&queue, &before, &limit])
                    .await?;
                rows.iter().map(read).collect()
            })
            .await
    }

    pub(crate) async fn dead_letter(
        &self,
        queue: &str,
        id: &str,
    ) -> Result<Option<DeadLetter>, QueueError> {
        let Some(id) = id_of(id) else {
            return Ok(None);
        };
        let text =
            format!("SELECT {COLUMNS} FROM hearth.dead_letters WHERE queue = $1 AND id = $2");
        let table = &self.shared.table;
        table
            .bounded(async {
                let held = table.hold().await?;
                let statement = held.client.prepare_cached(&text).await?;
                let row = held.client.query_opt(&statement, &[&queue, &id]).await?;
                row.as_ref().map(read).transpose()
            })
            .await
    }

    pub(crate) async fn redrive(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        let (ids, table) = (ids(which), &self.shared.table);
        let mut moved = 0;
        loop {
            let chunk = table.bounded(async {
                let held = table.hold().await?;
                let statement = held.client.prepare_cached(REDRIVE).await?;
                let offset_ms = table.offset_ms();
                let params: [&(dyn postgres_types::ToSql + Sync); 4] =
                    [&queue, &ids, &offset_ms, &CHUNK];
                Ok(held.client.execute(&statement, &params).await?)
            });
            let chunk = chunk.await?;
            if chunk > 0 {
                self.local(queue).sent(chunk);
            }
            moved += chunk;
            if i64::try_from(chunk).unwrap_or(i64::MAX) < CHUNK {
                return Ok(moved);
            }
        }
    }

    pub(crate) async fn drop_dead(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        let (ids, table) = (ids(which), &self.shared.table);
        let mut dropped = 0;
        loop {
            let chunk = table.bounded(async {
                let held = table.hold().await?;
                let statement = held.client.prepare_cached(DROP).await?;
                let params: [&(dyn postgres_types::ToSql + Sync); 3] = [&queue, &ids, &CHUNK];
                Ok(held.client.execute(&statement, &params).await?)
            });
            let chunk = chunk.await?;
            dropped += chunk;
            if i64::try_from(chunk).unwrap_or(i64::MAX) < CHUNK {
                return Ok(dropped);
            }
        }
    }

    /// Keeps a message of another backend among the dead letters.
    pub(crate) async fn bury(
        &self,
        message: &Received,
        attempts: u32,
        reason: &str,
    ) -> Result<(), QueueError> {
        let id = id_of(&message.id).unwrap_or_else(Uuid::now_v7);
        let attempts = i32::try_from(attempts).unwrap_or(i32::MAX);
        let table = &self.shared.table;
        table
            .bounded(async {
                let held = table.hold().await?;
                let statement = held.client.prepare_cached(BURY).await?;
                let params: [&(dyn postgres_types::ToSql + Sync); 11] = [
                    &id,
                    &&*message.queue,
                    &&*message.plugin,
                    &customer_text(message.customer.as_ref()),
                    &message.group,
                    &&*message.body,
                    &attributes_text(&message.attributes, message.traceparent.as_deref()),
                    &plain(reason),
                    &attempts,
                    &message.sent_at,
                    &table.offset_ms(),
                ];
                held.client.execute(&statement, &params).await?;
                Ok(())
            })
            .await
    }
}

/// `None` means all. What is no id of a message is none of them.
fn ids(which: &Which) -> Option<Vec<Uuid>> {
    match which {
        Which::All => None,
        Which::Ids(ids) => Some(ids.iter().filter_map(|id| id_of(id)).collect()),
    }
}

fn read(row: &Row) -> Result<DeadLetter, Failure> {
    let (id, body): (Uuid, Vec<u8>) = (row.try_get(1)?, row.try_get(6)?);
    let (queue, plugin, attributes): (&str, &str, &str) =
        (row.try_get(2)?, row.try_get(3)?, row.try_get(7)?);
    let (sent_at, died_at): (SystemTime, SystemTime) = (row.try_get(10)?, row.try_get(11)?);
    Ok(DeadLetter {
        number: row.try_get(0)?,
        id: id_text(id),
        queue: Arc::from(queue),
        customer: customer_of(row.try_get(4)?),
        plugin: Arc::from(plugin),
        body: body.into(),
        attributes: attributes_of(attributes).0,
        group: row.try_get(5)?,
        reason: row.try_get(8)?,
        attempts: u32::try_from(row.try_get::<_, i32>(9)?).unwrap_or(0),
        sent_at,
        died_at,
    })
}
