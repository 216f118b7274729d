//! The steps of a guest's batch, from what it asks for to what it is answered.

use std::sync::Arc;

use super::batch::BatchItem;
use super::enqueue::Message;
use super::run::{StatementResult, Want};
use super::statement::AccessMode;
use super::usage::StatementAccount;
use super::{BatchCall, Error, Lent, Outcome, RowSet, Statement};
use crate::capability::Call;
use hearth_base::telemetry::TraceScope;

pub(super) fn step<'l>(
    lent: &'l Lent,
    call: &Call,
    trace: &TraceScope,
    step: BatchCall,
) -> Result<BatchItem<'l>, Error> {
    let statement = |step: Statement, want| lent.ready(&step.text, step.params, want);
    Ok(match step {
        BatchCall::Query(step) => BatchItem::Statement(statement(step, Want::Rows)?),
        BatchCall::Execute(step) => BatchItem::Statement(statement(step, Want::Count)?),
        BatchCall::Enqueue(step) => {
            let message = Message::new(lent, call, trace, &step.queue, step.message)?;
            BatchItem::Enqueue(Box::new(message))
        }
    })
}

pub(super) fn is_message(call: &BatchCall) -> bool {
    matches!(call, BatchCall::Enqueue(_))
}

pub(super) fn message_bytes(call: &BatchItem<'_>) -> usize {
    match call {
        BatchItem::Statement(_) => 0,
        BatchItem::Enqueue(message) => message.bytes(),
    }
}

pub(super) fn writes(call: &BatchItem<'_>) -> bool {
    match call {
        BatchItem::Statement(ready) => ready.known.declared.access == AccessMode::Write,
        BatchItem::Enqueue(_) => true,
    }
}

pub(super) fn queue(call: &BatchItem<'_>) -> Option<Arc<str>> {
    match call {
        BatchItem::Statement(_) => None,
        BatchItem::Enqueue(message) => Some(message.entry.message().queue.clone()),
    }
}

/// Of a declared statement.
pub(super) fn account<'a>(call: &BatchItem<'a>) -> Option<&'a StatementAccount> {
    match call {
        BatchItem::Statement(ready) => Some(&ready.known.account),
        BatchItem::Enqueue(_) => None,
    }
}

pub(super) fn rows(answer: StatementResult) -> Result<RowSet, Error> {
    match answer {
        StatementResult::Rows(rows) => Ok(rows),
        _ => Err(Error::Invalid("no rows were asked for".into())),
    }
}

pub(super) fn count(answer: StatementResult) -> Result<u64, Error> {
    match answer {
        StatementResult::Count(count) => Ok(count),
        _ => Err(Error::Invalid("no count was asked for".into())),
    }
}

pub(super) fn outcome(answer: StatementResult) -> Outcome {
    match answer {
        StatementResult::Rows(rows) => Outcome::Rows(rows),
        StatementResult::Count(count) => Outcome::Affected(count),
        StatementResult::Id(id) => Outcome::Enqueued(id),
    }
}
