//! What is too old goes.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::PgQueue;
use super::table::Failure;

/// Rows that one statement looks at.
const CHUNK: i64 = 5_000;

/// Walks the outbox by its key, a piece at a time and round and round: no index of
/// its own, and no statement that reads all of it. Drops what nobody has received in
/// the time of retention, and answers where to go on.
const OUTBOX: &str = "
    WITH piece AS MATERIALIZED (
        SELECT id, queue, customer, group_key, place, state, due_at, lease
        FROM hearth.outbox WHERE id > $1 ORDER BY id LIMIT $2),
    old AS MATERIALIZED (
        SELECT o.id FROM hearth.outbox o JOIN piece USING (id)
        WHERE o.lease IS NULL
          AND o.due_at < clock_timestamp() + ($3::bigint - $4::bigint) * interval '1 millisecond'
        FOR UPDATE OF o SKIP LOCKED)
    SELECT (SELECT id FROM piece ORDER BY id DESC LIMIT 1),
           (SELECT array_agg(id) FROM old)";

const REMOVE: &str = "SELECT hearth.remove_messages($1)";

const RECENT: &str = "
    DELETE FROM hearth.outbox_recent WHERE (queue, plugin, customer, deduplication_id) IN (
        SELECT queue, plugin, customer, deduplication_id FROM hearth.outbox_recent
        WHERE until < clock_timestamp() + $1::bigint * interval '1 millisecond'
        ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DEAD: &str = "
    DELETE FROM hearth.dead_letters WHERE id IN (
        SELECT id FROM hearth.dead_letters
        WHERE died_at < clock_timestamp() + ($1::bigint - $2::bigint) * interval '1 millisecond'
        ORDER BY died_at LIMIT $3 FOR UPDATE SKIP LOCKED)";

/// Of the customer who has most the oldest, so that nobody's letters push out others'.
const DEAD_BEYOND: &str = "
    DELETE FROM hearth.dead_letters WHERE id IN (
        SELECT id FROM (
            SELECT id, number, row_number() OVER (PARTITION BY customer ORDER BY number DESC) AS place
            FROM hearth.dead_letters WHERE queue = $1) AS ranked
        ORDER BY place DESC, number LIMIT $2)";

const DELIVERIES: &str = "
    DELETE FROM hearth.sqs_deliveries WHERE (queue, message) IN (
        SELECT queue, message FROM hearth.sqs_deliveries
        WHERE at < clock_timestamp() - interval '15 days'
        ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)";

impl PgQueue {
    pub(super) async fn keep_sweeping(&self) {
        let pause = Duration::from_millis(self.shared.config.sweep_ms);
        let mut walked = Uuid::nil();
        loop {
            sleep(pause).await;
            match self.sweep(walked).await {
                Ok(next) => walked = next,
                Err(error) => tracing::debug!(%error, "the queues were not swept"),
            }
        }
    }

    /// One round, from a place in the outbox; answers where the next begins.
    async fn sweep(&self, walked: Uuid) -> Result<Uuid, Failure> {
        self.sweep_recent().await?;
        self.sweep_dead().await?;
        let client = self.shared.table.server.host().get().await?;
        client.execute(DELIVERIES, &[&CHUNK]).await?;
        drop(client);
        self.sweep_outbox(walked).await
    }

    async fn sweep_outbox(&self, walked: Uuid) -> Result<Uuid, Failure> {
        let table = &self.shared.table;
        let retention = i64::try_from(self.shared.config.retention_ms).unwrap_or(i64::MAX);
        let mut client = table.server.host().get().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(OUTBOX, &[&walked, &CHUNK, &table.offset_ms(), &retention])
            .await?;
        let (next, old): (Option<Uuid>, Option<Vec<Uuid>>) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(old) = &old {
            transaction.execute(REMOVE, &[old]).await?;
            let messages = old.len();
            tracing::warn!(messages, "messages that nobody consumed were dropped");
        }
        transaction.commit().await?;
        // Past the end it begins anew.
        Ok(next.unwrap_or_default())
    }

    async fn sweep_recent(&self) -> Result<(), Failure> {
        let client = self.shared.table.server.host().get().await?;
        let offset_ms = self.shared.table.offset_ms();
        let swept = async || client.execute(RECENT, &[&offset_ms, &CHUNK]).await;
        while i64::try_from(swept().await?).unwrap_or(0) == CHUNK {}
        Ok(())
    }

    async fn sweep_dead(&self) -> Result<(), Failure> {
        let config = &self.shared.config;
        let retention = i64::try_from(config.dead_retention_ms).unwrap_or(i64::MAX);
        let counted = self.counted().await?;
        let client = self.shared.table.server.host().get().await?;
        let offset_ms = self.shared.table.offset_ms();
        client
            .execute(DEAD, &[&offset_ms, &retention, &CHUNK])
            .await?;
        for (queue, counted) in &counted {
            let beyond = counted.dead.saturating_sub(config.dead_letters_max);
            if beyond > 0 {
                let beyond = i64::try_from(beyond).unwrap_or(i64::MAX).min(CHUNK);
                client.execute(DEAD_BEYOND, &[queue, &beyond]).await?;
            }
        }
        Ok(())
    }
}
