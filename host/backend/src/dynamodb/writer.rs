//! The batch writer: what all calls put and delete goes out together.
//!
//! BatchWriteItem takes 25 items at once and costs little more time than one, so
//! the writes of all calls meet here. A write goes out at once while no other call
//! is in flight. Otherwise it waits until there are 25, or until the call returns
//! behind which it waits (the oldest in flight), at most `linger_ms_max`.
//!
//! Each write has an outcome of its own, and is acknowledged when DynamoDB has said
//! that it took it, and not before. What DynamoDB left unprocessed, throttled or
//! never answered is sent again, up to the write's deadline. Writes replace or
//! delete items whole, so doing one twice does no harm while nothing comes between;
//! nothing does, since the writes of one key go out one after the other, in the
//! order in which they came.
//!
//! Each owner (a plugin for a customer) has its turn, so that ten thousand writes
//! of one do not delay a single one of another. An owner beyond its share of the
//! queue waits in its own call; beyond its bytes it is refused, and so is everyone
//! while the queue is full.
//!
//! A caller that is gone withdraws what was not sent. What was, is or is not
//! written, as the last of the caller's doing with that key.
//!
//! One thing is not in the writer's hands: a request that it gave up on, and that
//! DynamoDB works off much later. It waits before it goes on with such a key (see
//! `retry_ms`), and DynamoDB refuses requests whose signature is old.

mod calls;
mod entry;
mod pace;
mod queue;
mod run;
mod send;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aws_sdk_dynamodb::types::AttributeValue;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use self::entry::{Permits, QueuedWrite};
use self::queue::Queue;
use super::Dynamo;
use hearth_base::bounds;
use hearth_base::budget::Budget;
use hearth_base::section::{GIB, HOUR_MS, MIB, Mistakes, Section};
use hearth_base::telemetry::WriterMetrics;

/// What one BatchWriteItem takes (AWS).
pub const CALL_ITEMS_MAX: usize = 25;
/// Bytes of one BatchWriteItem's items, as they are sent (AWS: 16 MB). A little is
/// left for what is around them.
pub const CALL_BYTES_MAX: usize = (16 << 20) - (64 << 10);

/// Section `[documents.writer]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls of BatchWriteItem at once.
    pub calls_in_flight_max: usize,
    /// Writes of all plugins that have no outcome yet; one more is refused.
    pub waiting_items_max: usize,
    /// Their bytes.
    pub waiting_bytes_max: usize,
    /// Those of one plugin for one customer; one more waits in its own call.
    pub owner_waiting_items_max: usize,
    /// Their bytes; more are refused.
    pub owner_waiting_bytes_max: usize,
    /// The longest that writes wait to become a full batch.
    pub linger_ms_max: u64,
    /// The longest wait before a write is sent a second time; it doubles with each
    /// time, up to `retry_ms_max`, and is drawn anew between nothing and that. After
    /// a call that was not answered, between that and twice as much.
    pub retry_ms: u64,
    pub retry_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            calls_in_flight_max: 8,
            waiting_items_max: 10_000,
            waiting_bytes_max: 64 << 20,
            owner_waiting_items_max: 2_500,
            owner_waiting_bytes_max: 32 << 20,
            linger_ms_max: 500,
            retry_ms: 50,
            retry_ms_max: 5_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            calls_in_flight_max in 1..=256,
            waiting_items_max in CALL_ITEMS_MAX as u64..=1_000_000,
            waiting_bytes_max in CALL_BYTES_MAX as u64..=4 * GIB - 1,
            owner_waiting_items_max in 1..=self.waiting_items_max as u64,
            owner_waiting_bytes_max in MIB..=4 * GIB - 1,
            linger_ms_max in 0..=60_000,
            retry_ms in 1..=60_000,
            retry_ms_max in 1..=HOUR_MS,
        }
    }
}

/// On whose behalf something is written. Each has its turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    pub plugin: Arc<str>,
    pub customer: Option<Arc<str>>,
}

/// The key of an item. A key belongs to one owner, who is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub partition: Arc<str>,
    pub sort: Arc<str>,
}

/// One item that is put, or deleted.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Key,
    /// All attributes but the key's. `None` deletes.
    pub attributes: Option<Vec<(String, AttributeValue)>>,
    /// Of the item as it is sent, at least.
    pub wire_bytes: usize,
}

/// Why a write was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Not sent.
    #[error("the writer's queue is full")]
    Full,
    /// It may have been written.
    #[error("the deadline passed")]
    Deadline,
    /// It may have been written, where DynamoDB did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Not written, and DynamoDB would not take it the next time either.
    #[error("{0}")]
    Invalid(String),
}

type Outcome = Result<(), WriteError>;

/// The writer of one table. Cloning shares it.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<WriterInner>,
}

struct WriterInner {
    config: Config,
    dynamo: Dynamo,
    metrics: WriterMetrics,
    queue: Mutex<Queue>,
    items: Arc<Semaphore>,
    bytes: Budget<Owner>,
    /// The number of the next write.
    ids: AtomicU64,
    /// Somebody has something to write.
    wake: Notify,
}

impl Writer {
    /// Nothing is written before [`Writer::run`] runs.
    pub fn open(dynamo: &Dynamo, config: &Config, metrics: WriterMetrics) -> Writer {
        let bytes = Budget::with_share(config.waiting_bytes_max, config.owner_waiting_bytes_max);
        Writer {
            shared: Arc::new(WriterInner {
                config: config.clone(),
                dynamo: dynamo.clone(),
                metrics,
                queue: Mutex::default(),
                items: Arc::new(Semaphore::new(config.waiting_items_max)),
                bytes,
                ids: AtomicU64::new(0),
                wake: Notify::new(),
            }),
        }
    }

    /// Writes until it is dropped.
    pub async fn run(self) {
        run::run(self.shared).await;
    }

    /// Writes items of one owner, and answers with one outcome for each, in order.
    /// The same key twice is written twice, in order.
    ///
    /// # Errors
    /// Each item has its own. Whatever has no outcome at the deadline is withdrawn
    /// or, where it was sent, left to itself.
    pub async fn write(&self, owner: Owner, writes: Vec<Write>, deadline: Instant) -> Vec<Outcome> {
        let mut pending = Pending::new(&self.shared, owner);
        let admitted = pending.admit(writes, deadline);
        // What came too late to be admitted has no outcome, and gets one below.
        let _ = timeout_at(deadline, admitted).await;
        pending.outcomes(deadline).await
    }
}

/// The writes of one call. Dropped, it withdraws what was not sent.
struct Pending<'a> {
    shared: &'a WriterInner,
    owner: Owner,
    waiting: Vec<WriteReceiver>,
    done: bool,
}

enum WriteReceiver {
    /// It was not admitted, for this reason.
    Refused(WriteError),
    Admitted(Key, u64, oneshot::Receiver<Outcome>),
}

impl<'a> Pending<'a> {
    fn new(shared: &'a WriterInner, owner: Owner) -> Pending<'a> {
        Pending {
            shared,
            owner,
            waiting: Vec::new(),
            done: false,
        }
    }

    /// As much at once as the owner's share allows, so that it makes full batches.
    async fn admit(&mut self, writes: Vec<Write>, deadline: Instant) {
        let places = writes
            .iter()
            .map(|_| WriteReceiver::Refused(WriteError::Deadline));
        self.waiting = places.collect();
        let max = self.shared.config.owner_waiting_items_max;
        let share = self.shared.queue.lock().share(&self.owner, max);
        let mut writes = writes.into_iter().enumerate().peekable();
        while writes.peek().is_some() {
            let mut permit = share.clone().acquire_owned().await.ok();
            let mut entries = Vec::new();
            while let Some(of_share) = permit.take() {
                let Some((place, write)) = writes.next() else {
                    break;
                };
                entries.extend(self.enter(place, write, of_share, deadline));
                permit = share.clone().try_acquire_owned().ok();
            }
            self.shared.queue.lock().push(&self.owner, &share, entries);
            self.shared.wake.notify_one();
        }
    }

    /// An entry for the queue, if there is room in it.
    fn enter(
        &mut self,
        place: usize,
        write: Write,
        of_share: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Option<QueuedWrite> {
        let (told, outcome) = oneshot::channel();
        let entered = self.room(&write, of_share).map(|permits| {
            let id = self.shared.ids.fetch_add(1, Relaxed);
            let key = write.key.clone();
            let entry = QueuedWrite::new(id, write, deadline, told, permits, &self.shared.metrics);
            (WriteReceiver::Admitted(key, id, outcome), entry)
        });
        let (waiting, entry) = match entered {
            Some((waiting, entry)) => (waiting, Some(entry)),
            None => {
                self.shared.metrics.shed.increment(1);
                (WriteReceiver::Refused(WriteError::Full), None)
            }
        };
        if let Some(of_item) = self.waiting.get_mut(place) {
            *of_item = waiting;
        }
        entry
    }

    fn room(&self, write: &Write, share: OwnedSemaphorePermit) -> Option<Permits> {
        let items = self.shared.items.clone().try_acquire_owned().ok()?;
        let bytes = self.shared.bytes.take(self.owner.clone(), write.wire_bytes);
        Some(Permits::new(share, items, bytes.ok()?))
    }

    async fn outcomes(mut self, deadline: Instant) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.waiting.len());
        let mut all = true;
        for waiting in &mut self.waiting {
            outcomes.push(match waiting {
                WriteReceiver::Refused(error) => Err(error.clone()),
                WriteReceiver::Admitted(_, _, outcome) => match timeout_at(deadline, outcome).await
                {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(_)) => Err(WriteError::Unavailable(
                        "the host is shutting down".to_owned(),
                    )),
                    Err(_) => {
                        all = false;
                        Err(WriteError::Deadline)
                    }
                },
            });
        }
        self.done = all;
        outcomes
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut queue = self.shared.queue.lock();
        for waiting in &self.waiting {
            if let WriteReceiver::Admitted(key, id, _) = waiting {
                queue.withdraw(&self.owner, key, *id);
            }
        }
    }
}
