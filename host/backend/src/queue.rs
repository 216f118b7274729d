//! What queues have in common, whichever backend holds them: Postgres or SQS.
//!
//! A message is delivered at least once. Whoever receives it holds a lease on it
//! (its visibility) and ends that by settling it; a lease that runs out makes the
//! message visible again, as a further attempt.
//!
//! The host stamps a message with its sender and the sender's customer. Within a
//! group messages arrive in the order in which they were sent: no later one while
//! an earlier one waits, is delayed or is leased. Groups belong to a queue and a
//! customer, and so do deduplication ids, which also belong to the sender.

mod config;
mod error;
mod message;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hearth_base::telemetry::DeliveryOutcome;
use uuid::Uuid;

pub use config::sqs::Config as SqsConfig;
pub use config::{Backend, Config};
pub use error::QueueError;
pub use message::id_text;
pub(super) use message::{attributes_of, attributes_text, customer_of, customer_text, id_of};

/// A message on its way to a queue. Sizes and names were checked by whoever makes
/// one; see `capability::queue`.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub queue: Arc<str>,
    /// The sender.
    pub plugin: Arc<str>,
    /// On whose behalf it is sent; `None` for schedules that belong to nobody.
    pub customer: Option<Arc<str>>,
    pub body: Bytes,
    pub attributes: Vec<(String, String)>,
    /// The span that sends it, as W3C Trace Context writes it. No guest sees it.
    pub traceparent: Option<String>,
    /// No consumer sees it before. A delayed message of a group holds back those
    /// behind it.
    pub delay: Duration,
    pub group: Option<String>,
    /// A second message with this id within five minutes is dropped.
    pub deduplication_id: Option<String>,
}

/// A message that was received. It is settled, or it comes again.
#[derive(Clone, Debug)]
pub struct Received {
    /// The same on every delivery, after a redrive from the dead letters too.
    pub id: String,
    pub queue: Arc<str>,
    pub customer: Option<Arc<str>>,
    /// The sender.
    pub plugin: Arc<str>,
    pub body: Bytes,
    pub attributes: Vec<(String, String)>,
    /// Of the span that sent it.
    pub traceparent: Option<String>,
    pub group: Option<String>,
    /// The host's own count, 1 at first. What was given back or waited was none.
    pub attempt: u32,
    pub sent_at: SystemTime,
    pub receipt: Receipt,
}

/// The right to settle one delivery of a message, until its visibility is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub(super) Lease);

impl Receipt {
    /// Of no lease that there is: to settle it answers [`QueueError::LeaseLost`].
    pub fn of_none() -> Receipt {
        Receipt(Lease::Postgres {
            row: Uuid::nil(),
            lease: Uuid::nil(),
        })
    }
}

/// What each backend knows a delivery by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// The row, and which lease of it.
    Postgres { row: Uuid, lease: Uuid },
    /// SQS's receipt handle, its own id of the message, and how often SQS has
    /// delivered it.
    Sqs {
        handle: String,
        message: String,
        receives: u32,
    },
}

/// What becomes of a message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It had its effect: it is deleted.
    Done,
    /// It comes again after so long, and this attempt does not count.
    RetryAfter(Duration),
    /// It comes again after `delay`, and this attempt counts.
    Failed { reason: String, delay: Duration },
    /// Nobody began with it: it is visible at once, and the attempt does not count.
    GiveBack,
    /// It never comes again, and is kept among the dead letters with this reason.
    DeadLetter(String),
}

impl Settlement {
    pub(super) fn outcome(&self) -> DeliveryOutcome {
        match self {
            Settlement::Done => DeliveryOutcome::Done,
            Settlement::RetryAfter(_) => DeliveryOutcome::Retry,
            Settlement::Failed { .. } => DeliveryOutcome::Failed,
            Settlement::GiveBack => DeliveryOutcome::GivenBack,
            Settlement::DeadLetter(_) => DeliveryOutcome::Dead,
        }
    }
}

/// A message that nobody could consume.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Newer ones have larger numbers: what pages are told apart by.
    pub number: i64,
    /// The message's own id, by which it is shown, redriven and dropped.
    pub id: String,
    pub queue: Arc<str>,
    pub customer: Option<Arc<str>>,
    /// The sender.
    pub plugin: Arc<str>,
    pub body: Bytes,
    pub attributes: Vec<(String, String)>,
    pub group: Option<String>,
    pub reason: String,
    /// Deliveries that counted.
    pub attempts: u32,
    pub sent_at: SystemTime,
    pub died_at: SystemTime,
}

/// Which dead letters of a queue are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Ids(Vec<String>),
    All,
}

/// How much is in a queue. Counted now and then, so a little old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub queue: String,
    /// Visible, or behind another of its group.
    pub waiting: u64,
    /// Not to be seen yet.
    pub delayed: u64,
    pub leased: u64,
    pub dead: u64,
    /// Since when the oldest visible one waits. `None` where none does, and where
    /// the backend does not tell.
    pub oldest_age: Option<Duration>,
}
