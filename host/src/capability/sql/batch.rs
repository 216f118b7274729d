//! Several statements in one transaction and one round trip.
//!
//! What is sent: the session's own tenant is set to nobody (where it is not
//! already), BEGIN, SET LOCAL of the caller's customer, the statements, COMMIT.
//! Each message of the driver ends in its own Sync, so a failure does not stop
//! what follows it. Hence the order: should BEGIN itself fail, SET LOCAL has no
//! effect and the statements run for nobody; should SET LOCAL fail, it aborts the
//! transaction and with it every statement behind it. Every answer is checked.
//!
//! Where rows are wanted COMMIT is sent once they are in: an answer that turns
//! out too large must leave no effect. That is a second round trip.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done};
use tokio_postgres::{Client, Statement};

use super::error::Halt;
use super::run::{self, Answer, Ready, Want};
use super::{Config, Error, Isolation, transaction};
use crate::backend::postgres::connection::{Connection, Standing};
use crate::backend::postgres::tenancy::Tenant;

type Step<'a> = Pin<Box<MaybeDone<Pin<Box<dyn Future<Output = Result<Done, Halt>> + Send + 'a>>>>>;

/// What one message of the pipeline was answered.
enum Done {
    Setting,
    Answer(Answer),
}

/// Runs all of them, or none.
pub(super) async fn run(
    connection: &mut Connection,
    tenant: &Tenant,
    calls: &[Ready<'_>],
    config: &Config,
    mark: Option<&str>,
) -> Result<Vec<Answer>, Error> {
    let mut statements = Vec::with_capacity(calls.len());
    for call in calls {
        statements.push(run::prepare(connection, call.known, Standing::Idle).await?);
    }
    let rows_wanted = calls.iter().any(|call| call.want == Want::Rows);
    // COMMIT with the mark in front of it, where nothing has to be read before it.
    let commit =
        (!rows_wanted).then(|| mark.map_or("COMMIT".into(), |mark| [mark, "; COMMIT"].concat()));
    let results = pipeline(
        connection,
        tenant,
        calls,
        &statements,
        config,
        commit.as_deref(),
    )
    .await;
    if results.as_ref().is_err_and(Halt::is_stale) {
        calls
            .iter()
            .for_each(|call| connection.forget_statement(&call.known.prepared));
    }
    if !rows_wanted {
        return results.map_err(Halt::while_committing);
    }
    let answers = results?;
    transaction::commit(connection, mark).await?;
    Ok(answers)
}

async fn pipeline(
    connection: &mut Connection,
    tenant: &Tenant,
    calls: &[Ready<'_>],
    statements: &[Statement],
    config: &Config,
    commit: Option<&str>,
) -> Result<Vec<Answer>, Halt> {
    let nobody = Tenant::nobody();
    let clear = (!connection.carries(&nobody)).then(|| nobody.set());
    let local = tenant.set_local();
    let client = connection.client();
    connection.mark();
    connection.forget_tenant();
    let mut steps = Vec::with_capacity(calls.len() + 3);
    let begin = transaction::text(Isolation::ReadCommitted);
    steps.push(simple(&client, begin));
    steps.push(simple(&client, &local));
    for (call, statement) in calls.iter().zip(statements) {
        steps.push(statement_step(&client, statement, call, config));
    }
    if let Some(commit) = commit {
        steps.push(simple(&client, commit));
    }
    let mut cleared = clear.as_deref().map(|text| simple(&client, text));
    let results = in_order(&mut cleared, steps).await;
    let cleared = cleared.is_none_or(|step| matches!(take(step), Some(Ok(_))));
    if results
        .iter()
        .all(|result| result.as_ref().err().is_none_or(Halt::is_answer))
    {
        connection.unmark(Standing::InTransaction);
    }
    let answers = check(results)?;
    if commit.is_some() {
        connection.unmark(Standing::Idle);
    }
    if cleared {
        connection.remember_tenant(&nobody);
    }
    Ok(answers)
}

fn simple<'a>(client: &'a Client, text: &'a str) -> Step<'a> {
    let sent = async move { Ok(client.batch_execute(text).await.map(|()| Done::Setting)?) };
    Box::pin(maybe_done(Box::pin(sent)))
}

fn statement_step<'a>(
    client: &'a Client,
    statement: &'a Statement,
    call: &'a Ready<'_>,
    config: &'a Config,
) -> Step<'a> {
    let sent = async move {
        run::send(client, statement, call, config)
            .await
            .map(Done::Answer)
    };
    Box::pin(maybe_done(Box::pin(sent)))
}

/// Polls the steps in their order, for the first poll is what sends, until all
/// are done.
async fn in_order<'a>(
    first: &mut Option<Step<'a>>,
    mut steps: Vec<Step<'a>>,
) -> Vec<Result<Done, Halt>> {
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

fn take(mut step: Step<'_>) -> Option<Result<Done, Halt>> {
    step.as_mut().take_output()
}

/// All answers, or what went wrong. An error that Postgres answered is the cause
/// of everything behind it, and proves that nothing was committed; so it is told
/// rather than a connection lost later.
fn check(results: Vec<Result<Done, Halt>>) -> Result<Vec<Answer>, Halt> {
    let mut answers = Vec::with_capacity(results.len());
    let mut lost = None;
    for result in results {
        match result {
            Ok(Done::Setting) => {}
            Ok(Done::Answer(answer)) => answers.push(answer),
            Err(halt) if halt.is_answer() => return Err(halt),
            Err(halt) => {
                lost.get_or_insert(halt);
            }
        }
    }
    lost.map_or(Ok(answers), Err)
}
