//! What can go wrong with a queue.

use hearth_base::budget::Full;

/// Why a queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The sender: the queue's backend takes no such large message.
    #[error("the message is too large")]
    TooLarge,
    /// Nobody: consumers do not keep up. Later it may work.
    #[error("the queue is full")]
    Full,
    /// The backend is unavailable, or too slow. Later it may work.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// The customer: its messages take its share of the queue, or of what waits to be
    /// sent. Later it may work.
    #[error("the customer's share of the queue is full")]
    ShareFull,
    /// The sender has no grant, or the operator named no such queue.
    #[error("{0}")]
    Denied(String),
    /// The sender.
    #[error("{0}")]
    Invalid(String),
    /// The lease is over: somebody else has the message, or nobody any more.
    #[error("the lease on the message has expired")]
    LeaseLost,
}

impl QueueError {
    /// As traces call it.
    pub fn kind(&self) -> &'static str {
        match self {
            QueueError::TooLarge => "too_large",
            QueueError::Full => "queue_full",
            QueueError::ShareFull => "share_full",
            QueueError::Unavailable(_) => "unavailable",
            QueueError::Denied(_) => "denied",
            QueueError::Invalid(_) => "invalid",
            QueueError::LeaseLost => "lease_lost",
        }
    }
}

impl From<Full> for QueueError {
    fn from(full: Full) -> QueueError {
        match full {
            Full::Whole => QueueError::Full,
            Full::Share => QueueError::ShareFull,
        }
    }
}
