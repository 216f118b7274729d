//! Sending outside a transaction: many requests' messages in one INSERT.

use std::sync::Arc;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PgQueue;
use super::entry::{ENQUEUE, Entry};
use super::table::{Failure, Table};
use crate::backend::merge::{Merge, MergeLimits};
use crate::backend::queue::{Config, Outgoing, QueueError, customer_text, id_text};

const INSERT: &str = "
    INSERT INTO hearth.outbox (id, message, queue, plugin, customer, group_key, body, attributes, attempts,
                               sent_at, state, due_at)
    SELECT e.id, e.message, e.queue, e.plugin, e.customer, e.group_key, e.body, e.attributes, e.attempts,
           coalesce(e.sent_at, now.at), CASE WHEN e.delay_ms > 0 THEN 1 ELSE 0 END,
           now.at + e.delay_ms * interval '1 millisecond'
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
                $7::text[], $8::int4[], $9::timestamptz[], $10::bigint[], $11::uuid[]) WITH ORDINALITY
             AS e (id, queue, plugin, customer, group_key, body, attributes, attempts, sent_at,
                   delay_ms, message, number),
         (SELECT clock_timestamp() + $12::bigint * interval '1 millisecond' AS at) AS now
    ORDER BY e.number";

/// One INSERT at a time, so messages arrive in the order in which they were sent.
pub(super) fn merge(
    table: &Arc<Table>,
    config: &Config,
) -> Arc<Merge<Entry, Result<(), QueueError>>> {
    let limits = MergeLimits {
        call_items_max: config.send_messages_max,
        call_bytes_max: config.send_bytes_max,
        calls_max: 1,
        waiting_items_max: config.sends_waiting_max,
        waiting_bytes_max: config.sends_waiting_bytes_max,
        customer_percent_max: config.customer_sends_percent_max,
    };
    let table = table.clone();
    Merge::new(limits, move |entries: Vec<Entry>| {
        let table = table.clone();
        async move {
            let inserted = table.insert(&entries).await;
            entries.iter().map(|_| inserted.clone()).collect()
        }
    })
}

impl PgQueue {
    pub(in crate::backend) async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Vec<Result<String, QueueError>> {
        let entries = messages.into_iter().map(Entry::new).collect();
        self.send_entries(entries).await
    }

    pub(in crate::backend) async fn send_entries(
        &self,
        entries: Vec<Entry>,
    ) -> Vec<Result<String, QueueError>> {
        let deduplicated = |entry: &Entry| entry.message.deduplication_id.is_some();
        match entries.iter().any(deduplicated) {
            true => self.send_alone(entries).await,
            false => self.send_merged(entries).await,
        }
    }

    async fn send_merged(&self, entries: Vec<Entry>) -> Vec<Result<String, QueueError>> {
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                let message = &entry.message;
                (entry.id(), message.queue.clone(), message.customer.clone())
            })
            .collect();
        // One call's, so one customer's; only those of the clock are several's.
        let customer = entries
            .first()
            .and_then(|entry| entry.message.customer.clone());
        let sized = entries.into_iter().map(|entry| {
            let bytes = entry.bytes();
            (entry, bytes)
        });
        let answers = match self.shared.sends.add(&customer, sized.collect()) {
            Ok(answers) => answers,
            Err(full) => return told.iter().map(|_| Err(full.into())).collect(),
        };
        let mut results = Vec::with_capacity(told.len());
        for ((id, queue, customer), answer) in told.into_iter().zip(answers) {
            let sent = answer.await.unwrap_or_else(|_| Err(stopping()));
            if sent.is_ok() {
                self.local(&queue).sent_by(customer.as_ref());
            }
            results.push(sent.map(|()| id));
        }
        results
    }

    /// One after the other, and with nobody else's: a message with a deduplication id
    /// may have to wait until a transaction with the same one has ended.
    async fn send_alone(&self, entries: Vec<Entry>) -> Vec<Result<String, QueueError>> {
        let queues = self.clone();
        let sending = tokio::spawn(async move {
            let mut results = Vec::with_capacity(entries.len());
            for entry in &entries {
                let sent = queues.shared.table.enqueue(entry).await;
                if sent.is_ok() {
                    let message = &entry.message;
                    queues
                        .local(&message.queue)
                        .sent_by(message.customer.as_ref());
                }
                results.push(sent.map(id_text));
            }
            results
        });
        sending.await.unwrap_or_else(|_| vec![Err(stopping())])
    }
}

fn stopping() -> QueueError {
    QueueError::Unavailable("the host is stopping".into())
}

impl Table {
    async fn insert(&self, entries: &[Entry]) -> Result<(), QueueError> {
        self.bounded(async {
            let held = self.hold().await?;
            let statement = held.client.prepare_cached(INSERT).await?;
            let columns = Columns::of(entries);
            let offset_ms = self.offset_ms();
            held.client
                .execute(&statement, &columns.params(&offset_ms))
                .await?;
            Ok(())
        })
        .await
    }

    async fn enqueue(&self, entry: &Entry) -> Result<Uuid, QueueError> {
        self.bounded(async {
            let held = self.hold().await?;
            let statement = held.client.prepare_cached(ENQUEUE).await?;
            let params = entry.params(&self.stamp());
            let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| &**p as _).collect();
            let row = held.client.query_one(&statement, &params).await?;
            Ok::<_, Failure>(row.try_get(0)?)
        })
        .await
    }
}

/// The messages of one INSERT, column by column.
struct Columns<'e> {
    ids: Vec<Uuid>,
    messages: Vec<Uuid>,
    queues: Vec<&'e str>,
    plugins: Vec<&'e str>,
    customers: Vec<&'e str>,
    groups: Vec<Option<&'e str>>,
    bodies: Vec<&'e [u8]>,
    attributes: Vec<&'e str>,
    attempts: Vec<i32>,
    sent_at: Vec<Option<std::time::SystemTime>>,
    delays_ms: Vec<i64>,
}

impl<'e> Columns<'e> {
    fn of(entries: &'e [Entry]) -> Columns<'e> {
        let messages = || entries.iter().map(|entry| &entry.message);
        Columns {
            ids: entries.iter().map(|entry| entry.id).collect(),
            messages: entries.iter().map(|entry| entry.known_as).collect(),
            queues: messages().map(|message| &*message.queue).collect(),
            plugins: messages().map(|message| &*message.plugin).collect(),
            customers: messages()
                .map(|message| customer_text(message.customer.as_ref()))
                .collect(),
            groups: messages().map(|message| message.group.as_deref()).collect(),
            bodies: messages().map(|message| &*message.body).collect(),
            attributes: entries.iter().map(|entry| &*entry.attributes).collect(),
            attempts: entries.iter().map(|entry| entry.attempts).collect(),
            sent_at: entries.iter().map(|entry| entry.sent_at).collect(),
            delays_ms: entries.iter().map(Entry::delay_ms).collect(),
        }
    }

    fn params<'p>(&'p self, offset_ms: &'p i64) -> [&'p (dyn ToSql + Sync); 12] {
        [
            &self.ids,
            &self.queues,
            &self.plugins,
            &self.customers,
            &self.groups,
            &self.bodies,
            &self.attributes,
            &self.attempts,
            &self.sent_at,
            &self.delays_ms,
            &self.messages,
            offset_ms,
        ]
    }
}
