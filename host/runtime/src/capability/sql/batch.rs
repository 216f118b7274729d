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
//!
//! Messages are one statement together, wherever they are among the others.

use tokio_postgres::Statement;

use super::enqueue::{self, Message};
use super::error::Halt;
use super::pipeline::{self, Step};
use super::run::{self, Ready, StatementResult, Want};
use super::usage::Relay;
use super::{Config, Error, Isolation, transaction};
use hearth_backend::postgres::connection::{Connection, SessionState};
use hearth_backend::postgres::tenancy::Tenant;

/// One step of a batch, checked and ready to be sent.
pub(super) enum BatchItem<'a> {
    Statement(Ready<'a>),
    Enqueue(Box<Message>),
}

impl BatchItem<'_> {
    fn wants_rows(&self) -> bool {
        matches!(self, BatchItem::Statement(ready) if ready.want == Want::Rows)
    }

    async fn prepare(&self, connection: &mut Connection) -> Result<Statement, Halt> {
        match self {
            BatchItem::Statement(ready) => {
                run::prepare(connection, ready.known, SessionState::Idle).await
            }
            BatchItem::Enqueue(message) => {
                enqueue::prepare(connection, message.statement(), SessionState::Idle).await
            }
        }
    }

    fn step<'s>(
        &'s self,
        client: &'s tokio_postgres::Client,
        statement: &'s Statement,
        config: &'s Config,
        relay: &'s Relay<'_>,
    ) -> Step<'s> {
        match self {
            BatchItem::Statement(ready) => {
                pipeline::statement(client, statement, ready, config, relay)
            }
            BatchItem::Enqueue(message) => pipeline::message(client, statement, message, relay),
        }
    }

    /// A message that can be sent with others.
    fn plain_message(&self) -> Option<&Message> {
        match self {
            BatchItem::Enqueue(message) if !message.is_deduplicated() => Some(message),
            _ => None,
        }
    }

    fn forget(&self, connection: &Connection) {
        if let BatchItem::Statement(ready) = self {
            connection.forget_statement(&ready.known.prepared);
        }
    }
}

/// Runs all of them, or none.
pub(super) async fn run(
    connection: &mut Connection,
    tenant: &Tenant,
    calls: &[BatchItem<'_>],
    config: &Config,
    mark: Option<&str>,
    relay: &Relay<'_>,
) -> Result<Vec<StatementResult>, Error> {
    let statements = prepare(connection, calls, relay).await?;
    let rows_wanted = calls.iter().any(BatchItem::wants_rows);
    // COMMIT with the mark in front of it, where nothing has to be read before it.
    let commit =
        (!rows_wanted).then(|| mark.map_or("COMMIT".into(), |mark| [mark, "; COMMIT"].concat()));
    let results = send(
        connection,
        tenant,
        calls,
        &statements,
        config,
        commit.as_deref(),
        relay,
    )
    .await;
    if results.as_ref().is_err_and(Halt::is_stale) {
        calls.iter().for_each(|call| call.forget(connection));
    }
    if !rows_wanted {
        return results.map_err(Halt::while_committing);
    }
    let answers = results?;
    transaction::commit(connection, &[], mark).await?;
    Ok(answers)
}

async fn prepare(
    connection: &mut Connection,
    calls: &[BatchItem<'_>],
    relay: &Relay<'_>,
) -> Result<Vec<Statement>, Halt> {
    let mut prepared = Vec::with_capacity(calls.len());
    let mut number = 0;
    for call in calls {
        let BatchItem::Statement(_) = call else {
            prepared.push(call.prepare(connection).await?);
            continue;
        };
        relay.begin(number);
        let statement = call.prepare(connection).await;
        relay.prepared(number, &statement);
        prepared.push(statement?);
        number += 1;
    }
    Ok(prepared)
}

/// What one statement does: a call, or the messages of several.
struct BatchPart<'c> {
    /// The call whose prepared statement it is.
    number: usize,
    messages: Vec<&'c Message>,
}

/// Messages wait for those behind them; one with a deduplication id goes by itself, and
/// they go before it.
fn parts<'c>(calls: &'c [BatchItem<'_>]) -> Vec<BatchPart<'c>> {
    let mut parts = Vec::with_capacity(calls.len());
    let mut waiting: Option<BatchPart<'c>> = None;
    for (number, call) in calls.iter().enumerate() {
        let messages = Vec::new();
        let Some(message) = call.plain_message() else {
            if matches!(call, BatchItem::Enqueue(_)) {
                parts.extend(waiting.take());
            }
            parts.push(BatchPart { number, messages });
            continue;
        };
        let part = waiting.get_or_insert(BatchPart { number, messages });
        part.messages.push(message);
    }
    parts.extend(waiting);
    parts
}

/// An answer for each call: a message that was sent with others has its own id.
fn in_order(calls: &[BatchItem<'_>], answers: Vec<StatementResult>) -> Vec<StatementResult> {
    let mut answers = answers.into_iter();
    let answer = |call: &BatchItem<'_>| match call.plain_message() {
        Some(message) => Some(StatementResult::Id(message.entry.id())),
        None => answers.next(),
    };
    calls.iter().filter_map(answer).collect()
}

async fn send(
    connection: &mut Connection,
    tenant: &Tenant,
    calls: &[BatchItem<'_>],
    statements: &[Statement],
    config: &Config,
    commit: Option<&str>,
    relay: &Relay<'_>,
) -> Result<Vec<StatementResult>, Halt> {
    let nobody = Tenant::nobody();
    let clear = (!connection.carries(&nobody)).then(|| nobody.set());
    let local = tenant.set_local();
    let parts = parts(calls);
    let client = connection.client();
    connection.mark();
    connection.forget_tenant();
    let mut steps = Vec::with_capacity(calls.len() + 3);
    let begin = transaction::text(Isolation::ReadCommitted);
    steps.push(pipeline::simple(&client, begin));
    steps.push(pipeline::simple(&client, &local));
    for part in &parts {
        let both = calls.get(part.number).zip(statements.get(part.number));
        steps.extend(
            both.map(|(call, statement)| match part.messages.is_empty() {
                true => call.step(&client, statement, config, relay),
                false => pipeline::messages(&client, statement, &part.messages, relay),
            }),
        );
    }
    if let Some(commit) = commit {
        steps.push(pipeline::simple(&client, commit));
    }
    let mut cleared = clear.as_deref().map(|text| pipeline::simple(&client, text));
    relay.passed();
    let results = pipeline::in_order(&mut cleared, steps).await;
    let cleared = cleared.is_none_or(|step| matches!(pipeline::take(step), Some(Ok(_))));
    if pipeline::all_answered(&results) {
        connection.unmark(SessionState::InTransaction);
    }
    let answers = pipeline::check(results)?;
    if commit.is_some() {
        connection.unmark(SessionState::Idle);
    }
    if cleared {
        connection.remember_tenant(&nobody);
    }
    Ok(in_order(calls, answers))
}
