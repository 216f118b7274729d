//! The metrics of queues that are consumed, and of schedules: as `host` has those
//! of everything else.

use metrics::{Counter, Gauge, Histogram};

use super::Metrics;

const MESSAGES: &str = "hearth_consumer_messages_total";
const BATCH_MESSAGES: &str = "hearth_consumer_batch_messages";
const IN_FLIGHT: &str = "hearth_consumer_in_flight";
const SECONDS: &str = "hearth_consumer_seconds";
const SCHEDULED: &str = "hearth_schedule_messages_total";

pub(super) fn describe(metrics: &Metrics) {
    metrics.describe_counter(
        MESSAGES,
        "Messages whose delivery ended, by plugin, queue and disposition.",
    );
    metrics.describe_histogram(BATCH_MESSAGES, "Messages that were received together.");
    metrics.describe_gauge(IN_FLIGHT, "Messages that a guest works on now.");
    metrics.describe_histogram(SECONDS, "Time from sending a message to its being done.");
    metrics.describe_counter(
        SCHEDULED,
        "Messages that were sent by the clock, by plugin and schedule.",
    );
}

/// The metrics of one queue that a plugin consumes.
#[derive(Clone)]
pub struct ConsumerMetrics {
    pub done: Counter,
    pub retried: Counter,
    pub failed: Counter,
    pub given_back: Counter,
    pub dead: Counter,
    pub batch_messages: Histogram,
    pub in_flight: Gauge,
    pub seconds: Histogram,
}

impl ConsumerMetrics {
    pub(super) fn new(metrics: &Metrics, plugin: &str, queue: &str) -> ConsumerMetrics {
        let labels = [("plugin", plugin), ("queue", queue)];
        let by = |disposition| {
            let [plugin, queue] = labels;
            metrics.counter(MESSAGES, &[plugin, queue, ("disposition", disposition)])
        };
        ConsumerMetrics {
            done: by("done"),
            retried: by("retry"),
            failed: by("failed"),
            given_back: by("given-back"),
            dead: by("dead-letter"),
            batch_messages: metrics.histogram(BATCH_MESSAGES, &labels),
            in_flight: metrics.gauge(IN_FLIGHT, &labels),
            seconds: metrics.histogram(SECONDS, &labels),
        }
    }
}

/// Counts the messages of one schedule.
pub(super) fn scheduled(metrics: &Metrics, plugin: &str, schedule: &str) -> Counter {
    metrics.counter(SCHEDULED, &[("plugin", plugin), ("schedule", schedule)])
}
