//! Queues, whichever backend holds them: Postgres or SQS.
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
mod sender;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use super::pgqueue::{PgQueue, Stamp};
use super::postgres::Server;
use super::sqs::Sqs;
use crate::clock::Clock;
use crate::secret::RootSecret;
use crate::telemetry::{HostMetrics, Traces};

pub use config::{Backend, Config};
pub use error::QueueError;
pub(crate) use message::id_text;
pub(super) use message::{attributes_of, attributes_text, customer_of, customer_text, id_of};
pub use sender::{Draft, MessageOrigin, Sender};

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

/// All queues of this process. Cloning shares them.
#[derive(Clone)]
pub enum Queues {
    Postgres(PgQueue),
    Sqs(Sqs),
}

impl Queues {
    /// Opens the backend that the configuration names. To be called within the
    /// runtime that shall give back what dropped calls received.
    ///
    /// # Errors
    /// Where Postgres is away. Of SQS nothing is asked yet.
    pub async fn open(
        config: &Config,
        server: Server,
        secret: &RootSecret,
        clock: Clock,
        metrics: &HostMetrics,
    ) -> Result<Queues, QueueError> {
        let postgres = PgQueue::open(config, server, secret, clock, metrics).await?;
        Ok(match config.backend {
            Backend::Postgres => Queues::Postgres(postgres),
            Backend::Sqs => {
                let watch = &metrics.watches.sqs;
                Queues::Sqs(Sqs::open(&config.sqs, secret, postgres, watch).await)
            }
        })
    }

    /// Counts, drops what is too old and, where there is a relay, relays: for as long
    /// as it is polled.
    pub async fn keep(self, traces: Traces) {
        match self {
            Queues::Postgres(queues) => queues.keep().await,
            Queues::Sqs(queues) => {
                tokio::join!(
                    queues.postgres().clone().keep(),
                    crate::outbox::run(queues, traces)
                );
            }
        }
    }

    /// What `hearth.enqueue` wants beside an entry.
    pub fn stamp(&self) -> Stamp {
        self.postgres().stamp()
    }

    /// A transaction that enqueued messages for these queues has committed: here they
    /// are received, or relayed, at once.
    pub fn committed(
        &self,
        customer: Option<&Arc<str>>,
        queues: impl IntoIterator<Item = Arc<str>>,
    ) {
        for queue in queues {
            let local = self.postgres().local(&queue);
            local.metrics.sent.increment(1);
            local.sent_by(customer);
        }
    }

    /// Whether a message can be sent: its queue exists, takes such a message and has
    /// room, as far as this host knows.
    pub fn check(&self, message: &Outgoing) -> Result<(), QueueError> {
        if let Queues::Sqs(queues) = self {
            queues.check(message)?;
        }
        self.postgres().check(message)
    }

    /// Sends messages, of any queues, together with whatever else is being sent
    /// just now. Answers each one's id once the queue has it durably, in order; for
    /// a duplicate the id of the first. Not all or nothing. Dropped half-way, they
    /// may still be sent.
    pub async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<String, QueueError>> {
        let queues: Vec<_> = messages
            .iter()
            .map(|message| message.queue.clone())
            .collect();
        let checked: Vec<_> = messages.iter().map(|message| self.check(message)).collect();
        let fit = messages.into_iter().zip(&checked);
        let fit = fit.filter_map(|(message, checked)| checked.is_ok().then_some(message));
        let fit: Vec<_> = fit.collect();
        let sent = match self {
            Queues::Postgres(queue) => queue.send(fit).await,
            Queues::Sqs(queue) => queue.send(fit).await,
        };
        let mut sent = sent.into_iter();
        let mut results = Vec::with_capacity(queues.len());
        for (queue, checked) in queues.iter().zip(checked) {
            let unanswered = || Err(QueueError::Unavailable("it was not answered".into()));
            let result = match checked {
                Ok(()) => sent.next().unwrap_or_else(unanswered),
                Err(error) => Err(error),
            };
            if result.is_ok() {
                self.postgres().local(queue).metrics.sent.increment(1);
            }
            results.push(result);
        }
        results
    }

    /// Leases at most `max` messages for so long (`visibility`), and waits at most
    /// `wait` for the first. What this host sends wakes it at once. Customers take
    /// turns. Dropped half-way, what was leased is given back.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let received = match self {
            Queues::Postgres(queues) => queues.receive(queue, max, wait, visibility).await?,
            Queues::Sqs(queues) => queues.receive(queue, max, wait, visibility).await?,
        };
        let metrics = &self.postgres().local(queue).metrics;
        metrics.received.increment(received.len() as u64);
        Ok(received)
    }

    /// Waits until what dropped receives have leased is given back. Nobody may
    /// receive meanwhile.
    pub async fn given_back(&self) {
        let returning = self.postgres().returning();
        returning.close();
        returning.wait().await;
        returning.reopen();
    }

    /// Holds leases for so long from now: the heartbeat of a consumer. One answer a
    /// receipt, in order.
    pub async fn extend(
        &self,
        queue: &str,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Vec<Result<(), QueueError>> {
        match self {
            Queues::Postgres(queues) => queues.extend(receipts, visibility).await,
            Queues::Sqs(queues) => queues.extend(queue, receipts, visibility).await,
        }
    }

    /// Ends leases. One answer a message, in order; a message that was not settled
    /// comes again.
    pub async fn settle(
        &self,
        queue: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<Result<(), QueueError>> {
        let settlements: Vec<_> = settled.iter().map(|(_, how)| how.clone()).collect();
        let ended = match self {
            Queues::Postgres(queues) => queues.settle(queue, settled).await,
            Queues::Sqs(queues) => queues.settle(queue, settled).await,
        };
        let metrics = &self.postgres().local(queue).metrics;
        for (settlement, _) in settlements.iter().zip(&ended).filter(|(_, e)| e.is_ok()) {
            metrics.count_settled(settlement);
        }
        ended
    }

    /// At most `limit` dead letters of a queue, newest first; those before a
    /// number, where one is given.
    pub async fn dead_letters(
        &self,
        queue: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        self.postgres().dead_letters(queue, before, limit).await
    }

    /// One dead letter, by its message's id.
    pub async fn dead_letter(
        &self,
        queue: &str,
        id: &str,
    ) -> Result<Option<DeadLetter>, QueueError> {
        self.postgres().dead_letter(queue, id).await
    }

    /// Puts dead letters back into their queue, oldest first, as if they had just
    /// been sent, but with their ids. Answers how many.
    pub async fn redrive(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        self.postgres().redrive(queue, which).await
    }

    /// Forgets dead letters. Answers how many.
    pub async fn drop_dead(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        self.postgres().drop_dead(queue, which).await
    }

    /// What is in each queue that holds anything.
    pub async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        match self {
            Queues::Postgres(queues) => queues.depths().await,
            Queues::Sqs(queues) => queues.depths().await,
        }
    }

    /// Dead letters lie in Postgres whatever the backend.
    fn postgres(&self) -> &PgQueue {
        match self {
            Queues::Postgres(queues) => queues,
            Queues::Sqs(queues) => queues.postgres(),
        }
    }
}
