//! Running one declared statement on a connection.

use std::future::Future;
use std::pin::pin;

use futures_util::TryStreamExt;
use futures_util::future::join;
use tokio_postgres::{Client, Row, Statement};

use super::describe;
use super::error::Halt;
use super::lent::KnownStatement;
use super::statement::AccessMode;
use super::value::{Cell, Param};
use super::{Config, Error, RowSet, Value};
use hearth_backend::postgres::chain;
use hearth_backend::postgres::connection::{Connection, SessionState};
use hearth_backend::postgres::tenancy::Tenant;

/// What a call wants to know of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Rows,
    Count,
}

/// What it was told.
#[derive(Debug)]
pub(super) enum StatementResult {
    Rows(RowSet),
    Count(u64),
    /// Of a message.
    Id(String),
}

/// A declared statement with its parameters, checked and ready to be sent.
pub(super) struct Ready<'a> {
    pub known: &'a KnownStatement,
    pub params: Vec<Param>,
    pub want: Want,
}

/// Runs a statement outside a transaction, so in one of its own.
pub(super) async fn alone(
    connection: &mut Connection,
    tenant: &Tenant,
    ready: &Ready<'_>,
    config: &Config,
) -> Result<StatementResult, Halt> {
    let statement = prepare(connection, ready.known, SessionState::Idle).await?;
    let access = ready.known.declared.access;
    let client = connection.client();
    let work = send(&client, &statement, ready, config);
    connection.mark();
    let result = as_tenant(connection, tenant, access, work).await;
    settle(connection, ready.known, SessionState::Idle, &result);
    result
}

/// Runs a statement in the transaction that the connection is in.
pub(super) async fn within_transaction(
    connection: &mut Connection,
    ready: &Ready<'_>,
    config: &Config,
) -> Result<StatementResult, Halt> {
    let statement = prepare(connection, ready.known, SessionState::InTransaction).await?;
    let client = connection.client();
    connection.mark();
    let result = send(&client, &statement, ready, config).await;
    settle(
        connection,
        ready.known,
        SessionState::InTransaction,
        &result,
    );
    result
}

/// The caller's customer first, then the work.
///
/// Each message of the driver ends in its own Sync: a setting that fails does not
/// stop the statement behind it. So a read may travel with the setting, and its
/// rows, perhaps another tenant's, are dropped here if the setting failed. A
/// write is not sent before the setting has been answered.
async fn as_tenant<T>(
    connection: &mut Connection,
    tenant: &Tenant,
    access: AccessMode,
    work: impl Future<Output = Result<T, Halt>>,
) -> Result<T, Halt> {
    if connection.carries(tenant) {
        return work.await;
    }
    connection.forget_tenant();
    let client = connection.client();
    let text = tenant.set();
    let setting = client.batch_execute(&text);
    match access {
        AccessMode::Read => {
            let (set, result) = join(setting, work).await;
            set.map_err(prelude_failed)?;
            connection.remember_tenant(tenant);
            result
        }
        AccessMode::Write => {
            setting.await.map_err(prelude_failed)?;
            connection.remember_tenant(tenant);
            work.await
        }
    }
}

/// Not an answer to the statement: the connection is cleaned before it is used
/// again.
pub(super) fn prelude_failed(error: tokio_postgres::Error) -> Halt {
    Halt::Midway(Error::Unavailable(format!(
        "the customer could not be set in the database session: {}",
        chain(&error)
    )))
}

/// After the answer: the mark goes where nothing is left running.
fn settle<T>(
    connection: &mut Connection,
    known: &KnownStatement,
    standing: SessionState,
    result: &Result<T, Halt>,
) {
    match result {
        Ok(_) => connection.unmark(standing),
        Err(halt) if halt.is_answer() => {
            connection.unmark(standing);
            if halt.is_stale() {
                connection.forget_statement(&known.prepared);
            }
        }
        Err(_) => {}
    }
}

/// What the connection has prepared of the statement; it is prepared the first
/// time, and its types are compared with the declared ones again, for another
/// deployment's migration may have changed them since this one was checked.
pub(super) async fn prepare(
    connection: &mut Connection,
    known: &KnownStatement,
    standing: SessionState,
) -> Result<Statement, Halt> {
    if let Some(statement) = connection.statement(&known.prepared) {
        return Ok(statement);
    }
    connection.mark();
    let prepared = connection
        .client()
        .prepare(&known.prepared.text)
        .await
        .map_err(Halt::Postgres);
    if prepared.as_ref().err().is_none_or(Halt::is_answer) {
        connection.unmark(standing);
    }
    let statement = prepared?;
    if !describe::differences(&known.declared, &statement).is_empty() {
        let reason = "the schema changed since the statement was declared";
        return Err(Halt::Before(Error::Invalid(reason.into())));
    }
    connection.keep_statement(&known.prepared, statement.clone());
    Ok(statement)
}

/// Sends the statement when first polled and reads its answer to the end.
pub(super) async fn send(
    client: &Client,
    statement: &Statement,
    ready: &Ready<'_>,
    config: &Config,
) -> Result<StatementResult, Halt> {
    let rows = client.query_raw(statement, ready.params.iter()).await?;
    let mut rows = pin!(rows);
    if ready.want == Want::Count {
        while rows.try_next().await?.is_some() {}
        return Ok(StatementResult::Count(rows.rows_affected().unwrap_or(0)));
    }
    let mut read = Reading::new(config);
    while let Some(row) = rows.try_next().await? {
        read.add(&row).map_err(Halt::Midway)?;
    }
    let columns = ready
        .known
        .declared
        .columns
        .iter()
        .map(|column| column.name.clone());
    Ok(StatementResult::Rows(RowSet {
        columns: columns.collect(),
        rows: read.rows,
    }))
}

/// Rows within the limits: they are counted as they come, not once they are all
/// in memory.
struct Reading<'a> {
    config: &'a Config,
    rows: Vec<Vec<Value>>,
    bytes: u64,
}

impl<'a> Reading<'a> {
    fn new(config: &'a Config) -> Reading<'a> {
        Reading {
            config,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    fn add(&mut self, row: &Row) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(row.raw_size_bytes() as u64);
        let rows = self.rows.len() as u64;
        if rows >= self.config.rows_max || self.bytes > self.config.result_bytes_max {
            return Err(Error::TooLarge);
        }
        let cells = (0..row.len()).map(|index| cell(row, index));
        self.rows.push(cells.collect::<Result<_, _>>()?);
        Ok(())
    }
}

fn cell(row: &Row, index: usize) -> Result<Value, Error> {
    row.try_get::<_, Cell>(index)
        .map(|cell| cell.0)
        .map_err(|_| {
            let message = "contains a value of an unsupported form, such as an array with NULL in \
                           it";
            Error::Invalid(format!("column {} {message}", index + 1))
        })
}
