//! Messages of the queues that the manifest's `[[queues]]` name.
//!
//! ```
//! use hearth_plugin::consumer::{Batch, Disposition};
//! fn consume(batch: &Batch) -> Vec<Disposition> {
//!     let consumed = batch.messages.iter().map(|message| match message.text() {
//!         Some(_) => Disposition::Done,
//!         None => Disposition::DeadLetter("the message body is not text".into()),
//!     });
//!     consumed.collect()
//! }
//! hearth_plugin::consumer!(consume);
//! # fn main() {}
//! ```
//!
//! A plugin of the world `full` has both `handler!` and `consumer!`. A message is
//! delivered at least once: store its id in the transaction of its effect, or make the
//! effect idempotent.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bindings::consume::exports::hearth::plugin::consumer as wire;
use crate::context::Context;
use crate::entry;
use crate::sql::Database;
use crate::time::Timestamp;

/// Messages of one customer, the context's caller.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The circumstances of the call.
    pub context: Context,
    /// At least one, in the order in which the queue gave them. Of one group there
    /// is at most one.
    pub messages: Vec<Message>,
}

impl Batch {
    /// The plugin's schema, on behalf of the messages' customer.
    pub fn database(&self) -> Database {
        Database::until(self.context.deadline)
    }

    /// The customer; `None` for scheduled messages without a customer.
    pub fn customer(&self) -> Option<&str> {
        let caller = self.context.caller.as_ref();
        caller.map(|caller| caller.customer_id.as_str())
    }
}

/// A message as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same on every delivery of this message.
    pub id: String,
    /// The queue it came from.
    pub queue: String,
    /// What was sent.
    pub body: Vec<u8>,
    /// Names and values beside the body.
    pub attributes: Vec<(String, String)>,
    /// 1 on the first delivery. What waited, or was given back, counts for nothing.
    pub attempt: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
}

impl Message {
    /// The body as text; `None` where it is none.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(own, _)| own == name)?;
        Some(value)
    }
}

/// What shall become of a message. A panic tries all of a batch again, one at a
/// time, so that only the one that is to blame fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It had its effect: delete it.
    Done,
    /// Deliver it again after so long. Waiting costs no attempt.
    RetryAfter(Duration),
    /// Never deliver it again: keep it among the dead letters, with this reason.
    DeadLetter(String),
}

impl Disposition {
    fn into_host(self) -> wire::Disposition {
        match self {
            Disposition::Done => wire::Disposition::Done,
            Disposition::RetryAfter(wait) => {
                wire::Disposition::RetryAfterMs(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            }
            Disposition::DeadLetter(reason) => wire::Disposition::DeadLetter(reason),
        }
    }
}

/// Makes a worker of a function from a [`Batch`] to one [`Disposition`] a message,
/// in order: exports `hearth:plugin/consumer`.
#[macro_export]
macro_rules! consumer {
    ($consume:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::consume::exports::hearth::plugin::consumer as wire;
            struct Component;
            impl wire::Guest for Component {
                fn consume(
                    context: wire::Context,
                    messages: Vec<wire::Message>,
                ) -> Vec<wire::Disposition> {
                    $crate::consumer::consume(context, messages, $consume)
                }
            }
            $crate::bindings::consume::export_consumer!(Component with_types_in $crate::bindings::consume);
        };
        // Elsewhere the plugin is only tested, and nothing calls it.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&$crate::consumer::Batch) -> Vec<$crate::consumer::Disposition> = $consume;
    };
}

/// Consumes one batch of the host.
#[doc(hidden)]
pub fn consume(
    context: wire::Context,
    messages: Vec<wire::Message>,
    run: impl Fn(&Batch) -> Vec<Disposition>,
) -> Vec<wire::Disposition> {
    let batch = Batch {
        context: entry::context(context),
        messages: messages.into_iter().map(take).collect(),
    };
    let dispositions = run(&batch).into_iter();
    dispositions.map(Disposition::into_host).collect()
}

fn take(message: wire::Message) -> Message {
    let sent_at_ms = i64::try_from(message.sent_at_ms).unwrap_or(i64::MAX);
    Message {
        id: message.id,
        queue: message.queue,
        body: message.body,
        attributes: message.attributes,
        attempt: message.attempt,
        sent_at: Timestamp::from_micros(sent_at_ms.saturating_mul(1_000)),
    }
}
