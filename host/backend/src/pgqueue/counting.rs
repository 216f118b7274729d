//! How much is in the queues. One host of the fleet counts, the others read.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::PgQueue;
use super::table::Failure;
use crate::queue::{Depth, QueueError};

/// For counting, which reads whole tables. Milliseconds.
const COUNT_MS_MAX: u64 = 60_000;
/// Whoever has less than so much of a share is not counted by name.
const HEAVY: u64 = 10;
/// Counting takes a twentieth of one connection at most.
const REST: u32 = 20;

/// The whole of each queue, and in rows of their own the customers who have a good
/// part of one.
const COUNT: &str = "
    SELECT queue, customer, sum(waiting)::bigint, sum(delayed)::bigint, sum(leased)::bigint,
           (extract(epoch FROM clock_timestamp() + $2::bigint * interval '1 millisecond'
                - min(since)) * 1000)::bigint
    FROM (
        SELECT queue, customer, count(*) AS waiting, 0 AS delayed, 0 AS leased,
               min(due_at) AS since
        FROM hearth.ready GROUP BY queue, customer
        UNION ALL
        SELECT queue, customer, count(*), 0, 0, NULL FROM hearth.blocked GROUP BY queue, customer
        UNION ALL
        SELECT queue, customer, 0, count(*), 0, NULL FROM hearth.delayed GROUP BY queue, customer
        UNION ALL
        SELECT queue, customer, 0, 0, count(*), NULL FROM hearth.leases GROUP BY queue, customer
    ) each
    GROUP BY GROUPING SETS ((queue), (queue, customer))
    HAVING grouping(customer) = 1 OR sum(waiting + delayed + leased) > $1::bigint";

const COUNT_DEAD: &str = "SELECT queue, count(*) FROM hearth.dead_letters GROUP BY queue";

/// Taken by whoever comes first when it is time.
const BEGIN: &str = "
    UPDATE hearth.queue_depths SET begun_at = clock_timestamp()
    WHERE begun_at < clock_timestamp() - $1::bigint * interval '1 millisecond'";

/// The next to count waits for `$2` longer than usual.
const TELL: &str = "
    UPDATE hearth.queue_depths
    SET depths = $1, counted_at = clock_timestamp(),
        begun_at = clock_timestamp() + $2::bigint * interval '1 millisecond'";

const READ: &str = "SELECT depths FROM hearth.queue_depths";

/// One queue's numbers, as they are kept in `hearth.queue_depths`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct QueueCounts {
    waiting: u64,
    delayed: u64,
    leased: u64,
    pub dead: u64,
    oldest_ms: Option<u64>,
    heavy: HashMap<String, u64>,
}

pub(super) type ByQueue = BTreeMap<String, QueueCounts>;

impl PgQueue {
    pub(super) async fn keep_counting(&self) {
        let pause = Duration::from_millis(self.shared.config.count_ms);
        loop {
            if let Err(error) = self.count_or_read().await {
                tracing::debug!(%error, "the queues were not counted");
            }
            sleep(pause).await;
        }
    }

    async fn count_or_read(&self) -> Result<(), Failure> {
        let table = &self.shared.table;
        let count_ms = i64::try_from(self.shared.config.count_ms).unwrap_or(i64::MAX);
        let mut client = table.server.host().get().await?;
        if client.execute(BEGIN, &[&count_ms]).await? == 1 {
            let began = Instant::now();
            let counted = self.count(&mut client).await?;
            let rest = super::table::millis(began.elapsed().saturating_mul(REST));
            let text = serde_json::to_string(&counted).unwrap_or_else(|_| "{}".into());
            client
                .execute(TELL, &[&text, &rest.saturating_sub(count_ms).max(0)])
                .await?;
        }
        let row = client.query_one(READ, &[]).await?;
        self.apply(&serde_json::from_str(row.try_get(0)?).unwrap_or_default());
        Ok(())
    }

    async fn count(&self, client: &mut deadpool_postgres::Client) -> Result<ByQueue, Failure> {
        let transaction = client.transaction().await?;
        let limit = format!("SET LOCAL statement_timeout = {COUNT_MS_MAX}");
        transaction.batch_execute(&limit).await?;
        let heavy = self.shared.config.customer_depth_max() / HEAVY;
        let heavy = i64::try_from(heavy).unwrap_or(i64::MAX);
        let offset_ms = self.shared.table.offset_ms();
        let rows = transaction.query(COUNT, &[&heavy, &offset_ms]).await?;
        let dead = transaction.query(COUNT_DEAD, &[]).await?;
        transaction.commit().await?;
        let mut counted = ByQueue::new();
        let number = |row: &tokio_postgres::Row, at: usize| -> Result<u64, Failure> {
            Ok(u64::try_from(row.try_get::<_, i64>(at)?).unwrap_or(0))
        };
        for row in &rows {
            let queue = counted.entry(row.try_get(0)?).or_default();
            let (waiting, delayed, leased) = (number(row, 2)?, number(row, 3)?, number(row, 4)?);
            match row.try_get::<_, Option<String>>(1)? {
                Some(customer) => {
                    queue.heavy.insert(customer, waiting + delayed + leased);
                }
                None => {
                    (queue.waiting, queue.delayed, queue.leased) = (waiting, delayed, leased);
                    let oldest: Option<i64> = row.try_get(5)?;
                    queue.oldest_ms = oldest.map(|ms| u64::try_from(ms).unwrap_or(0));
                }
            }
        }
        for row in &dead {
            counted.entry(row.try_get(0)?).or_default().dead = number(row, 1)?;
        }
        Ok(counted)
    }

    /// Queues that are not in the list are empty.
    fn apply(&self, counted: &ByQueue) {
        for queue in counted.keys() {
            self.local(queue);
        }
        let locals: Vec<_> = self.shared.locals.lock().values().cloned().collect();
        let empty = QueueCounts::default();
        for local in locals {
            let counted = counted.get(&*local.name).unwrap_or(&empty);
            let depth = counted.waiting + counted.delayed + counted.leased;
            local.set_counted(depth, counted.heavy.clone());
            let depth = counted.depth(&local.name);
            let by_state = [depth.waiting, depth.delayed, depth.leased, depth.dead];
            local.metrics.set_depth(by_state, depth.oldest_age);
        }
    }

    /// What is in each queue, counted now.
    pub(crate) async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let counted = async {
            let mut client = self.shared.table.server.host().get().await?;
            self.count(&mut client).await
        };
        let counted = counted.await.map_err(QueueError::from)?;
        Ok(counted
            .iter()
            .map(|(queue, counted)| counted.depth(queue))
            .collect())
    }

    /// Dead letters of each queue, as they were last counted.
    pub(super) async fn counted(&self) -> Result<ByQueue, Failure> {
        let client = self.shared.table.server.host().get().await?;
        let row = client.query_one(READ, &[]).await?;
        Ok(serde_json::from_str(row.try_get(0)?).unwrap_or_default())
    }
}

impl QueueCounts {
    fn depth(&self, queue: &str) -> Depth {
        Depth {
            queue: queue.to_owned(),
            waiting: self.waiting,
            delayed: self.delayed,
            leased: self.leased,
            dead: self.dead,
            oldest_age: self.oldest_ms.map(Duration::from_millis),
        }
    }
}
