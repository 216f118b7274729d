//! The capability `queue`: messages to queues, outside any transaction.
//!
//! A plugin sends to the queues that it was granted by name. The host stamps the
//! sender and the caller's customer on each message. Messages of many calls travel
//! together; each is told for itself.
//!
//! ```no_run
//! # async fn example(queues: hearth_backend::queues::Queues) -> wasmtime::Result<()> {
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::queue::{Client, Host, OutgoingMessage, View};
//!
//! let client = Client::open(queues, &hearth_backend::queue::Config::default());
//! let lent = client.lend("tickets", ["webhook-events".to_owned()]);
//! let call = Call::of("tickets", Some("acme"));
//! let mut view = View { call: &call, lent: &lent };
//! let message = OutgoingMessage {
//!     body: b"{}".to_vec(),
//!     attributes: vec![],
//!     delay_ms: 0,
//!     group: None,
//!     deduplication_id: None,
//! };
//! let id = view.send("webhook-events".into(), message).await?;
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use tokio::time::timeout_at;
use wasmtime::component::{HasData, Linker};

use super::{Backends, Call, OpenError};
use hearth_backend::queue::{Outgoing, QueueError};
use hearth_backend::queues::{Draft, MessageOrigin, Queues, Sender};
use hearth_base::telemetry::trace::traceparent;

pub use generated::hearth::plugin::queue::{Error as GuestError, Host};
pub use generated::hearth::plugin::types::OutgoingMessage;
pub use hearth_backend::queue::Config;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-queue; world lends { import hearth:plugin/queue@0.1.0; }",
        imports: { default: async | trappable },
    });
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Whether it was sent nobody knows.
    #[error("the deadline passed")]
    DeadlineExceeded,
}

/// The queues of all plugins. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    queues: Queues,
    config: Arc<Config>,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        Ok(Self::open(backends.queues.clone(), config))
    }

    pub fn open(queues: Queues, config: &Config) -> Client {
        Client {
            queues,
            config: Arc::new(config.clone()),
        }
    }

    /// What a deployment borrows: the right to send to the queues of these names.
    pub fn lend(&self, plugin: &str, granted: impl IntoIterator<Item = String>) -> Lent {
        Lent {
            sender: Sender::new(&self.queues, &self.config, plugin, granted),
        }
    }
}

/// What one deployment borrows.
#[derive(Clone)]
pub struct Lent {
    pub sender: Sender,
}

/// A call accumulates nothing here.
pub type State = ();

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
}

impl Host for View<'_> {
    async fn send(
        &mut self,
        queue: String,
        message: OutgoingMessage,
    ) -> wasmtime::Result<Result<String, GuestError>> {
        self.call.host_call()?;
        let sent = self.send_all(&queue, vec![message]).await;
        let one = sent.into_iter().next();
        Ok(one.unwrap_or(Err(GuestError::Unavailable)))
    }

    async fn send_many(
        &mut self,
        queue: String,
        messages: Vec<OutgoingMessage>,
    ) -> wasmtime::Result<Vec<Result<String, GuestError>>> {
        self.call.host_call()?;
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        if self.lent.sender.is_too_much(messages.len(), bytes) {
            let reason = "too many messages or bytes in one call (queue.call_messages_max, \
                          queue.call_bytes_max)";
            let refused = || Err(GuestError::Invalid(reason.into()));
            return Ok(messages.iter().map(|_| refused()).collect());
        }
        Ok(self.send_all(&queue, messages).await)
    }
}

impl View<'_> {
    /// Each message for itself, in order.
    async fn send_all(
        &self,
        queue: &str,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, GuestError>> {
        let mut span = self.lent.sender.span(&self.call.trace, queue);
        span.number("messaging.batch.message_count", messages.len());
        let origin = MessageOrigin {
            customer: self.call.customer.as_ref(),
            traceparent: traceparent(&span.scope()),
        };
        let mut fit = Vec::with_capacity(messages.len());
        let checked: Vec<Result<(), QueueError>> = messages
            .into_iter()
            .map(|message| {
                let outgoing = self.lent.sender.outgoing(queue, &origin, draft(message));
                outgoing.map(|outgoing| fit.push(outgoing))
            })
            .collect();
        let mut sent = self.send_fit(fit).await.into_iter();
        let unanswered = || Err(Error::DeadlineExceeded);
        let told = checked.into_iter().map(|checked| match checked {
            Ok(()) => sent.next().unwrap_or_else(unanswered),
            Err(error) => Err(error.into()),
        });
        let told: Vec<_> = told.collect();
        if let Some(error) = told.iter().find_map(|result| result.as_ref().err()) {
            span.fail(kind(error));
        }
        let told = told.into_iter();
        told.map(|result| result.map_err(|error| self.blame(error)))
            .collect()
    }

    /// What the guest hears of an error; the operator hears more.
    fn blame(&self, error: Error) -> GuestError {
        self.call.fault("queue", &error);
        convert_error(error)
    }

    async fn send_fit(&self, messages: Vec<Outgoing>) -> Vec<Result<String, Error>> {
        let Some(queues) = self.lent.sender.queues().filter(|_| !messages.is_empty()) else {
            return Vec::new();
        };
        let sending = timeout_at(self.call.deadline, queues.send(messages));
        let sent = sending.await.unwrap_or_default();
        let told = |result: Result<String, QueueError>| result.map_err(Error::from);
        sent.into_iter().map(told).collect()
    }
}

fn draft(message: OutgoingMessage) -> Draft {
    Draft {
        body: message.body,
        attributes: message.attributes,
        delay_ms: message.delay_ms,
        group: message.group,
        deduplication_id: message.deduplication_id,
    }
}

/// As traces call it.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::DeadlineExceeded => "deadline_exceeded",
        Error::Queue(error) => error.kind(),
    }
}

/// What the guest gets of an error. What is wrong with a backend goes to the log.
fn convert_error(error: Error) -> GuestError {
    match error {
        Error::DeadlineExceeded => GuestError::DeadlineExceeded,
        Error::Queue(QueueError::TooLarge) => GuestError::TooLarge,
        Error::Queue(QueueError::Denied(reason)) => GuestError::Denied(reason),
        Error::Queue(QueueError::Invalid(reason)) => GuestError::Invalid(reason),
        Error::Queue(QueueError::Unavailable(reason)) => {
            tracing::warn!(blame = "backend", reason, "a message could not be sent");
            GuestError::Unavailable
        }
        Error::Queue(QueueError::Full | QueueError::ShareFull | QueueError::LeaseLost) => {
            GuestError::Unavailable
        }
    }
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::hearth::plugin::queue::add_to_linker::<T, Access>(linker, view)
}
