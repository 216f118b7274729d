//! Why a request has no answer, and who is to blame.

use std::time::Duration;

use super::GuestError;

/// Why a request has no answer. The guest is to blame for `Denied`, `Invalid` and
/// `BlockedAddress`, the host for `Exhausted`, and the destination for the rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the address is closed to plugins")]
    BlockedAddress,
    #[error("{0}")]
    Dns(String),
    #[error("{0}")]
    Connect(String),
    /// This machine has no more sockets, ports or memory.
    #[error("{0}")]
    Exhausted(String),
    #[error("{0}")]
    Tls(String),
    #[error("it took too long")]
    Timeout,
    #[error("the answer is too large")]
    TooLarge,
    #[error("too many requests to this destination failed")]
    BreakerOpen(Duration),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Protocol(String),
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// The label of metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Error::BlockedAddress => "blocked_address",
            Error::Dns(_) => "dns",
            Error::Connect(_) => "connect",
            Error::Exhausted(_) => "exhausted",
            Error::Tls(_) => "tls",
            Error::Timeout => "timeout",
            Error::TooLarge => "too_large",
            Error::BreakerOpen(_) => "breaker_open",
            Error::Denied(_) => "denied",
            Error::Protocol(_) => "protocol",
            Error::Invalid(_) => "invalid",
        }
    }

    pub(super) fn of_hyper(error: &hyper::Error) -> Error {
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            if inner.is::<http_body_util::LengthLimitError>() {
                return Error::Invalid("the body is too long (outbound.request_bytes_max)".into());
            }
            cause = inner.source();
        }
        match error.is_parse_too_large() {
            true => Error::TooLarge,
            false => Error::Protocol(error.to_string()),
        }
    }
}

/// What the guest gets of an error.
pub(super) fn convert_error(error: Error) -> GuestError {
    match error {
        Error::BlockedAddress => GuestError::BlockedAddress,
        Error::Dns(reason) => GuestError::Dns(reason),
        Error::Connect(reason) | Error::Exhausted(reason) => GuestError::Connect(reason),
        Error::Tls(reason) => GuestError::Tls(reason),
        Error::Timeout => GuestError::Timeout,
        Error::TooLarge => GuestError::TooLarge,
        Error::BreakerOpen(left) => {
            GuestError::BreakerOpen(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1))
        }
        Error::Denied(reason) => GuestError::Denied(reason),
        Error::Protocol(reason) => GuestError::Protocol(reason),
        Error::Invalid(reason) => GuestError::Invalid(reason),
    }
}
