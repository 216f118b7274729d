//! What this process knows of a queue: who waits for it, whose turn it is, how full
//! it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::line::CustomerLines;
use crate::queue::{Config, customer_text};
use hearth_base::budget::Full;
use hearth_base::telemetry::{HostMetrics, QueueMetrics};

/// What is due already and could not be taken is looked for again after so long.
const PAUSE_MIN: Duration = Duration::from_millis(5);

pub(crate) struct Local {
    pub name: Arc<str>,
    pub metrics: QueueMetrics,
    /// Wakes one who waits for messages. Whoever finds some wakes the next.
    arrived: Notify,
    /// Of those who wait, one looks now and then for what other hosts have sent.
    lookout: tokio::sync::Mutex<()>,
    /// One receive at a time changes them, so that each begins where the one before
    /// has ended.
    pub(super) lines: tokio::sync::Mutex<CustomerLines>,
    counted: AtomicU64,
    sent_since: AtomicU64,
    /// Customers who have a good part of the queue, and those who sent since.
    heavy: Mutex<HashMap<String, u64>>,
}

impl Local {
    pub fn new(name: Arc<str>, metrics: &HostMetrics) -> Local {
        Local {
            metrics: metrics.queue(&name),
            name,
            arrived: Notify::new(),
            lookout: tokio::sync::Mutex::new(()),
            lines: tokio::sync::Mutex::default(),
            counted: AtomicU64::new(0),
            sent_since: AtomicU64::new(0),
            heavy: Mutex::default(),
        }
    }

    /// This host has sent messages: somebody who waits looks at once.
    pub fn sent(&self, messages: u64) {
        self.sent_since.fetch_add(messages, Relaxed);
        self.wake();
    }

    /// This host has sent a message of this customer.
    pub fn sent_by(&self, customer: Option<&Arc<str>>) {
        let customer = customer_text(customer);
        *self.heavy.lock().entry(customer.to_owned()).or_default() += 1;
        self.sent(1);
    }

    pub fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Waits until it is worth to look again; `false` once `until` has come.
    pub async fn wait(&self, until: Instant, due_in: Option<Duration>, poll: Duration) -> bool {
        let pause = due_in.map_or(poll, |due| due.clamp(PAUSE_MIN, poll.max(PAUSE_MIN)));
        let looked = async {
            let _lookout = self.lookout.lock().await;
            sleep(pause).await;
        };
        tokio::select! {
            () = self.arrived.notified() => true,
            () = looked => true,
            () = sleep_until(until) => false,
        }
    }

    /// As far as it was counted; what was sent from here since is added.
    pub fn check_room(&self, customer: &str, config: &Config) -> Result<(), Full> {
        let since = self.sent_since.load(Relaxed);
        let depth = self.counted.load(Relaxed).saturating_add(since);
        let own = self.heavy.lock().get(customer).copied().unwrap_or(0);
        match () {
            () if own >= config.customer_depth_max() => Err(Full::Share),
            () if depth >= config.depth_max => Err(Full::Whole),
            () => Ok(()),
        }
    }

    /// New numbers.
    pub fn set_counted(&self, depth: u64, heavy: HashMap<String, u64>) {
        self.counted.store(depth, Relaxed);
        self.sent_since.store(0, Relaxed);
        *self.heavy.lock() = heavy;
    }
}
