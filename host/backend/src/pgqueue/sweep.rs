//! What is too old goes, and where receiving stands is kept.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::types::ToSql;

use super::PgQueue;
use super::table::Failure;

/// Rows that one statement looks at.
const CHUNK: i64 = 5_000;

const EXPIRE: &str = "
    SELECT hearth.expire_messages(
        clock_timestamp() + ($1::bigint - $2::bigint) * interval '1 millisecond', $3)";

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
        loop {
            sleep(pause).await;
            if let Err(error) = self.sweep().await {
                tracing::debug!(%error, "the queues were not swept");
            }
        }
    }

    async fn sweep(&self) -> Result<(), Failure> {
        self.save_horizons().await?;
        self.sweep_recent().await?;
        self.sweep_dead().await?;
        let client = self.shared.table.server.host().get().await?;
        client.execute(DELIVERIES, &[&CHUNK]).await?;
        drop(client);
        self.sweep_messages().await
    }

    /// Drops what nobody has received in the time of retention.
    async fn sweep_messages(&self) -> Result<(), Failure> {
        let table = &self.shared.table;
        let retention = i64::try_from(self.shared.config.retention_ms).unwrap_or(i64::MAX);
        let client = table.server.host().get().await?;
        let chunk = i32::try_from(CHUNK).unwrap_or(i32::MAX);
        let params: [&(dyn ToSql + Sync); 3] = [&table.offset_ms(), &retention, &chunk];
        let messages: i64 = client.query_one(EXPIRE, &params).await?.try_get(0)?;
        if messages > 0 {
            tracing::warn!(messages, "messages that nobody consumed were dropped");
        }
        Ok(())
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
