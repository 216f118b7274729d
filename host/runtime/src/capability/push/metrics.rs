//! The metrics of publishing and of streams.

use metrics::{Counter, Gauge};

use hearth_base::telemetry::{HostMetrics, Metrics};

const STREAMS: &str = "hearth_push_streams";
const PUBLISHED: &str = "hearth_push_events_published_total";
const OFFERED: &str = "hearth_push_events_offered_total";
const BATCHES: &str = "hearth_push_batches_total";
const ENDED: &str = "hearth_push_streams_ended_total";
const REFUSED: &str = "hearth_push_streams_refused_total";
const RESETS: &str = "hearth_push_resets_total";

const COUNTERS: [(&str, &str); 6] = [
    (PUBLISHED, "Events published on this host, by plugin."),
    (
        OFFERED,
        "Events delivered to streams, counted for each stream.",
    ),
    (BATCHES, "Statements that appended events to the log."),
    (ENDED, "Streams that the host ended, by reason."),
    (REFUSED, "Streams that were refused, by reason."),
    (
        RESETS,
        "Reset events sent to streams that may have missed events, by reason.",
    ),
];

fn describe(metrics: &Metrics) {
    for (name, text) in COUNTERS {
        metrics.describe_counter(name, text);
    }
    metrics.describe_gauge(STREAMS, "Open streams, by plugin.");
}

/// The metrics of `push`. Cloning shares them.
#[derive(Clone)]
pub struct PushMetrics {
    metrics: Metrics,
    pub offered: Counter,
    pub batches: Counter,
}

impl PushMetrics {
    /// Take them once.
    pub fn new(host: &HostMetrics) -> Self {
        let metrics = host.registry();
        describe(metrics);
        Self {
            offered: metrics.counter(OFFERED, &[]),
            batches: metrics.counter(BATCHES, &[]),
            metrics: metrics.clone(),
        }
    }

    pub fn streams(&self, plugin: &str) -> Gauge {
        self.metrics.gauge(STREAMS, &[("plugin", plugin)])
    }

    pub fn published(&self, plugin: &str) -> Counter {
        self.metrics.counter(PUBLISHED, &[("plugin", plugin)])
    }

    pub fn ended(&self, reason: &'static str) -> Counter {
        self.metrics.counter(ENDED, &[("reason", reason)])
    }

    pub fn refused(&self, reason: &'static str) -> Counter {
        self.metrics.counter(REFUSED, &[("reason", reason)])
    }

    pub fn reset(&self, reason: &'static str) -> Counter {
        self.metrics.counter(RESETS, &[("reason", reason)])
    }
}
