//! One write on its way.

use std::time::Duration;

use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{Config, Key, Outcome, Owner, Write};
use hearth_base::budget::Part;
use hearth_base::telemetry::WriterMetrics;

/// Beyond it the wait has long reached any `retry_ms_max`.
const DOUBLINGS_MAX: u32 = 20;

/// The room that a write takes. Dropped, it is there for others.
pub(super) struct Permits {
    _share: OwnedSemaphorePermit,
    _item: OwnedSemaphorePermit,
    _bytes: Part<Owner>,
}

impl Permits {
    pub(super) fn new(
        share: OwnedSemaphorePermit,
        item: OwnedSemaphorePermit,
        bytes: Part<Owner>,
    ) -> Permits {
        Permits {
            _share: share,
            _item: item,
            _bytes: bytes,
        }
    }
}

/// A write among those that wait on `/metrics`, until it is dropped.
struct WaitingGauge {
    metrics: WriterMetrics,
    bytes: f64,
}

impl WaitingGauge {
    fn new(metrics: &WriterMetrics, write: &Write) -> WaitingGauge {
        // Exact up to 2^53 bytes, which no item has.
        let bytes = write.wire_bytes as f64;
        metrics.waiting.increment(1.0);
        metrics.waiting_bytes.increment(bytes);
        WaitingGauge {
            metrics: metrics.clone(),
            bytes,
        }
    }
}

impl Drop for WaitingGauge {
    fn drop(&mut self) {
        self.metrics.waiting.decrement(1.0);
        self.metrics.waiting_bytes.decrement(self.bytes);
    }
}

/// A write, its caller, and how often it was tried.
pub(super) struct QueuedWrite {
    /// No other of this process has it.
    pub(super) id: u64,
    pub(super) write: Write,
    pub(super) deadline: Instant,
    /// It was part of a call that DynamoDB refused as a whole, and goes alone so that
    /// it is known whose fault that was.
    pub(super) alone: bool,
    came: Instant,
    tries: u32,
    told: oneshot::Sender<Outcome>,
    counted: WaitingGauge,
    _permits: Permits,
}

impl QueuedWrite {
    pub(super) fn new(
        id: u64,
        write: Write,
        deadline: Instant,
        told: oneshot::Sender<Outcome>,
        permits: Permits,
        metrics: &WriterMetrics,
    ) -> QueuedWrite {
        QueuedWrite {
            id,
            counted: WaitingGauge::new(metrics, &write),
            write,
            deadline,
            alone: false,
            came: Instant::now(),
            tries: 0,
            told,
            _permits: permits,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.write.key
    }

    /// Nobody waits for the outcome any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.told.is_closed()
    }

    pub(super) fn tell(self, outcome: Outcome) {
        let metrics = &self.counted.metrics;
        match outcome {
            Ok(()) => metrics.written.increment(1),
            Err(_) => metrics.failed.increment(1),
        }
        let seconds = self.came.elapsed().as_secs_f64();
        metrics.item_seconds.record(seconds);
        let QueuedWrite { told, .. } = self;
        // A caller that is gone has withdrawn.
        let _ = told.send(outcome);
    }

    /// How long to wait before the next try: full jitter.
    pub(super) fn wait(&mut self, config: &Config) -> Duration {
        Duration::from_millis(rand::rng().random_range(0..=self.next_wait(config)))
    }

    /// The same after a call that was not answered and may still be worked off.
    pub(super) fn long_wait(&mut self, config: &Config) -> Duration {
        let least = self.next_wait(config);
        Duration::from_millis(rand::rng().random_range(least..=least.saturating_mul(2)))
    }

    fn next_wait(&mut self, config: &Config) -> u64 {
        let doubled = 1u64 << self.tries.min(DOUBLINGS_MAX);
        self.tries = self.tries.saturating_add(1);
        config
            .retry_ms
            .saturating_mul(doubled)
            .min(config.retry_ms_max)
    }
}
