//! Errors of statements.

use crate::bindings::imports::hearth::plugin::sql as wire;
use crate::problem::Problem;

/// Why a statement had no effect. As a problem (`?` in a handler) it is 503 with
/// Retry-After if Postgres is unavailable, a queue is full or other transactions kept
/// coming first, 504 past the deadline, 409 for a unique key, and otherwise 500: the
/// plugin knows best what a violated constraint means to a client, and should say it
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A unique or primary key; the constraint's name.
    UniqueViolation(String),
    /// A foreign key; the constraint's name.
    ForeignKeyViolation(String),
    /// A check constraint or NOT NULL; the name of the constraint or column.
    CheckViolation(String),
    /// Another transaction came first.
    SerializationConflict,
    /// The request's deadline, or the statement's own limit, passed first.
    DeadlineExceeded,
    /// More rows or bytes than the limits allow, or more memory or temporary files than
    /// Postgres gives one statement.
    TooLarge,
    /// Postgres is unavailable or all connections are in use.
    Unavailable,
    /// This queue has no room for a message. Nothing had an effect; without the
    /// message it would.
    QueueFull(String),
    /// The text was not declared, or it is not for this use of it.
    Denied(String),
    /// A value that Postgres refuses.
    Invalid(String),
    /// The connection was lost while Postgres was committing: the effect may or
    /// may not be there.
    OutcomeUnknown,
    /// The statement declares one row, or at most one, and answered so many.
    RowCount(usize),
    /// The host answered something else than the statement declares.
    Unexpected,
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::UniqueViolation(name) => Error::UniqueViolation(name),
            wire::Error::ForeignKeyViolation(name) => Error::ForeignKeyViolation(name),
            wire::Error::CheckViolation(name) => Error::CheckViolation(name),
            wire::Error::SerializationConflict => Error::SerializationConflict,
            wire::Error::DeadlineExceeded => Error::DeadlineExceeded,
            wire::Error::TooLarge => Error::TooLarge,
            wire::Error::Unavailable => Error::Unavailable,
            wire::Error::QueueFull(queue) => Error::QueueFull(queue),
            wire::Error::Denied(reason) => Error::Denied(reason),
            wire::Error::Invalid(reason) => Error::Invalid(reason),
            wire::Error::OutcomeUnknown => Error::OutcomeUnknown,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable => Problem::new(503, "unavailable", "Database unavailable")
                .detail("try again in a moment")
                .header("retry-after", "1"),
            Error::QueueFull(_) => Problem::new(503, "queue-full", "Queue full")
                .detail("a queue that this change sends messages to is full; try again in a moment")
                .header("retry-after", "1"),
            Error::SerializationConflict => Problem::new(503, "busy", "Too much contention")
                .detail("others changed the same data at the same time; try again")
                .header("retry-after", "1"),
            Error::DeadlineExceeded => Problem::new(504, "deadline-exceeded", "Deadline exceeded")
                .detail("this took longer than a request may take"),
            Error::UniqueViolation(_) => Problem::new(409, "already-exists", "Already exists"),
            Error::OutcomeUnknown => Problem::new(500, "outcome-unknown", "Outcome unknown")
                .detail("it is unknown whether the change was saved; check before you try again"),
            _ => Problem::internal(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Error::UniqueViolation(_) => "a unique key is violated",
            Error::ForeignKeyViolation(_) => "a foreign key is violated",
            Error::CheckViolation(_) => "a check constraint is violated",
            Error::SerializationConflict => "another transaction came first",
            Error::DeadlineExceeded => "the deadline passed",
            Error::TooLarge => "the statement or its answer is too large",
            Error::Unavailable => "the database is unavailable",
            Error::QueueFull(_) => "a queue is full",
            Error::Denied(_) => "the statement is not allowed",
            Error::Invalid(_) => "a value is invalid",
            Error::OutcomeUnknown => "it is unknown whether the commit succeeded",
            Error::RowCount(_) => "the number of rows is not the declared one",
            Error::Unexpected => "the columns are not the declared ones",
        })
    }
}

impl std::error::Error for Error {}
