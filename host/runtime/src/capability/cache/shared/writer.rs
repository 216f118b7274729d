//! Writing to the shared tier, beside the calls.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::super::Config;
use super::super::memory::{CacheKey, Stored};
use super::store::{ITEM_BYTES_MAX, Sealed, StoreError};
use super::{Core, EntryName, SharedEntry};
use hearth_backend::postgres::invalidations::LogPosition;
use hearth_base::budget::{Budget, Customer, Part};

/// Writes at once. Those of one key follow one another, so that the last one stays.
const LANES: usize = 8;
/// What an item takes beside its value and tags, in DynamoDB's reckoning as well.
const OVERHEAD_BYTES: usize = 512;

/// A value that other hosts shall find.
pub(in super::super) struct Write {
    pub(in super::super) plugin: Arc<str>,
    pub(in super::super) key: CacheKey,
    pub(in super::super) stored: Arc<Stored>,
    pub(in super::super) tags: Vec<String>,
    /// When its computation began.
    pub(in super::super) began: LogPosition,
    /// When it was set, in microseconds since 1970 by Postgres's clock.
    pub(in super::super) set_micros: i64,
}

impl Write {
    fn bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 4).sum();
        OVERHEAD_BYTES + tags + self.stored.value.len()
    }

    fn entry(&self) -> SharedEntry {
        SharedEntry {
            began: self.began.tick,
            set_micros: self.set_micros,
            ttl: self.stored.ttl,
            stale: self.stored.stale,
            tags: self.tags.clone(),
            value: self.stored.value.clone(),
        }
    }

    fn name(&self) -> EntryName<'_> {
        EntryName {
            era: self.began.era,
            plugin: &self.plugin,
            customer: self.key.customer.as_deref(),
            key: &self.key.name,
        }
    }
}

type QueuedWrite = (Write, Part<Customer>);

/// The queue in front of the store.
pub(super) struct SharedWriter {
    core: Arc<Core>,
    lanes: Vec<mpsc::Sender<QueuedWrite>>,
    hasher: RandomState,
    /// Bytes that may wait.
    room: Budget<Customer>,
    /// What a write takes of them at least, so that no more wait than may.
    write_bytes_min: usize,
}

impl SharedWriter {
    pub(super) fn start(core: &Arc<Core>, config: &Config) -> SharedWriter {
        let (bytes_max, waiting_max) = (config.shared_waiting_bytes_max, config.shared_waiting_max);
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(waiting_max);
            tokio::spawn(write_all(core.clone(), receiver));
            sender
        };
        SharedWriter {
            lanes: (0..LANES).map(lane).collect(),
            core: core.clone(),
            hasher: RandomState::new(),
            room: Budget::new(bytes_max, config.customer_percent_max),
            write_bytes_min: bytes_max.div_ceil(waiting_max),
        }
    }

    pub(super) fn write(&self, write: Write) {
        let metrics = &self.core.metrics;
        if self.core.breaker.is_open() {
            return metrics.writes_refused.increment(1);
        }
        let bytes = write.bytes();
        if bytes > ITEM_BYTES_MAX {
            return metrics.writes_too_large.increment(1);
        }
        let bytes = bytes.max(self.write_bytes_min);
        let hash = self.hasher.hash_one((&write.plugin, &write.key));
        let lane = usize::try_from(hash % LANES as u64).unwrap_or(0);
        let room = self.room.take(write.key.customer.clone(), bytes);
        let taken = match (room, self.lanes.get(lane)) {
            (Ok(room), Some(lane)) => lane.try_send((write, room)).is_ok(),
            _ => false,
        };
        if !taken {
            metrics.writes_dropped.increment(1);
        }
    }
}

/// One lane, until its sender is gone.
async fn write_all(core: Arc<Core>, mut waiting: mpsc::Receiver<QueuedWrite>) {
    while let Some((write, _room)) = waiting.recv().await {
        core.write(&write).await;
    }
}

impl Core {
    async fn write(&self, write: &Write) {
        if self.breaker.is_open() {
            return self.metrics.writes_refused.increment(1);
        }
        let (name, entry) = (write.name(), write.entry());
        let Some(bytes) = self.seal.close(&name, &entry) else {
            return self.metrics.writes_too_large.increment(1);
        };
        let sealed = Sealed {
            name: self.seal.name(&name),
            bytes,
            set_micros: entry.set_micros,
            life: entry.ttl.saturating_add(entry.stale),
        };
        let asked = Instant::now();
        let put = timeout(self.write_max, self.store.put(sealed)).await;
        self.metrics
            .write_seconds
            .record(asked.elapsed().as_secs_f64());
        self.written(put.unwrap_or_else(|_| Err(StoreError::Away("timed out".into()))));
    }

    /// A store that answers is available, whatever it answers.
    fn written(&self, put: Result<(), StoreError>) {
        match put {
            // It says nothing of how soon the store answers a look.
            Ok(()) => self.metrics.writes.increment(1),
            Err(error) => {
                self.metrics.write_errors.increment(1);
                tracing::debug!(%error, "a value could not be written to the cache's shared tier");
                if matches!(error, StoreError::Away(_)) {
                    self.failed(&error, None);
                }
            }
        }
    }
}
