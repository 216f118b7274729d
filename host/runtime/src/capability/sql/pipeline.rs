//! Several messages to Postgres in one round trip.
//!
//! Each message of the driver is sent when its future is polled first. So polling
//! them in order, all before any is answered, sends them in order and together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done};
use tokio_postgres::{Client, Statement};

use super::Config;
use super::enqueue::{self, Message};
use super::error::Halt;
use super::run::{self, Ready, StatementResult};
use super::usage::Relay;

pub(super) type Step<'a> =
    Pin<Box<MaybeDone<Pin<Box<dyn Future<Output = Result<StepResult, Halt>> + Send + 'a>>>>>;

/// What one message of the pipeline was answered.
pub(super) enum StepResult {
    Setting,
    Answer(StatementResult),
}

/// A text without parameters.
pub(super) fn simple<'a>(client: &'a Client, text: &'a str) -> Step<'a> {
    let sent = async move {
        Ok(client
            .batch_execute(text)
            .await
            .map(|()| StepResult::Setting)?)
    };
    Box::pin(maybe_done(Box::pin(sent)))
}

/// A declared statement.
pub(super) fn statement<'a>(
    client: &'a Client,
    statement: &'a Statement,
    call: &'a Ready<'_>,
    config: &'a Config,
    relay: &'a Relay<'_>,
) -> Step<'a> {
    let sent = async move {
        let result = run::send(client, statement, call, config).await;
        relay.answered(&result);
        result.map(StepResult::Answer)
    };
    Box::pin(maybe_done(Box::pin(sent)))
}

/// Messages for queues, none of which has a deduplication id.
pub(super) fn messages<'a>(
    client: &'a Client,
    statement: &'a Statement,
    messages: &'a [&'a Message],
    relay: &'a Relay<'_>,
) -> Step<'a> {
    let sent = async move {
        enqueue::send_together(client, statement, messages).await?;
        relay.passed();
        Ok(StepResult::Setting)
    };
    Box::pin(maybe_done(Box::pin(sent)))
}

/// A message for a queue, with a deduplication id.
pub(super) fn message<'a>(
    client: &'a Client,
    statement: &'a Statement,
    message: &'a Message,
    relay: &'a Relay<'_>,
) -> Step<'a> {
    let sent = async move {
        let id = enqueue::send(client, statement, message).await?;
        relay.passed();
        Ok(StepResult::Answer(StatementResult::Id(id)))
    };
    Box::pin(maybe_done(Box::pin(sent)))
}

/// Polls the steps in their order until all are done.
pub(super) async fn in_order<'a>(
    first: &mut Option<Step<'a>>,
    mut steps: Vec<Step<'a>>,
) -> Vec<Result<StepResult, Halt>> {
    poll_fn(|cx| {
        let mut pending = false;
        for step in first.iter_mut().chain(steps.iter_mut()) {
            pending |= step.as_mut().poll(cx).is_pending();
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    steps.into_iter().filter_map(take).collect()
}

pub(super) fn take(mut step: Step<'_>) -> Option<Result<StepResult, Halt>> {
    step.as_mut().take_output()
}

/// Whether Postgres has answered all of them, be it with errors.
pub(super) fn all_answered(results: &[Result<StepResult, Halt>]) -> bool {
    let answered =
        |result: &Result<StepResult, Halt>| result.as_ref().err().is_none_or(Halt::is_answer);
    results.iter().all(answered)
}

/// All answers, or what went wrong. An error that Postgres answered is the cause
/// of everything behind it, and proves that nothing was committed; so it is told
/// rather than a connection lost later.
pub(super) fn check(results: Vec<Result<StepResult, Halt>>) -> Result<Vec<StatementResult>, Halt> {
    let mut answers = Vec::with_capacity(results.len());
    let mut lost = None;
    for result in results {
        match result {
            Ok(StepResult::Setting) => {}
            Ok(StepResult::Answer(answer)) => answers.push(answer),
            Err(halt) if halt.is_answer() => return Err(halt),
            Err(halt) => {
                lost.get_or_insert(halt);
            }
        }
    }
    lost.map_or(Ok(answers), Err)
}
