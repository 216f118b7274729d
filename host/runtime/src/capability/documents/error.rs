//! Why a document was not read or written.

use hearth_backend::dynamodb::DynamoError;
use hearth_backend::dynamodb::writer::WriteError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The guest's.
    #[error("the item is too large")]
    TooLarge,
    /// Nobody's.
    #[error("the condition was not met")]
    ConditionFailed,
    /// A write may have happened all the same.
    #[error("the deadline passed")]
    Deadline,
    /// The backend's: why, for the operator alone. A write may have happened all the same.
    #[error("documents are unavailable: {0}")]
    Unavailable(String),
    /// The guest's.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// As traces call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Error::TooLarge => "too_large",
            Error::ConditionFailed => "condition_failed",
            Error::Deadline => "deadline_exceeded",
            Error::Unavailable(_) => "unavailable",
            Error::Invalid(_) => "invalid",
        }
    }
}

impl From<DynamoError> for Error {
    fn from(failure: DynamoError) -> Error {
        match failure {
            DynamoError::ConditionFailed => Error::ConditionFailed,
            DynamoError::Invalid(reason) => refused(reason),
            DynamoError::Throttled(_) | DynamoError::Away(_) => {
                tracing::debug!(%failure, "documents are unavailable for a call");
                Error::Unavailable(failure.to_string())
            }
            DynamoError::Denied(_) => {
                tracing::error!(%failure, "documents are unavailable: DynamoDB denied this host access");
                Error::Unavailable(failure.to_string())
            }
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Error {
        match error {
            WriteError::Deadline => Error::Deadline,
            WriteError::Full | WriteError::Unavailable(_) => {
                tracing::debug!(%error, "a document could not be written");
                Error::Unavailable(error.to_string())
            }
            WriteError::Invalid(reason) => refused(reason),
        }
    }
}

/// DynamoDB has one code for all that is wrong with a request. Sizes are checked
/// before; what an update makes of an item only DynamoDB knows.
fn refused(reason: String) -> Error {
    let too_large = ["Item size has exceeded", "Item size to update has exceeded"];
    match too_large.iter().any(|text| reason.contains(text)) {
        true => Error::TooLarge,
        false => Error::Invalid(reason),
    }
}
