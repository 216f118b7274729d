//! The steps of a guest's batch, from what it asks for to what it is answered.

use std::sync::Arc;

use super::batch::Call;
use super::enqueue::Message;
use super::run::{Answer, Want};
use super::statement::Access;
use super::usage::StatementAccount;
use super::{BatchCall, Error, Lent, Outcome, RowSet, Statement};
use crate::capability::Call as Circumstances;
use hearth_base::telemetry::TraceScope;

pub(super) fn step<'l>(
    lent: &'l Lent,
    call: &Circumstances,
    trace: &TraceScope,
    step: BatchCall,
) -> Result<Call<'l>, Error> {
    let statement = |step: Statement, want| lent.ready(&step.text, step.params, want);
    Ok(match step {
        BatchCall::Query(step) => Call::Statement(statement(step, Want::Rows)?),
        BatchCall::Execute(step) => Call::Statement(statement(step, Want::Count)?),
        BatchCall::Enqueue(step) => {
            let message = Message::new(lent, call, trace, &step.queue, step.message)?;
            Call::Enqueue(Box::new(message))
        }
    })
}

pub(super) fn is_message(call: &BatchCall) -> bool {
    matches!(call, BatchCall::Enqueue(_))
}

pub(super) fn message_bytes(call: &Call<'_>) -> usize {
    match call {
        Call::Statement(_) => 0,
        Call::Enqueue(message) => message.bytes(),
    }
}

pub(super) fn writes(call: &Call<'_>) -> bool {
    match call {
        Call::Statement(ready) => ready.known.declared.access == Access::Write,
        Call::Enqueue(_) => true,
    }
}

pub(super) fn queue(call: &Call<'_>) -> Option<Arc<str>> {
    match call {
        Call::Statement(_) => None,
        Call::Enqueue(message) => Some(message.entry.message().queue.clone()),
    }
}

/// Of a declared statement.
pub(super) fn account<'a>(call: &Call<'a>) -> Option<&'a StatementAccount> {
    match call {
        Call::Statement(ready) => Some(&ready.known.account),
        Call::Enqueue(_) => None,
    }
}

pub(super) fn rows(answer: Answer) -> Result<RowSet, Error> {
    match answer {
        Answer::Rows(rows) => Ok(rows),
        _ => Err(Error::Invalid("no rows were asked for".into())),
    }
}

pub(super) fn count(answer: Answer) -> Result<u64, Error> {
    match answer {
        Answer::Count(count) => Ok(count),
        _ => Err(Error::Invalid("no count was asked for".into())),
    }
}

pub(super) fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Rows(rows) => Outcome::Rows(rows),
        Answer::Count(count) => Outcome::Affected(count),
        Answer::Id(id) => Outcome::Enqueued(id),
    }
}
