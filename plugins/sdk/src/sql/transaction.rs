//! Transactions by closure.

use std::cell::Cell;

use super::connection::{Connection, Database};
use super::error::Error;
use super::output::Rows;
use super::value::Value;
use crate::bindings::imports::hearth::plugin::sql as wire;
use crate::queue::Message;

pub use crate::bindings::imports::hearth::plugin::sql::Isolation;

/// How often a closure runs at most when other transactions come first.
const ATTEMPTS_MAX: u32 = 3;

/// A transaction, while its closure runs. One may be open at a time. After an
/// error every further statement of it fails, so hand the error on with `?`.
pub struct Transaction {
    inner: wire::Transaction,
    conflicted: Cell<bool>,
}

impl Transaction {
    /// Sends a message if, and only if, the transaction commits (the outbox).
    /// Answers its id.
    pub fn enqueue(&self, queue: &str, message: Message) -> Result<String, Error> {
        self.inner
            .enqueue(queue, &message.into_host())
            .map_err(|error| self.failed(error))
    }

    fn begin(isolation: Isolation) -> Result<Self, Error> {
        crate::host::require_postgres();
        let inner = wire::Transaction::begin(isolation)?;
        Ok(Transaction {
            inner,
            conflicted: Cell::new(false),
        })
    }

    /// Remembers a conflict, which the closure may have turned into an error of
    /// its own.
    fn failed(&self, error: wire::Error) -> Error {
        let error = Error::from(error);
        self.conflicted
            .set(self.conflicted.get() || error == Error::SerializationConflict);
        error
    }
}

impl Connection for Transaction {
    fn query(&self, text: &str, parameters: &[Value]) -> Result<Rows, Error> {
        let answer = self.inner.query(text, parameters);
        Ok(answer.map_err(|error| self.failed(error))?.rows)
    }

    fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.inner
            .execute(text, parameters)
            .map_err(|error| self.failed(error))
    }
}

impl Database {
    /// Runs a closure in a transaction: `Ok` commits, `Err` rolls back, a panic
    /// too. Only an `Ok` of this function says that the change is durable.
    ///
    /// Where another transaction came first (a serialization failure or a
    /// deadlock, in a statement or in the commit) the closure runs again from
    /// its beginning, at most three times in all and only while more than half
    /// of the time to the deadline is left. So it must do nothing outside the
    /// transaction that may not be done twice.
    ///
    /// ```no_run
    /// use hearth_plugin::prelude::*;
    /// sql! {
    ///     write fn rename(id: &str, name: &str) -> u64 =
    ///         "UPDATE accounts SET name = $2 WHERE id = $1";
    /// }
    /// fn change(request: &Request, id: String) -> Answer {
    ///     request.database().transaction(Isolation::ReadCommitted, |tx| {
    ///         match rename(tx, &id, "new")? {
    ///             1 => Ok(Response::no_content()),
    ///             _ => Err(Problem::not_found()),
    ///         }
    ///     })
    /// }
    /// # fn main() {}
    /// ```
    pub fn transaction<T, E: From<Error>>(
        &self,
        isolation: Isolation,
        mut run: impl FnMut(&Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let transaction = Transaction::begin(isolation)?;
            let answer = run(&transaction);
            let again = attempt < ATTEMPTS_MAX && self.deadline().is_far();
            attempt += 1;
            match end(transaction, answer.is_ok()) {
                End::Conflict if again => {}
                End::Conflict => return answer.and(Err(Error::SerializationConflict.into())),
                End::Failed(error) => return Err(error.into()),
                End::Done => return answer,
            }
        }
    }
}

/// How a transaction ended.
enum End {
    /// Committed, or rolled back as the closure wished.
    Done,
    /// Rolled back, since another transaction came first.
    Conflict,
    /// The commit failed.
    Failed(Error),
}

fn end(transaction: Transaction, commit: bool) -> End {
    let Transaction { inner, conflicted } = transaction;
    if !commit {
        // Whether it rolls back now or when the host drops it is all the same.
        let _ = wire::Transaction::rollback(inner);
        return if conflicted.get() {
            End::Conflict
        } else {
            End::Done
        };
    }
    match wire::Transaction::commit(inner).map_err(Error::from) {
        Ok(()) => End::Done,
        Err(Error::SerializationConflict) => End::Conflict,
        Err(_) if conflicted.get() => End::Conflict,
        Err(error) => End::Failed(error),
    }
}
