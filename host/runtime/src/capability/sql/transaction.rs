//! A transaction that a guest holds.
//!
//! It has a connection of its own until it ends. After the first error it is
//! over: the connection goes back at once, every further statement answers the
//! same error, and so does `commit`.

use std::sync::Arc;

use futures_util::future::join;
use tokio_postgres::Statement;

use super::enqueue::{self, Message};
use super::error::Halt;
use super::pipeline;
use super::run::{self, Ready, StatementResult};
use super::statement::AccessMode;
use super::usage::{Relay, Usage};
use super::{Config, Error, Isolation};
use hearth_backend::postgres::connection::{Connection, SessionState};
use hearth_backend::postgres::lease::PooledConnection;
use hearth_backend::postgres::tenancy::Tenant;
use hearth_base::telemetry::{Span, SpanKind, TraceScope};

/// The guest's handle. What it stands for is in the call's state, where there is
/// room for one.
#[derive(Debug, PartialEq, Eq)]
pub struct Transaction {
    pub(super) number: u64,
}

/// An open transaction. Dropped, it is rolled back and its connection returns
/// clean.
pub(super) struct OpenTransaction {
    pub(super) number: u64,
    state: Result<PooledConnection, Error>,
    /// Whether a statement was run in it that may write.
    wrote: bool,
    /// What it sends when it commits, and has not told Postgres yet.
    waiting: Vec<Message>,
    /// The queue of each message.
    queues: Vec<Arc<str>>,
    /// Of all messages.
    message_bytes: usize,
    /// From BEGIN to its end.
    span: Span,
}

impl OpenTransaction {
    /// Begins on a connection of its own. The customer's setting travels with
    /// BEGIN, in front of it, and both are answered before any statement.
    pub(super) async fn begin(
        mut lease: PooledConnection,
        tenant: &Tenant,
        isolation: Isolation,
        number: u64,
        span: Span,
    ) -> Result<OpenTransaction, Error> {
        let connection = lease.connection()?;
        connection.mark();
        begin(connection, tenant, isolation).await?;
        connection.unmark(SessionState::InTransaction);
        Ok(OpenTransaction {
            number,
            state: Ok(lease),
            wrote: false,
            waiting: Vec::new(),
            queues: Vec::new(),
            message_bytes: 0,
            span,
        })
    }

    /// Adds a message, and answers its id. It travels with the commit; where its
    /// answer counts, it goes at once and all before it, too.
    pub(super) async fn enqueue(&mut self, message: Message) -> Result<String, Error> {
        let (id, at_once) = (message.entry.id(), message.is_deduplicated());
        self.queues.push(message.entry.message().queue.clone());
        self.message_bytes += message.bytes();
        self.waiting.push(message);
        if !at_once {
            return Ok(id);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let lease = self.state.as_mut().map_err(|error| error.clone())?;
        let connection = lease.connection()?;
        let sent = send(connection, &waiting, None).await;
        let mut answers = sent.map_err(|halt| self.fail(halt.into()))?;
        match answers.pop() {
            Some(StatementResult::Id(id)) => Ok(id),
            _ => Ok(id),
        }
    }

    /// Where its statements belong in a trace.
    pub(super) fn trace(&self) -> TraceScope {
        self.span.scope()
    }

    /// The queues that messages were enqueued for, one for each message.
    pub(super) fn queues(&self) -> &[Arc<str>] {
        &self.queues
    }

    /// How many messages it would have with one of so many bytes more, and their
    /// bytes.
    pub(super) fn with_message(&self, bytes: usize) -> (usize, usize) {
        (self.queues.len() + 1, self.message_bytes + bytes)
    }

    pub(super) async fn run(
        &mut self,
        ready: &Ready<'_>,
        config: &Config,
        usage: &mut Usage<'_>,
    ) -> Result<StatementResult, Error> {
        self.wrote |= ready.known.declared.access == AccessMode::Write;
        let lease = self.state.as_mut().map_err(|error| error.clone())?;
        let result = run::within_transaction(lease.connection()?, ready, config).await;
        usage.ended(&result);
        result.map_err(|halt| self.fail(halt.into()))
    }

    /// Ends the transaction in failure; its connection is cleaned and returns.
    pub(super) fn fail(&mut self, error: Error) -> Error {
        self.state = Err(error.clone());
        error
    }

    /// Commits, with the mark of a request that is applied only once.
    pub(super) async fn commit(mut self, mark: Option<&str>) -> Result<(), Error> {
        let mut lease = self.state?;
        let mut committing = self.span.scope().span("commit", SpanKind::Client);
        committing.text("db.system.name", "postgresql");
        let committed = commit(lease.connection()?, &self.waiting, mark).await;
        self.span.text("hearth.outcome", outcome(&committed));
        committed
    }

    /// Whether it has an effect: a message is one.
    pub(super) fn wrote(&self) -> bool {
        self.wrote || !self.queues.is_empty()
    }

    /// Whether an error has ended it.
    pub(super) fn failed(&self) -> Option<&Error> {
        self.state.as_ref().err()
    }
}

/// What a trace says of a transaction that was to commit.
pub(super) fn outcome<T>(committed: &Result<T, Error>) -> &'static str {
    match committed {
        Ok(_) => "committed",
        Err(Error::OutcomeUnknown) => "unknown",
        Err(_) => "rolled_back",
    }
}

async fn begin(
    connection: &mut Connection,
    tenant: &Tenant,
    isolation: Isolation,
) -> Result<(), Halt> {
    let client = connection.client();
    let begin = client.batch_execute(text(isolation));
    if connection.carries(tenant) {
        return Ok(begin.await?);
    }
    connection.forget_tenant();
    let setting = tenant.set();
    let (set, begun) = join(client.batch_execute(&setting), begin).await;
    set.map_err(run::prelude_failed)?;
    connection.remember_tenant(tenant);
    Ok(begun?)
}

pub(super) fn text(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    }
}

/// Commits the transaction that the connection is in, with the messages that it
/// sends, in one round trip.
///
/// COMMIT of an aborted transaction rolls back and is answered without an error.
/// A SELECT in front of it fails there, and then COMMIT is not run: an empty one,
/// or the mark of the request.
pub(super) async fn commit(
    connection: &mut Connection,
    messages: &[Message],
    mark: Option<&str>,
) -> Result<(), Error> {
    if connection.is_closed() {
        return Err(Error::Unavailable("the connection was lost".into()));
    }
    let end = [mark.unwrap_or("SELECT"), "; COMMIT"].concat();
    let sent = send(connection, messages, Some(&end)).await;
    sent.map(|_| ()).map_err(Halt::while_committing)
}

async fn prepare(connection: &mut Connection, message: &Message) -> Result<Statement, Halt> {
    enqueue::prepare(connection, message.statement(), SessionState::InTransaction).await
}

/// Sends messages in the transaction that the connection is in, and what ends it. Those
/// with a deduplication id are the last ones: each was sent as soon as it was there.
async fn send(
    connection: &mut Connection,
    messages: &[Message],
    end: Option<&str>,
) -> Result<Vec<StatementResult>, Halt> {
    let (alone, together): (Vec<_>, Vec<_>) = messages
        .iter()
        .partition(|message| message.is_deduplicated());
    let mut statements = Vec::with_capacity(2);
    for kind in [&together, &alone] {
        statements.push(match kind.first() {
            Some(message) => Some(prepare(connection, message).await?),
            None => None,
        });
    }
    let (client, relay) = (connection.client(), Relay::default());
    connection.mark();
    let mut steps = Vec::with_capacity(alone.len() + 2);
    if let Some(Some(statement)) = statements.first() {
        steps.push(pipeline::messages(&client, statement, &together, &relay));
    }
    if let Some(Some(statement)) = statements.get(1) {
        let alone = alone.iter();
        steps.extend(alone.map(|message| pipeline::message(&client, statement, message, &relay)));
    }
    if let Some(end) = end {
        steps.push(pipeline::simple(&client, end));
    }
    let results = pipeline::in_order(&mut None, steps).await;
    if pipeline::all_answered(&results) {
        connection.unmark(SessionState::InTransaction);
    }
    let answers = pipeline::check(results)?;
    if end.is_some() {
        connection.unmark(SessionState::Idle);
    }
    Ok(answers)
}
