//! Ending leases.

use std::collections::HashSet;

use uuid::Uuid;

use super::PgQueue;
use super::receive::held;
use super::table::{Failure, Table, millis};
use crate::backend::queue::{QueueError, Received, Settlement};

const SETTLE: &str = "SELECT hearth.settle_messages($1, $2, $3, $4, $5, $6)";

/// The kinds of `hearth.settle_messages`.
const DELETE: i16 = 0;
const AGAIN_COUNTED: i16 = 1;
const AGAIN_UNCOUNTED: i16 = 2;
const DEAD: i16 = 3;

/// Leases that end, column by column.
#[derive(Default)]
struct Columns {
    rows: Vec<Uuid>,
    leases: Vec<Uuid>,
    kinds: Vec<i16>,
    delays_ms: Vec<i64>,
    reasons: Vec<String>,
}

impl Columns {
    fn add(&mut self, (row, lease): (Uuid, Uuid), settlement: &Settlement) {
        let (kind, delay_ms, reason) = match settlement {
            Settlement::Done => (DELETE, 0, ""),
            Settlement::RetryAfter(delay) => (AGAIN_UNCOUNTED, millis(*delay), ""),
            Settlement::Failed { delay, .. } => (AGAIN_COUNTED, millis(*delay), ""),
            Settlement::GiveBack => (AGAIN_UNCOUNTED, 0, ""),
            Settlement::DeadLetter(reason) => (DEAD, 0, &**reason),
        };
        self.rows.push(row);
        self.leases.push(lease);
        self.kinds.push(kind);
        self.delays_ms.push(delay_ms);
        self.reasons.push(plain(reason));
    }
}

/// Bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 4_096;

/// A reason as Postgres can keep it.
pub(in crate::backend) fn plain(reason: &str) -> String {
    let text: String = reason.chars().filter(|c| *c != '\0').collect();
    let end = text.floor_char_boundary(REASON_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

impl PgQueue {
    pub(crate) async fn settle(
        &self,
        queue: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<Result<(), QueueError>> {
        let mut columns = Columns::default();
        for (received, settlement) in &settled {
            if let Some(held) = held(&received.receipt) {
                columns.add(held, settlement);
            }
        }
        let ended = self.shared.table.settle(&columns).await;
        // What comes again at once, or was behind what is gone.
        let wakes = |(received, settlement): &(Received, Settlement)| match settlement {
            Settlement::GiveBack => true,
            Settlement::RetryAfter(delay) | Settlement::Failed { delay, .. } => delay.is_zero(),
            Settlement::Done | Settlement::DeadLetter(_) => received.group.is_some(),
        };
        if settled.iter().any(wakes) {
            self.local(queue).wake();
        }
        let one = |(received, _): &(Received, Settlement)| match (&ended, held(&received.receipt)) {
            (Err(error), _) => Err(error.clone()),
            (Ok(ended), Some((row, _))) if ended.contains(&row) => Ok(()),
            (Ok(_), _) => Err(QueueError::LeaseLost),
        };
        settled.iter().map(one).collect()
    }
}

impl Table {
    async fn settle(&self, columns: &Columns) -> Result<HashSet<Uuid>, QueueError> {
        self.bounded(async {
            let held = self.hold().await?;
            let statement = held.client.prepare_cached(SETTLE).await?;
            let ended = held
                .client
                .query(
                    &statement,
                    &[
                        &columns.rows,
                        &columns.leases,
                        &columns.kinds,
                        &columns.delays_ms,
                        &columns.reasons,
                        &self.offset_ms(),
                    ],
                )
                .await?;
            let ids = ended.iter().map(|row| Ok(row.try_get(0)?));
            ids.collect::<Result<_, Failure>>()
        })
        .await
    }
}
