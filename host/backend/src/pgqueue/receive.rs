//! Receives messages under a lease, and extends leases (the heartbeat).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PgQueue;
use super::horizon;
use super::line::Update;
use super::local::Local;
use super::table::{Failure, Table, millis};
use crate::queue::{
    Lease, QueueError, Receipt, Received, Settlement, attributes_of, customer_of, id_text,
};

const RECEIVE: &str =
    "SELECT * FROM hearth.lease_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Extends leases. The row gets the current transaction, by which hosts find changed
/// leases: otherwise none would learn of a lease that now ends earlier.
const EXTEND: &str = "
    UPDATE hearth.leases AS l
    SET due_at = clock_timestamp() + ($3::bigint + $4::bigint) * interval '1 millisecond',
        xid = pg_current_xact_id()
    WHERE l.id = ANY ($1::uuid[]) AND l.lease = ($2::uuid[])[array_position($1::uuid[], l.id)]
    RETURNING l.id";

/// A message and since when it could have been received.
pub(crate) struct Delivery {
    pub received: Received,
    pub due_at: SystemTime,
}

/// What one look found.
struct ReceiveResult {
    deliveries: Vec<(i64, Delivery)>,
    /// Whether more may be found at once.
    again: bool,
    /// When something becomes due.
    due_in: Option<Duration>,
}

/// Received messages that no caller has taken yet. Dropped, they are returned to the
/// queue.
struct UnclaimedRows {
    queues: PgQueue,
    queue: Arc<str>,
    found: Option<ReceiveResult>,
}

impl Drop for UnclaimedRows {
    fn drop(&mut self) {
        let deliveries = self.found.take().map(|found| found.deliveries);
        let Some(deliveries) = deliveries.filter(|deliveries| !deliveries.is_empty()) else {
            return;
        };
        let (queues, queue) = (self.queues.clone(), self.queue.clone());
        let back = deliveries
            .into_iter()
            .map(|(_, delivery)| (delivery.received, Settlement::GiveBack));
        let back: Vec<_> = back.collect();
        let shared = &self.queues.shared;
        let give_back = async move { drop(queues.settle(&queue, back).await) };
        shared.returning.spawn_on(give_back, &shared.runtime);
    }
}

impl PgQueue {
    pub(crate) async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let deliveries = self.deliveries(queue, max, wait, visibility, true).await?;
        Ok(deliveries
            .into_iter()
            .map(|delivery| delivery.received)
            .collect())
    }

    /// `counted` says whether this is an attempt.
    pub(crate) async fn deliveries(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
        counted: bool,
    ) -> Result<Vec<Delivery>, QueueError> {
        let (local, until) = (self.local(queue), Instant::now() + wait);
        let poll = Duration::from_millis(self.shared.config.poll_ms);
        loop {
            let mut unclaimed = self.look(&local, max, visibility, counted).await?;
            let Some(found) = unclaimed.found.take() else {
                return Ok(Vec::new());
            };
            if !found.deliveries.is_empty() {
                // There may be more than one receive takes.
                local.wake();
                return Ok(in_order(found.deliveries));
            }
            let over = Instant::now() >= until;
            if !found.again && (over || !local.wait(until, found.due_in, poll).await) {
                return Ok(Vec::new());
            }
        }
    }

    /// Runs to its end once begun, even if no caller waits for it any more.
    async fn look(
        &self,
        local: &Arc<Local>,
        max: usize,
        visibility: Duration,
        counted: bool,
    ) -> Result<UnclaimedRows, QueueError> {
        let (answer, answered) = oneshot::channel();
        let (queues, local) = (self.clone(), local.clone());
        self.shared.returning.spawn(async move {
            let table = &queues.shared.table;
            let found = table.receive(&local, max, visibility, counted).await;
            let _ = answer.send(found.map(|found| UnclaimedRows {
                queues: queues.clone(),
                queue: local.name.clone(),
                found: Some(found),
            }));
        });
        let stopped = || Err(QueueError::Unavailable("the host is shutting down".into()));
        answered.await.unwrap_or_else(|_| stopped())
    }

    pub(crate) async fn extend(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Vec<Result<(), QueueError>> {
        let leases: Vec<(Uuid, Uuid)> = receipts.iter().filter_map(held).collect();
        let extended = self.shared.table.extend(&leases, visibility).await;
        let one = |receipt: &Receipt| match (&extended, held(receipt)) {
            (Err(error), _) => Err(error.clone()),
            (Ok(held), Some((row, _))) if held.contains(&row) => Ok(()),
            (Ok(_), _) => Err(QueueError::LeaseLost),
        };
        receipts.iter().map(one).collect()
    }
}

fn in_order(mut deliveries: Vec<(i64, Delivery)>) -> Vec<Delivery> {
    deliveries.sort_unstable_by_key(|(place, _)| *place);
    deliveries
        .into_iter()
        .map(|(_, delivery)| delivery)
        .collect()
}

/// The lease and message of a receipt of this backend.
pub(super) fn held(receipt: &Receipt) -> Option<(Uuid, Uuid)> {
    match receipt.0 {
        Lease::Postgres { row, lease } => Some((row, lease)),
        Lease::Sqs { .. } => None,
    }
}

impl Table {
    async fn receive(
        &self,
        local: &Local,
        max: usize,
        visibility: Duration,
        counted: bool,
    ) -> Result<ReceiveResult, QueueError> {
        self.bounded(async {
            let mut lines = local.lines.lock().await;
            let held = self.hold().await?;
            if lines.horizon().is_none() {
                horizon::resume(&held.client, &local.name, &mut lines).await?;
            }
            let statement = held.client.prepare_cached(RECEIVE).await?;
            let lease = Uuid::new_v4();
            let (visibility, offset) = (millis(visibility), self.offset_ms());
            let max = i32::try_from(max).unwrap_or(i32::MAX);
            let (customers, seats) = lines.next();
            let params: [&(dyn ToSql + Sync); 10] = [
                &&*local.name,
                &lines.horizon(),
                &customers,
                &seats,
                &lines.turn(),
                &max,
                &visibility,
                &offset,
                &lease,
                &counted,
            ];
            let rows = held.client.query(&statement, &params).await?;
            let (mut found, update) = found(&rows, &local.name, lease)?;
            let is_shorter = update.is_some_and(|update| lines.apply(update));
            // Nobody of those whose turn it was had any, but others may.
            found.again |= is_shorter && found.deliveries.is_empty();
            Ok(found)
        })
        .await
    }

    async fn extend(
        &self,
        leases: &[(Uuid, Uuid)],
        visibility: Duration,
    ) -> Result<HashSet<Uuid>, QueueError> {
        let (rows, leases): (Vec<Uuid>, Vec<Uuid>) = leases.iter().copied().unzip();
        self.bounded(async {
            let held = self.hold().await?;
            let statement = held.client.prepare_cached(EXTEND).await?;
            let (visibility, offset) = (millis(visibility), self.offset_ms());
            let extended = held
                .client
                .query(&statement, &[&rows, &leases, &visibility, &offset])
                .await?;
            let ids = extended.iter().map(|row| Ok(row.try_get(0)?));
            ids.collect::<Result<_, Failure>>()
        })
        .await
    }
}

/// The rows of `hearth.lease_messages`; the row without an id describes the rest.
fn found(
    rows: &[Row],
    queue: &Arc<str>,
    lease: Uuid,
) -> Result<(ReceiveResult, Option<Update>), Failure> {
    let mut found = ReceiveResult {
        deliveries: Vec::with_capacity(rows.len()),
        again: false,
        due_in: None,
    };
    let mut lines = None;
    for row in rows {
        match row.try_get::<_, Option<Uuid>>("id")? {
            Some(id) => {
                let delivery = delivery(row, id, queue, lease)?;
                found.deliveries.push((row.try_get("place")?, delivery));
            }
            None => {
                let (now, due): (SystemTime, Option<SystemTime>) =
                    (row.try_get("sent_at")?, row.try_get("due_at")?);
                lines = Some(update(row)?);
                found.again = row.try_get::<_, i32>("attempts")? > 0;
                found.due_in = due.map(|due| due.duration_since(now).unwrap_or_default());
            }
        }
    }
    Ok((found, lines))
}

fn update(row: &Row) -> Result<Update, Failure> {
    let customers: Option<Vec<String>> = row.try_get("customers")?;
    let seats: Option<Vec<Option<i64>>> = row.try_get("seats")?;
    Ok(Update {
        horizon: row.try_get("horizon")?,
        turn: row.try_get("customer")?,
        customers: customers.unwrap_or_default(),
        seats: seats.unwrap_or_default(),
    })
}

fn delivery(row: &Row, id: Uuid, queue: &Arc<str>, lease: Uuid) -> Result<Delivery, Failure> {
    let (plugin, attributes): (&str, &str) = (row.try_get("plugin")?, row.try_get("attributes")?);
    let (body, attempts): (&[u8], i32) = (row.try_get("body")?, row.try_get("attempts")?);
    let (attributes, traceparent) = attributes_of(attributes);
    Ok(Delivery {
        received: Received {
            id: id_text(row.try_get("message")?),
            queue: queue.clone(),
            customer: customer_of(row.try_get("customer")?),
            plugin: Arc::from(plugin),
            body: body.to_vec().into(),
            attributes,
            traceparent,
            group: row.try_get("group_key")?,
            attempt: u32::try_from(attempts).unwrap_or(0),
            sent_at: row.try_get("sent_at")?,
            receipt: Receipt(Lease::Postgres { row: id, lease }),
        },
        due_at: row.try_get("due_at")?,
    })
}
