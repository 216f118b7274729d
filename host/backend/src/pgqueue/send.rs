//! Sending outside a transaction: many requests' messages in one statement.

use std::sync::Arc;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PgQueue;
use super::entry::{Columns, ENQUEUE, Entry};
use super::table::{Failure, Table};
use crate::merge::{Merge, MergeLimits};
use crate::queue::{Config, Outgoing, QueueError, id_text};

const ADD: &str = "SELECT hearth.add_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// One call at a time, so messages arrive in the order in which they were sent.
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
    pub(crate) async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<String, QueueError>> {
        let entries = messages.into_iter().map(Entry::new).collect();
        self.send_entries(entries).await
    }

    pub(crate) async fn send_entries(
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
            let statement = held.client.prepare_cached(ADD).await?;
            let columns = Columns::of(entries.iter());
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
