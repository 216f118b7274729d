//! The metrics of queues; those of everything else are in `host`.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::Metrics;

const SENT: &str = "hearth_queue_sent_total";
const REFUSED: &str = "hearth_queue_refused_total";
const RECEIVED: &str = "hearth_queue_received_total";
const SETTLED: &str = "hearth_queue_settled_total";
const DEPTH: &str = "hearth_queue_depth";
const OLDEST: &str = "hearth_queue_oldest_age_seconds";
const RELAYED: &str = "hearth_queue_relayed_total";
const RELAY_LAG: &str = "hearth_queue_relay_lag_seconds";
const FOREIGN: &str = "hearth_queue_foreign_total";

/// How a delivery of a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Done,
    Retry,
    Failed,
    GivenBack,
    Dead,
}

/// Their names, in the order of the outcomes.
const OUTCOMES: [&str; 5] = ["done", "retry", "failed", "given_back", "dead"];

pub(super) fn describe(metrics: &Metrics) {
    metrics.describe_counter(
        SENT,
        "Messages sent by this host, in transactions and outside, by queue.",
    );
    metrics.describe_counter(
        REFUSED,
        "Messages that were refused because the queue was full, by queue.",
    );
    metrics.describe_counter(RECEIVED, "Deliveries of messages to this host, by queue.");
    metrics.describe_counter(
        SETTLED,
        "Deliveries that ended on this host, by queue and outcome (done, retry, failed, given_back, dead).",
    );
    metrics.describe_gauge(
        DEPTH,
        "Messages in a queue of the fleet, by state (waiting, delayed, leased, dead); counted \
         periodically.",
    );
    metrics.describe_gauge(
        OLDEST,
        "Age of the oldest message that is ready to be received.",
    );
    metrics.describe_counter(RELAYED, "Messages of the outbox handed over to SQS.");
    metrics.describe_histogram(
        RELAY_LAG,
        "Time from when a message of the outbox was due to its arrival in SQS.",
    );
    metrics.describe_counter(
        FOREIGN,
        "Messages in SQS that were not signed by this fleet.",
    );
}

/// The metrics of one queue.
#[derive(Clone)]
pub struct QueueMetrics {
    pub sent: Counter,
    pub full: Counter,
    pub received: Counter,
    pub relayed: Counter,
    pub relay_lag_seconds: Histogram,
    pub foreign: Counter,
    /// In the order of the outcomes.
    settled: [Counter; 5],
    depths: [Gauge; 4],
    oldest_age_seconds: Gauge,
}

impl QueueMetrics {
    pub(super) fn new(metrics: &Metrics, queue: &str) -> QueueMetrics {
        let labels = [("queue", queue)];
        let settled = |outcome| {
            let labels = [("queue", queue), ("outcome", outcome)];
            metrics.counter(SETTLED, &labels)
        };
        let depth = |state| metrics.gauge(DEPTH, &[("queue", queue), ("state", state)]);
        QueueMetrics {
            sent: metrics.counter(SENT, &labels),
            full: metrics.counter(REFUSED, &labels),
            received: metrics.counter(RECEIVED, &labels),
            relayed: metrics.counter(RELAYED, &labels),
            relay_lag_seconds: metrics.histogram(RELAY_LAG, &labels),
            foreign: metrics.counter(FOREIGN, &labels),
            settled: OUTCOMES.map(settled),
            depths: ["waiting", "delayed", "leased", "dead"].map(depth),
            oldest_age_seconds: metrics.gauge(OLDEST, &labels),
        }
    }

    /// Counts one delivery that has ended.
    pub fn count_settled(&self, outcome: DeliveryOutcome) {
        if let Some(counter) = self.settled.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// Messages that are waiting, delayed, leased and dead, and since when the oldest
    /// waits. Exact up to 2^53 messages.
    pub fn set_depth(&self, by_state: [u64; 4], oldest_age: Option<Duration>) {
        for (gauge, number) in self.depths.iter().zip(by_state) {
            gauge.set(number as f64);
        }
        let oldest = oldest_age.unwrap_or(Duration::ZERO);
        self.oldest_age_seconds.set(oldest.as_secs_f64());
    }
}
