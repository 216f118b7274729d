//! What a failed operation means, whichever it was.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_types::error::metadata::ErrorMetadata;

/// Why an operation was not done, or why nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DynamoError {
    /// DynamoDB did not do it and says to come again later.
    #[error("DynamoDB throttled the request: {0}")]
    Throttled(String),
    /// It did not answer, or not with an answer: the operation may have been done.
    #[error("DynamoDB is unavailable: {0}")]
    Away(String),
    /// The condition of a write did not hold.
    #[error("the condition was not met")]
    ConditionFailed,
    /// DynamoDB did not do it and would not do the same the next time.
    #[error("DynamoDB rejected the request: {0}")]
    Invalid(String),
    /// The operator is to blame: credentials, permissions, a table that is gone.
    #[error("DynamoDB denied this host access: {0}")]
    Denied(String),
}

impl DynamoError {
    /// Whether the same may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, DynamoError::Throttled(_) | DynamoError::Away(_))
    }
}

/// Tells one failure from the other.
pub fn failure<E, R>(error: &SdkError<E, R>) -> DynamoError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(context) => of_service(context.err().meta()),
        // Nothing was sent: there were no credentials, or none that worked.
        SdkError::ConstructionFailure(_) => DynamoError::Denied(text(error)),
        _ => DynamoError::Away(text(error)),
    }
}

/// The codes of the DynamoDB API reference, "Error handling". What is not known
/// counts as an answer of a server that is in trouble.
fn of_service(meta: &ErrorMetadata) -> DynamoError {
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
        | "ReplicatedWriteConflictException" => DynamoError::Throttled(text),
        "ConditionalCheckFailedException" => DynamoError::ConditionFailed,
        "ValidationException"
        | "ItemCollectionSizeLimitExceededException"
        | "SerializationException" => DynamoError::Invalid(match said {
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
        | "OptInRequired" => DynamoError::Denied(text),
        _ => DynamoError::Away(text),
    }
}

fn text<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    DisplayErrorContext(error).to_string()
}
