//! The errors of statements: what a guest gets, and what only the log has.

use tokio_postgres::error::{DbError, Severity, SqlState};

use hearth_backend::postgres::lease::GivenBack;
use hearth_backend::postgres::plugin::LeaseError;
use hearth_backend::postgres::tenancy::InvalidTenant;
use hearth_backend::postgres::{chain, unavailable};
use hearth_base::telemetry::statements::StatementOutcome;

/// Why a statement had no effect. What a guest hears of it
/// carries no SQL, no value and no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client or the guest: such a row exists. Names the constraint.
    #[error("unique constraint {0}")]
    UniqueViolation(String),
    /// The client or the guest: the row referred to does not exist.
    #[error("foreign key {0}")]
    ForeignKeyViolation(String),
    /// The client or the guest. Names the constraint, or the column of NOT NULL.
    #[error("check {0}")]
    CheckViolation(String),
    /// Nobody: run the whole transaction again.
    #[error("another transaction came first")]
    SerializationConflict,
    /// The guest, mostly: what it asked for takes too long.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The guest: an answer, a parameter, or what Postgres needs for the statement.
    #[error("too many rows or bytes")]
    TooLarge,
    /// The backend, or too many calls at once: why, for the operator alone.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Nobody: its consumers do not keep up. Names the queue.
    #[error("queue {0} is full")]
    QueueFull(String),
    /// The guest.
    #[error("denied: {0}")]
    Denied(String),
    /// The guest.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The backend: the connection was lost while Postgres was committing.
    #[error("it is unknown whether the transaction was committed")]
    OutcomeUnknown,
}

/// Why a statement gave no result, before it is decided what the guest hears.
#[derive(Debug)]
pub(super) enum Halt {
    Postgres(tokio_postgres::Error),
    /// The host stopped reading: the statement still runs.
    Midway(Error),
    /// Nothing was sent.
    Before(Error),
}

impl From<tokio_postgres::Error> for Halt {
    fn from(error: tokio_postgres::Error) -> Halt {
        Halt::Postgres(error)
    }
}

impl Halt {
    /// Whether Postgres answered the statement, and goes on with the session.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Halt::Postgres(error) => error.as_db_error().is_some_and(goes_on),
            Halt::Before(_) => true,
            Halt::Midway(_) => false,
        }
    }

    /// Whether a migration changed a table under what was prepared, or the
    /// prepared statement is gone: preparing it again may mend it.
    pub(super) fn is_stale(&self) -> bool {
        let Halt::Postgres(error) = self else {
            return false;
        };
        error.code().is_some_and(|code| {
            *code == SqlState::FEATURE_NOT_SUPPORTED
                || *code == SqlState::INVALID_SQL_STATEMENT_NAME
                || code.code().starts_with("42")
        })
    }

    /// What it is counted as.
    pub(super) fn outcome(&self) -> StatementOutcome {
        match self {
            Halt::Postgres(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                StatementOutcome::LockTimeout
            }
            Halt::Postgres(error) => from_postgres(error).outcome(),
            Halt::Midway(error) | Halt::Before(error) => error.outcome(),
        }
    }

    /// Why Postgres is unavailable, where it is.
    pub(super) fn away(&self) -> Option<String> {
        let reason = |error: &Error| match error {
            Error::Unavailable(reason) => Some(reason.clone()),
            _ => None,
        };
        match self {
            Halt::Postgres(error) => reason(&from_postgres(error)),
            Halt::Midway(error) | Halt::Before(error) => reason(error),
        }
    }

    /// What the guest hears where the statement was committing by itself: without
    /// an answer nobody knows whether it did.
    pub(super) fn while_committing(self) -> Error {
        match &self {
            Halt::Postgres(error) if !self.is_answer() && unavailable(error) => {
                Error::OutcomeUnknown
            }
            _ => self.into(),
        }
    }
}

impl Error {
    fn outcome(&self) -> StatementOutcome {
        match self {
            Error::UniqueViolation(_) => StatementOutcome::UniqueViolation,
            Error::ForeignKeyViolation(_) => StatementOutcome::ForeignKeyViolation,
            Error::CheckViolation(_) => StatementOutcome::CheckViolation,
            Error::SerializationConflict => StatementOutcome::SerializationConflict,
            Error::DeadlineExceeded => StatementOutcome::DeadlineExceeded,
            Error::TooLarge => StatementOutcome::TooLarge,
            Error::Unavailable(_) | Error::QueueFull(_) | Error::OutcomeUnknown => {
                StatementOutcome::Unavailable
            }
            Error::Denied(_) => StatementOutcome::Denied,
            Error::Invalid(_) => StatementOutcome::Invalid,
        }
    }
}

/// A fatal error ends the session: it says nothing of the statement.
fn goes_on(error: &DbError) -> bool {
    !matches!(
        error.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    )
}

impl From<Halt> for Error {
    fn from(halt: Halt) -> Error {
        match halt {
            Halt::Postgres(error) => {
                if let Some(db) = error.as_db_error() {
                    tell(db);
                }
                from_postgres(&error)
            }
            Halt::Midway(error) | Halt::Before(error) => error,
        }
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Error {
        Error::Unavailable(error.to_string())
    }
}

impl From<GivenBack> for Error {
    fn from(error: GivenBack) -> Error {
        Error::Unavailable(error.to_string())
    }
}

impl From<InvalidTenant> for Error {
    fn from(_: InvalidTenant) -> Error {
        Error::Denied("the customer's id is invalid".into())
    }
}

fn from_postgres(error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return from_answer(db);
    }
    if unavailable(error) {
        return Error::Unavailable(chain(error));
    }
    // The driver could not encode a parameter: a migration changed its type.
    Error::Invalid("a parameter does not fit what Postgres expects now".into())
}

fn from_answer(db: &DbError) -> Error {
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    match *db.code() {
        SqlState::UNIQUE_VIOLATION => Error::UniqueViolation(constraint()),
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => {
            Error::ForeignKeyViolation(constraint())
        }
        SqlState::CHECK_VIOLATION | SqlState::EXCLUSION_VIOLATION => {
            Error::CheckViolation(constraint())
        }
        SqlState::NOT_NULL_VIOLATION => {
            Error::CheckViolation(db.column().unwrap_or_default().to_owned())
        }
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            Error::SerializationConflict
        }
        SqlState::QUERY_CANCELED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Error::DeadlineExceeded,
        SqlState::INSUFFICIENT_PRIVILEGE => {
            Error::Denied("the row or table does not belong to the caller".into())
        }
        SqlState::READ_ONLY_SQL_TRANSACTION => Error::Unavailable(db.message().to_owned()),
        SqlState::PROGRAM_LIMIT_EXCEEDED => Error::TooLarge,
        _ if is_exhausted(db) => Error::TooLarge,
        SqlState::IN_FAILED_SQL_TRANSACTION => Error::Invalid("the transaction has failed".into()),
        // Migration 0003: hearth.apply_claim.
        ref code if code.code() == "HE001" => Error::Denied(
            "the request's Idempotency-Key has expired, and another request has taken it over"
                .into(),
        ),
        _ => by_class(db),
    }
}

/// Whether the statement alone took more memory, or larger temporary files, than it may.
/// Where the room is used up that all sessions have together, as that for locks is,
/// another one may be to blame.
fn is_exhausted(db: &DbError) -> bool {
    let codes = [
        SqlState::OUT_OF_MEMORY,
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
    ];
    codes.contains(db.code()) && !db.message().contains("shared memory")
}

/// Postgres's messages may quote values, so only the code goes to the guest.
fn by_class(db: &DbError) -> Error {
    let code = db.code().code();
    match class(code) {
        "22" => Error::Invalid(format!("Postgres rejected a value (SQLSTATE {code})")),
        "08" | "53" | "57" | "58" => {
            Error::Unavailable(format!("{} (SQLSTATE {code})", db.message()))
        }
        "XX" => Error::Unavailable(format!("an internal error of Postgres (SQLSTATE {code})")),
        _ => Error::Invalid(format!("Postgres rejected the statement (SQLSTATE {code})")),
    }
}

fn class(code: &str) -> &str {
    code.get(..2).unwrap_or_default()
}

/// What the operator's log has of an answer. That Postgres is unavailable the log has
/// from the
/// watch.
fn tell(db: &DbError) {
    let (code, message) = (db.code().code(), db.message());
    if is_exhausted(db) {
        tracing::warn!(
            code,
            message,
            "a plugin's statement needed more memory or disk than Postgres allows \
             (database.embedded, or the server's own limits)"
        );
    } else if class(code) == "XX" {
        tracing::warn!(code, message, "an internal error of Postgres");
    } else {
        tracing::debug!(code, message, "Postgres rejected a plugin's statement");
    }
}
