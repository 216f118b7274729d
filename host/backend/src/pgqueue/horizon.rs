//! Where receiving stands, kept for hosts that start.
//!
//! A host without a horizon looks for messages from the beginning of each index, which
//! is far away while somebody has an old snapshot open. So now and then each host writes
//! down where it is, and one that starts goes on from there: a horizon may be as old as
//! it likes.

use tokio_postgres::Client;

use super::PgQueue;
use super::line::CustomerLines;
use super::table::Failure;

const LOAD: &str = "SELECT horizon, customers, seats FROM hearth.queue_horizons WHERE queue = $1";

const SAVE: &str = "
    INSERT INTO hearth.queue_horizons (queue, horizon, customers, seats)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (queue) DO UPDATE
    SET horizon = excluded.horizon, customers = excluded.customers, seats = excluded.seats";

/// Goes on from where another host was, or this one before it was started again.
pub(super) async fn resume(
    client: &Client,
    queue: &str,
    lines: &mut CustomerLines,
) -> Result<(), Failure> {
    if let Some(row) = client.query_opt(LOAD, &[&queue]).await? {
        lines.resume(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(())
}

impl PgQueue {
    /// Of each queue that this host has received from since the last time.
    pub(super) async fn save_horizons(&self) -> Result<(), Failure> {
        let locals: Vec<_> = self.shared.locals.lock().values().cloned().collect();
        for local in locals {
            let kept = local.lines.lock().await.take_unsaved();
            let Some((horizon, customers, seats)) = kept else {
                continue;
            };
            let client = self.shared.table.server.host().get().await?;
            client
                .execute(SAVE, &[&&*local.name, &horizon, &customers, &seats])
                .await?;
        }
        Ok(())
    }
}
