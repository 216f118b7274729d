//! Messages to queues. [`send`] sends at once; with a transaction use
//! [`Transaction::enqueue`](crate::sql::Transaction::enqueue) or
//! [`Batch::enqueue`](crate::sql::Batch::enqueue), which send if, and only if, it
//! commits. Each queue that a plugin sends to wants the grant `queue:<name>`.
//!
//! ```no_run
//! use std::time::Duration;
//! use hearth_plugin::queue::{self, Message};
//! # fn example() -> Result<(), queue::Error> {
//! let message = Message::json(&serde_json::json!({"ticket": "tkt_1"}))
//!     .after(Duration::from_secs(3_600))
//!     .in_group("tkt_1");
//! let id = queue::send("ticket-clocks", message)?;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use serde::Serialize;

use crate::bindings::imports::hearth::plugin::types::OutgoingMessage;
use crate::host::queue as host;
use crate::problem::Problem;

/// A message to be sent. The host adds the caller's customer.
#[derive(Clone, Debug)]
pub struct Message(OutgoingMessage);

impl Message {
    /// A message with these bytes, to be consumed as soon as possible.
    pub fn new(body: Vec<u8>) -> Self {
        Message(OutgoingMessage {
            body,
            attributes: Vec::new(),
            delay_ms: 0,
            group: None,
            deduplication_id: None,
        })
    }

    /// A message that carries a value as JSON. A value that cannot be written as JSON
    /// (a map whose keys are not strings) becomes `null`.
    pub fn json(value: &impl Serialize) -> Self {
        Message::new(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
    }

    /// A name and a value that travel beside the body.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0.attributes.push((name.into(), value.into()));
        self
    }

    /// No consumer sees it before so long from now. Any length will do.
    pub fn after(mut self, delay: Duration) -> Self {
        self.0.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Messages of one group arrive in the order in which they were sent.
    pub fn in_group(mut self, group: &str) -> Self {
        self.0.group = Some(group.into());
        self
    }

    /// A second message with the same id within five minutes is dropped.
    pub fn once(mut self, deduplication_id: &str) -> Self {
        self.0.deduplication_id = Some(deduplication_id.into());
        self
    }

    /// As the host wants it.
    pub(crate) fn into_host(self) -> OutgoingMessage {
        self.0
    }
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Larger than a message may be.
    TooLarge,
    /// The queue is unavailable or full: try again later.
    Unavailable,
    /// The call's deadline passed first.
    DeadlineExceeded,
    /// No grant for this queue, or no such queue.
    Denied(String),
    /// A name, attribute or group that no queue takes.
    Invalid(String),
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::TooLarge => Error::TooLarge,
            host::Error::Unavailable => Error::Unavailable,
            host::Error::DeadlineExceeded => Error::DeadlineExceeded,
            host::Error::Denied(reason) => Error::Denied(reason),
            host::Error::Invalid(reason) => Error::Invalid(reason),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable => Problem::new(503, "unavailable", "Queue unavailable")
                .detail("try again in a moment")
                .header("retry-after", "1"),
            Error::DeadlineExceeded => Problem::new(504, "deadline-exceeded", "Deadline exceeded"),
            Error::TooLarge => Problem::new(413, "message-too-large", "Message too large"),
            Error::Denied(_) | Error::Invalid(_) => Problem::internal(),
        }
    }
}

/// Sends one message and answers its id, once the queue has it durably.
pub fn send(queue: &str, message: Message) -> Result<String, Error> {
    Ok(host::send(queue, &message.into_host())?)
}

/// Sends many, each with a result of its own, in order. Not all or nothing.
pub fn send_many(queue: &str, messages: Vec<Message>) -> Vec<Result<String, Error>> {
    let messages: Vec<_> = messages.into_iter().map(Message::into_host).collect();
    let sent = host::send_many(queue, &messages);
    sent.into_iter()
        .map(|result| result.map_err(Error::from))
        .collect()
}
