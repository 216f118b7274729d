//! What can go wrong on the way to Postgres, and whether waiting mends it.

use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// Why a Postgres could not be opened or prepared. Meant for the operator: no
/// text names the password, and none of this reaches a client.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operator's mistake.
    #[error("the Postgres URL is not valid: {}", chain(.0.as_ref()))]
    Url(#[source] Box<tokio_postgres::Error>),
    /// The operator's mistake.
    #[error("the limits of [database] contradict each other: {0}")]
    Limits(&'static str),
    /// The file of `tls_root_file` or `sslrootcert`, or the machine's certificate store.
    #[error("TLS for Postgres: {0}")]
    Roots(String),
    /// The server has no TLS, or its certificate does not verify.
    #[error(
        "TLS with Postgres failed: {0}. Name the file of its authority in database.tls_root_file, or in the URL's sslrootcert; or add sslmode=disable to the URL to do without TLS"
    )]
    Tls(String),
    /// It did not answer within `start_ms_max`.
    #[error("Postgres did not answer within {waited_ms} ms: {last}")]
    Away { waited_ms: u128, last: String },
    /// It answered, and the answer was no.
    #[error("Postgres refused the host: {0}")]
    Refused(String),
    #[error("Postgres is of version {found}, and 14 is the oldest that Hearth knows")]
    TooOld { found: String },
    /// Somebody changed a migration after it had run, or another program owns
    /// the schema `hearth`.
    #[error(
        "migration {version} of the schema hearth is not the one that this database was made with"
    )]
    MigrationChanged { version: i32 },
    #[error("migration {version} of the schema hearth failed: {reason}")]
    Migration { version: i32, reason: String },
    #[error("the host's connections to Postgres: {0}")]
    Pool(String),
}

impl From<PoolError> for OpenError {
    fn from(error: PoolError) -> OpenError {
        OpenError::Pool(chain(&error))
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> OpenError {
        OpenError::Refused(chain(&error))
    }
}

/// An error and its causes on one line, for the operator's log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Whether the error means that Postgres, or the way to it, is away for the
/// moment: the request is answered 503, and a later one may succeed. Nothing
/// follows from it on whether the statement took effect.
pub fn unavailable(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        return code_says_unavailable(code);
    }
    let source = std::error::Error::source(error);
    error.is_closed()
        || source.is_some_and(|cause| cause.is::<io::Error>()) && !is_about_values(error)
        || error.to_string() == "timeout waiting for server"
}

/// Classes 08 (connection), 53 (no connection slot, memory or disk), 57P
/// (shutting down, crashed, starting up) and 58 (input or output of the
/// server); and 25006, which a former primary answers after a failover.
fn code_says_unavailable(code: &SqlState) -> bool {
    let text = code.code();
    ["08", "53", "57P", "58"]
        .iter()
        .any(|class| text.starts_with(class))
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// The driver reports what it cannot encode or read by the same type as a
/// broken socket. Its kinds are private, its texts are not.
fn is_about_values(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    [
        "error serializing",
        "error deserializing",
        "error encoding",
        "error parsing",
        "invalid c",
    ]
    .iter()
    .any(|start| text.starts_with(start))
}

/// The driver says so in its text alone.
pub(super) fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string() == "error performing TLS handshake"
}

/// Whether a pool that gave no connection may give one later: always, unless it
/// was closed because the host stops.
pub fn pool_unavailable(error: &PoolError) -> bool {
    !matches!(error, PoolError::Closed | PoolError::NoRuntimeSpecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopping_or_full_server_is_unavailable_and_a_wrong_statement_is_not() {
        for code in ["57P01", "57P03", "53300", "08006", "25006"] {
            assert!(code_says_unavailable(&SqlState::from_code(code)), "{code}");
        }
        for code in ["57014", "23505", "42601", "40001", "28P01", "55P03"] {
            assert!(!code_says_unavailable(&SqlState::from_code(code)), "{code}");
        }
    }
}
