//! Messages that are sent if, and only if, a transaction commits.
//!
//! All of them are one more statement of the transaction, the host's own: see
//! `hearth.enqueue_many` in migration 0013. Nothing waits for its answer but the
//! commit, so it costs no round trip; only a message with a deduplication id is sent at
//! once and by itself, for its answer says which message it repeats.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::error::Halt;
use super::{Error, Lent, OutgoingMessage};
use crate::capability::Call;
use hearth_backend::pgqueue::{Columns, ENQUEUE, ENQUEUE_MANY, Entry, Stamp};
use hearth_backend::postgres::connection::{Connection, Prepared, SessionState};
use hearth_backend::queue::{QueueError, id_text};
use hearth_backend::queues::{Draft, MessageOrigin};
use hearth_base::telemetry::trace::traceparent;
use hearth_base::telemetry::{Span, TraceScope};

/// A message on its way into a transaction.
pub(super) struct Message {
    pub entry: Entry,
    pub stamp: Stamp,
    /// Until its transaction has ended.
    _span: Span,
}

impl From<OutgoingMessage> for Draft {
    fn from(message: OutgoingMessage) -> Draft {
        Draft {
            body: message.body,
            attributes: message.attributes,
            delay_ms: message.delay_ms,
            group: message.group,
            deduplication_id: message.deduplication_id,
        }
    }
}

fn refused(error: QueueError, queue: &str) -> Error {
    match error {
        QueueError::TooLarge => Error::TooLarge,
        QueueError::Full | QueueError::ShareFull => Error::QueueFull(queue.to_owned()),
        QueueError::Denied(reason) => Error::Denied(reason),
        QueueError::Invalid(reason) => Error::Invalid(reason),
        QueueError::Unavailable(_) | QueueError::LeaseLost => Error::Unavailable(error.to_string()),
    }
}

impl Message {
    /// With what the host stamps on it: nothing of that is the guest's.
    pub fn new(
        lent: &Lent,
        call: &Call,
        trace: &TraceScope,
        queue: &str,
        message: OutgoingMessage,
    ) -> Result<Message, Error> {
        let span = lent.sender.span(trace, queue);
        let origin = MessageOrigin {
            customer: call.customer.as_ref(),
            traceparent: traceparent(&span.scope()),
        };
        let entry = lent.sender.entry(queue, &origin, message.into());
        let entry = entry.map_err(|error| refused(error, queue))?;
        let queues = lent.sender.queues();
        let queues =
            queues.ok_or_else(|| Error::Unavailable("queues are not configured".into()))?;
        Ok(Message {
            entry,
            stamp: queues.stamp(),
            _span: span,
        })
    }

    /// Of body and attributes.
    pub fn bytes(&self) -> usize {
        self.entry.bytes()
    }

    pub fn is_deduplicated(&self) -> bool {
        self.entry.message().deduplication_id.is_some()
    }

    /// The host's statement that sends it, with its number.
    pub fn statement(&self) -> (usize, &'static str) {
        match self.is_deduplicated() {
            true => (0, ENQUEUE),
            false => (1, ENQUEUE_MANY),
        }
    }
}

/// A statement of [`Message::statement`], which is the host's and no deployment's.
pub(super) async fn prepare(
    connection: &mut Connection,
    statement: (usize, &str),
    standing: SessionState,
) -> Result<Statement, Halt> {
    let own = Prepared::of_host(statement);
    if let Some(statement) = connection.statement(&own) {
        return Ok(statement);
    }
    connection.mark();
    let prepared = connection.client().prepare(&own.text).await;
    let prepared = prepared.map_err(Halt::Postgres);
    if prepared.as_ref().err().is_none_or(Halt::is_answer) {
        connection.unmark(standing);
    }
    let statement = prepared?;
    connection.keep_statement(&own, statement.clone());
    Ok(statement)
}

/// Sends one that has a deduplication id when first polled; answers the message's id.
pub(super) async fn send(
    client: &Client,
    statement: &Statement,
    message: &Message,
) -> Result<String, Halt> {
    let params = message.entry.params(&message.stamp);
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param as _).collect();
    let row = client.query_one(statement, &params).await?;
    let id: Uuid = row.try_get(0)?;
    Ok(id_text(id))
}

/// Sends messages that have no deduplication id when first polled. They have the ids
/// that they were made with.
pub(super) async fn send_together(
    client: &Client,
    statement: &Statement,
    messages: &[&Message],
) -> Result<(), Halt> {
    let Some(first) = messages.first() else {
        return Ok(());
    };
    let columns = Columns::of(messages.iter().map(|message| &message.entry));
    client
        .execute(statement, &columns.stamped(&first.stamp))
        .await?;
    Ok(())
}
