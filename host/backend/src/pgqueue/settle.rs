//! Ends leases: deletes, delays or returns messages, or makes them dead letters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::PgQueue;
use super::receive::held;
use super::table::{Failure, Table, millis};
use crate::merge::{Merge, MergeLimits};
use crate::queue::{Config, QueueError, Received, Settlement};

const SETTLE: &str = "SELECT hearth.settle_messages($1, $2, $3, $4, $5, $6)";

/// The kinds of `hearth.settle_messages`.
const DELETE: i16 = 0;
const AGAIN_COUNTED: i16 = 1;
const AGAIN_UNCOUNTED: i16 = 2;
const DEAD: i16 = 3;

/// Leases that end, column by column.
#[derive(Default)]
struct EndingColumns {
    rows: Vec<Uuid>,
    leases: Vec<Uuid>,
    kinds: Vec<i16>,
    delays_ms: Vec<i64>,
    reasons: Vec<String>,
}

impl EndingColumns {
    fn add(&mut self, ending: &Ending) {
        let (kind, delay_ms, reason) = match &ending.settlement {
            Settlement::Done => (DELETE, 0, ""),
            Settlement::RetryAfter(delay) => (AGAIN_UNCOUNTED, millis(*delay), ""),
            Settlement::Failed { delay, .. } => (AGAIN_COUNTED, millis(*delay), ""),
            Settlement::GiveBack => (AGAIN_UNCOUNTED, 0, ""),
            Settlement::DeadLetter(reason) => (DEAD, 0, &**reason),
        };
        self.rows.push(ending.row);
        self.leases.push(ending.lease);
        self.kinds.push(kind);
        self.delays_ms.push(delay_ms);
        self.reasons.push(plain(reason));
    }
}

/// Bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 4_096;

/// A reason as Postgres can keep it.
pub(crate) fn plain(reason: &str) -> String {
    let text: String = reason.chars().filter(|c| *c != '\0').collect();
    let end = text.floor_char_boundary(REASON_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

/// A lease that shall end: its row, which lease of it, and how.
pub(super) struct Ending {
    row: Uuid,
    lease: Uuid,
    settlement: Settlement,
}

impl Ending {
    fn of((received, settlement): (Received, Settlement)) -> Option<Ending> {
        let (row, lease) = held(&received.receipt)?;
        Some(Ending {
            row,
            lease,
            settlement,
        })
    }

    fn bytes(&self) -> usize {
        let reason = match &self.settlement {
            Settlement::DeadLetter(reason) => reason.len(),
            _ => 0,
        };
        size_of::<Ending>() + reason
    }
}

const LOST: Result<(), QueueError> = Err(QueueError::LeaseLost);

/// Statements under way at once: while one is made durable, the next one gathers.
const CALLS_MAX: usize = 2;

/// What many consumers settle at the same time ends in one statement.
pub(super) fn merge(
    table: &Arc<Table>,
    config: &Config,
) -> Arc<Merge<Ending, Result<(), QueueError>>> {
    let limits = MergeLimits {
        call_items_max: config.settle_messages_max,
        call_bytes_max: config.send_bytes_max,
        calls_max: CALLS_MAX,
        waiting_items_max: config.sends_waiting_max,
        waiting_bytes_max: config.sends_waiting_bytes_max,
        // Calls settle, of which a customer has a share already.
        customer_percent_max: 100,
    };
    let table = table.clone();
    Merge::new(limits, move |endings: Vec<Ending>| {
        let table = table.clone();
        async move { table.settle_all(&endings).await }
    })
}

impl PgQueue {
    pub(crate) async fn settle(
        &self,
        queue: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<Result<(), QueueError>> {
        let wakes = settled.iter().any(wakes);
        let endings: Vec<_> = settled.into_iter().map(Ending::of).collect();
        let ours: Vec<bool> = endings.iter().map(Option::is_some).collect();
        let ended = self.end(endings.into_iter().flatten().collect()).await;
        if wakes {
            self.local(queue).wake();
        }
        let mut ended = ended.into_iter();
        let one = |ours: bool| ours.then(|| ended.next()).flatten();
        let results = ours.into_iter().map(one);
        results.map(|result| result.unwrap_or(LOST)).collect()
    }

    async fn end(&self, endings: Vec<Ending>) -> Vec<Result<(), QueueError>> {
        let unavailable = |why: &str| Err(QueueError::Unavailable(why.into()));
        let count = endings.len();
        let sized = endings.into_iter().map(|ending| {
            let bytes = ending.bytes();
            (ending, bytes)
        });
        let Ok(answers) = self.shared.settles.add(&None, sized.collect()) else {
            return vec![unavailable("too many messages are being settled at once"); count];
        };
        let mut results = Vec::with_capacity(count);
        for answer in answers {
            let ended = answer.await;
            results.push(ended.unwrap_or_else(|_| unavailable("the host is shutting down")));
        }
        results
    }
}

/// Whether it wakes a receive: the message is available again at once, or others of its
/// group waited behind it.
fn wakes((received, settlement): &(Received, Settlement)) -> bool {
    match settlement {
        Settlement::GiveBack => true,
        Settlement::RetryAfter(delay) | Settlement::Failed { delay, .. } => delay.is_zero(),
        Settlement::Done | Settlement::DeadLetter(_) => received.group.is_some(),
    }
}

impl Table {
    /// A message may be among them twice, under a lease that is over and the one after
    /// it: a statement knows each once, so these take one more.
    async fn settle_all(&self, endings: &[Ending]) -> Vec<Result<(), QueueError>> {
        let mut known = HashMap::with_capacity(endings.len());
        let mut left: Vec<&Ending> = endings.iter().collect();
        while !left.is_empty() {
            let mut rows = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|one| rows.insert(one.row));
            let ended = self.settle(&now).await;
            for one in now {
                let result = match &ended {
                    Ok(ended) if ended.contains(&one.row) => Ok(()),
                    Ok(_) => LOST,
                    Err(error) => Err(error.clone()),
                };
                known.entry((one.row, one.lease)).or_insert(result);
            }
            left = later;
        }
        let result = |one: &Ending| known.get(&(one.row, one.lease)).cloned();
        endings
            .iter()
            .map(|one| result(one).unwrap_or(LOST))
            .collect()
    }

    async fn settle(&self, endings: &[&Ending]) -> Result<HashSet<Uuid>, QueueError> {
        let mut columns = EndingColumns::default();
        endings.iter().for_each(|ending| columns.add(ending));
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
