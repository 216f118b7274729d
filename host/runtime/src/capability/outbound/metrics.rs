//! The metrics of outbound requests. No label names a destination: there are too many
//! of them, and a URL may contain a secret.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use hearth_base::telemetry::{HostMetrics, Metrics};

const CALLS: &str = "hearth_outbound_calls_total";
const SECONDS: &str = "hearth_outbound_seconds";
const OPENED: &str = "hearth_outbound_connections_opened_total";
const REUSED: &str = "hearth_outbound_connections_reused_total";
const CONNECTIONS: &str = "hearth_outbound_connections";
const BREAKERS: &str = "hearth_outbound_breakers_open";

fn describe(metrics: &Metrics) {
    let counters = [
        (CALLS, "Outbound requests of plugins, by outcome."),
        (OPENED, "Outbound connections opened."),
        (REUSED, "Outbound requests that reused a connection."),
    ];
    for (name, text) in counters {
        metrics.describe_counter(name, text);
    }
    metrics.describe_histogram(SECONDS, "Time of an outbound request, by plugin.");
    metrics.describe_gauge(CONNECTIONS, "Open outbound connections.");
    metrics.describe_gauge(
        BREAKERS,
        "Destinations whose circuit breaker is open or half open.",
    );
}

/// What all plugins' connections have in common.
#[derive(Clone)]
pub struct OutboundConnections {
    pub connections_opened: Counter,
    pub connections_reused: Counter,
    pub open: Gauge,
    pub breakers_open: Gauge,
}

/// The requests of one plugin. Cloning shares them.
#[derive(Clone)]
pub struct OutboundMetrics {
    metrics: Metrics,
    plugin: Arc<str>,
    seconds: Histogram,
}

impl OutboundConnections {
    /// Take them once.
    pub fn new(host: &HostMetrics) -> OutboundConnections {
        let metrics = host.registry();
        describe(metrics);
        OutboundConnections {
            connections_opened: metrics.counter(OPENED, &[]),
            connections_reused: metrics.counter(REUSED, &[]),
            open: metrics.gauge(CONNECTIONS, &[]),
            breakers_open: metrics.gauge(BREAKERS, &[]),
        }
    }
}

impl OutboundMetrics {
    /// Take them once, when the plugin is deployed.
    pub fn new(host: &HostMetrics, plugin: &str) -> OutboundMetrics {
        let metrics = host.registry();
        OutboundMetrics {
            plugin: plugin.into(),
            seconds: metrics.histogram(SECONDS, &[("plugin", plugin)]),
            metrics: metrics.clone(),
        }
    }

    /// Counts a request that ended. `outcome` is a name of the host's own:
    /// `answered`, `timeout`, `blocked_address` ...
    pub fn ended(&self, outcome: &'static str, took: Duration) {
        let labels = [("plugin", &*self.plugin), ("outcome", outcome)];
        self.metrics.counter(CALLS, &labels).increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}
