//! What a failed operation means, whichever it was.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_types::error::metadata::ErrorMetadata;

/// Why an operation was not done, or why nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// DynamoDB did not do it and says to come again later.
    #[error("DynamoDB throttles: {0}")]
    Throttled(String),
    /// It did not answer, or not with an answer: the operation may have been done.
    #[error("DynamoDB is away: {0}")]
    Away(String),
    /// The condition of a write did not hold.
    #[error("the condition did not hold")]
    ConditionFailed,
    /// DynamoDB did not do it and would not do the same the next time.
    #[error("DynamoDB refuses: {0}")]
    Invalid(String),
    /// The operator is to blame: credentials, permissions, a table that is gone.
    #[error("DynamoDB refuses this host: {0}")]
    Denied(String),
}

impl Failure {
    /// Whether the same may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Failure::Throttled(_) | Failure::Away(_))
    }
}

/// Tells one failure from the other.
pub fn failure<E, R>(error: &SdkError<E, R>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(context) => of_service(context.err().meta()),
        // Nothing was sent: there were no credentials, or none that worked.
        SdkError::ConstructionFailure(_) => Failure::Denied(text(error)),
        _ => Failure::Away(text(error)),
    }
}

/// The codes of the DynamoDB API reference, "Error handling". What is not known
/// counts as an answer of a server that is in trouble.
fn of_service(meta: &ErrorMetadata) -> Failure {
    let code = meta.code().unwrap_or_default();
    let said = meta.message().unwrap_or_default();
    let text = format!("{code}: {said}");
    match code {
        "ProvisionedThroughputExceededException"
        | "ProvisionedThroughputExceeded"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "TransactionConflictException"
        | "ReplicatedWriteConflictException" => Failure::Throttled(text),
        "ConditionalCheckFailedException" => Failure::ConditionFailed,
        "ValidationException"
        | "ItemCollectionSizeLimitExceededException"
        | "SerializationException" => Failure::Invalid(match said {
            "" => code.to_owned(),
            said => said.to_owned(),
        }),
        "AccessDeniedException"
        | "ResourceNotFoundException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "OptInRequired" => Failure::Denied(text),
        _ => Failure::Away(text),
    }
}

fn text<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    DisplayErrorContext(error).to_string()
}
