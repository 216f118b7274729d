//! The metrics of the host as a whole: their names, labels and help texts. Those of
//! capabilities lie with them, in a file `metrics.rs`. Dashboards depend on all of them.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram};

use super::Metrics;
use super::consumer::{self, ConsumerMetrics};
use super::documents::{self, WriterMetrics};
use super::page::Sources;
use super::queue::{self, QueueMetrics};
use super::trace;
use super::watch::Watches;

const STATUS_MIN: u16 = 100;
const STATUS_MAX: u16 = 999;

const RESPONSE_CACHE: &str = "hearth_response_cache_total";
const REQUESTS_LIMITED: &str = "hearth_requests_limited_total";
const CONNECTIONS_ENDED: &str = "hearth_connections_ended_total";
const PLUGIN_METRICS_DROPPED: &str = "hearth_plugin_metrics_dropped_total";
const PLUGIN_LOG_LINES_DROPPED: &str = "hearth_plugin_log_lines_dropped_total";

const BODIES_BYTES: &str = "hearth_bodies_bytes";
const IDEMPOTENT: &str = "hearth_idempotency_total";

const COUNTERS: [(&str, &str); 9] = [
    (
        IDEMPOTENT,
        "Requests whose Idempotency-Key was used before, by outcome.",
    ),
    (
        CONNECTIONS_ENDED,
        "Connections of clients that the host refused or ended, by reason.",
    ),
    (
        RESPONSE_CACHE,
        "Requests to routes with a response cache, by outcome.",
    ),
    (
        "hearth_requests_total",
        "Requests answered, by plugin and HTTP status.",
    ),
    (
        "hearth_calls_shed_total",
        "Calls refused because a limit was reached, by reason.",
    ),
    (
        REQUESTS_LIMITED,
        "Requests refused by the rate limit, by the customer's tier.",
    ),
    (
        "hearth_guest_traps_total",
        "Calls that ended in a trap, by kind.",
    ),
    (
        PLUGIN_LOG_LINES_DROPPED,
        "Log lines of plugins that were dropped, by reason.",
    ),
    (
        PLUGIN_METRICS_DROPPED,
        "Samples of plugins' own metrics that were dropped, by reason.",
    ),
];
const GAUGES: [(&str, &str); 11] = [
    (
        BODIES_BYTES,
        "Memory used by request bodies in progress, by size: small or large.",
    ),
    (
        "hearth_answers_bytes",
        "Bytes of answers that clients have not read yet.",
    ),
    (
        "hearth_requests_under_way",
        "Requests in progress, without streams.",
    ),
    (
        "hearth_response_cache_bytes",
        "Bytes in the response cache.",
    ),
    (
        "hearth_calls_waiting",
        "Calls waiting for an instance, by plugin.",
    ),
    (
        "hearth_instances_waiting",
        "Idle instances, ready for a call.",
    ),
    (
        "hearth_deployments_live",
        "Deployments in memory, serving or draining.",
    ),
    (
        "hearth_instances_in_flight",
        "Instances running a call now.",
    ),
    (
        "hearth_process_resident_bytes",
        "Resident memory of this process.",
    ),
    ("hearth_connections", "Open connections of clients."),
    (
        "hearth_build_info",
        "Always 1; the labels have the version.",
    ),
];
const HISTOGRAMS: [(&str, &str); 4] = [
    (
        "hearth_request_seconds",
        "Time from a request's head to its answer.",
    ),
    (
        "hearth_guest_cpu_seconds",
        "CPU time of one call of a plugin.",
    ),
    (
        "hearth_guest_memory_peak_bytes",
        "Largest linear memory during one call of a plugin.",
    ),
    ("hearth_compile_seconds", "Time to compile a component."),
];

/// The metrics of the host as a whole, with handles for its hot paths.
#[derive(Clone)]
pub struct HostMetrics {
    pub(super) metrics: Metrics,
    pub connections: Gauge,
    pub deployments_live: Gauge,
    pub compile_seconds: Histogram,
    pub process_resident_bytes: Gauge,
    /// The health of Postgres, DynamoDB and SQS.
    pub watches: Arc<Watches>,
    /// What writes its own families behind those of the registry.
    pub sources: Sources,
}

impl HostMetrics {
    /// Describes every metric of the host and sets `hearth_build_info`.
    pub fn new(metrics: &Metrics) -> Self {
        describe(metrics);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        metrics.gauge("hearth_build_info", &version).set(1.0);
        let watches = Arc::new(Watches::new(metrics.config()));
        let host = Self {
            connections: metrics.gauge("hearth_connections", &[]),
            deployments_live: metrics.gauge("hearth_deployments_live", &[]),
            compile_seconds: metrics.histogram("hearth_compile_seconds", &[]),
            process_resident_bytes: metrics.gauge("hearth_process_resident_bytes", &[]),
            metrics: metrics.clone(),
            watches,
            sources: Sources::default(),
        };
        host.sources.add(&host.watches);
        host
    }

    /// Where metrics are made that lie with what they count.
    pub fn registry(&self) -> &Metrics {
        &self.metrics
    }

    /// The metrics of one plugin. Take them once, when the plugin is deployed.
    pub fn plugin(&self, plugin: &str) -> PluginMetrics {
        PluginMetrics::new(&self.metrics, plugin)
    }

    /// The metrics of one queue that a plugin consumes. Take them once.
    pub fn consumer(&self, plugin: &str, queue: &str) -> ConsumerMetrics {
        ConsumerMetrics::new(&self.metrics, plugin, queue)
    }

    /// Counts messages that a schedule sent.
    pub fn scheduled(&self, plugin: &str, schedule: &str) -> Counter {
        consumer::scheduled(&self.metrics, plugin, schedule)
    }

    /// The metrics of one queue. Take them once.
    pub fn queue(&self, queue: &str) -> QueueMetrics {
        QueueMetrics::new(&self.metrics, queue)
    }

    /// Counts requests that the rate limit of a tier refused.
    pub fn requests_limited(&self, tier: &'static str) -> Counter {
        self.metrics.counter(REQUESTS_LIMITED, &[("tier", tier)])
    }

    /// Counts a request with an idempotency key that was used before, by outcome.
    pub fn count_idempotent(&self, told: &'static str) {
        self.metrics
            .counter(IDEMPOTENT, &[("told", told)])
            .increment(1);
    }

    /// Counts a connection that was refused or ended before the client wanted.
    pub fn count_connection_ended(&self, reason: &'static str) {
        let labels = [("reason", reason)];
        self.metrics
            .counter(CONNECTIONS_ENDED, &labels)
            .increment(1);
    }

    /// Counts requests to routes with a response cache.
    pub fn response_cache(&self, outcome: &'static str) -> Counter {
        self.metrics
            .counter(RESPONSE_CACHE, &[("outcome", outcome)])
    }

    /// How much the answers take that are kept.
    pub fn bodies_bytes(&self, size: &'static str) -> Gauge {
        self.metrics.gauge(BODIES_BYTES, &[("size", size)])
    }

    pub fn answers_bytes(&self) -> Gauge {
        self.metrics.gauge("hearth_answers_bytes", &[])
    }

    pub fn requests_under_way(&self) -> Gauge {
        self.metrics.gauge("hearth_requests_under_way", &[])
    }

    pub fn response_cache_bytes(&self) -> Gauge {
        self.metrics.gauge("hearth_response_cache_bytes", &[])
    }

    /// The metrics of the batch writer. Take them once.
    pub fn documents_writer(&self) -> WriterMetrics {
        WriterMetrics::new(&self.metrics)
    }

    /// Counts samples of a plugin's own metrics that were dropped.
    pub fn plugin_metrics_dropped(&self, plugin: &str, reason: &'static str) -> Counter {
        let labels = [("plugin", plugin), ("reason", reason)];
        self.metrics.counter(PLUGIN_METRICS_DROPPED, &labels)
    }

    /// Counts lines of a plugin that were dropped or cut.
    pub fn plugin_log_lines_dropped(&self, plugin: &str, reason: &'static str) -> Counter {
        let labels = [("plugin", plugin), ("reason", reason)];
        self.metrics.counter(PLUGIN_LOG_LINES_DROPPED, &labels)
    }

    /// Reads the resident memory of this process anew. Called before rendering.
    pub fn refresh(&self) {
        if let Some(bytes) = resident_bytes() {
            self.process_resident_bytes.set(bytes);
        }
    }

    /// Refreshes what is read on demand, and renders everything.
    pub fn render(&self) -> String {
        self.refresh();
        self.sources.behind(self.metrics.render())
    }
}

/// The metrics of one plugin. Cloning shares them.
#[derive(Clone)]
pub struct PluginMetrics {
    metrics: Metrics,
    plugin: Arc<str>,
    requests: Arc<[OnceLock<Counter>]>,
    pub request_seconds: Histogram,
    pub guest_cpu_seconds: Histogram,
    pub guest_memory_peak_bytes: Histogram,
    pub instances_in_flight: Gauge,
    /// Calls that have no instance yet, because others are before them.
    pub calls_waiting: Gauge,
    /// Made ahead, or waiting for their next call.
    pub instances_waiting: Gauge,
}

impl PluginMetrics {
    fn new(metrics: &Metrics, plugin: &str) -> Self {
        let labels = [("plugin", plugin)];
        Self {
            plugin: plugin.into(),
            requests: (STATUS_MIN..=STATUS_MAX).map(|_| OnceLock::new()).collect(),
            request_seconds: metrics.histogram("hearth_request_seconds", &labels),
            guest_cpu_seconds: metrics.histogram("hearth_guest_cpu_seconds", &labels),
            guest_memory_peak_bytes: metrics.histogram("hearth_guest_memory_peak_bytes", &labels),
            instances_in_flight: metrics.gauge("hearth_instances_in_flight", &labels),
            calls_waiting: metrics.gauge("hearth_calls_waiting", &labels),
            instances_waiting: metrics.gauge("hearth_instances_waiting", &labels),
            metrics: metrics.clone(),
        }
    }

    /// Counts one answered request. The counter of a status is found once and
    /// kept, since this is on the way of every request.
    pub fn count_request(&self, status: u16) {
        let index = usize::from(status.clamp(STATUS_MIN, STATUS_MAX) - STATUS_MIN);
        if let Some(counter) = self.requests.get(index) {
            counter
                .get_or_init(|| self.requests_counter(status))
                .increment(1);
        }
    }

    fn requests_counter(&self, status: u16) -> Counter {
        let status = status.to_string();
        let labels = [("plugin", &*self.plugin), ("status", &status)];
        self.metrics.counter("hearth_requests_total", &labels)
    }

    /// Counts a call that was refused. `reason` is a name of the host's own, so
    /// that the number of series stays known: `in_flight`, `wait`, `host` ...
    pub fn count_shed(&self, reason: &'static str) {
        let labels = [("plugin", &*self.plugin), ("reason", reason)];
        self.metrics
            .counter("hearth_calls_shed_total", &labels)
            .increment(1);
    }

    /// Counts a call that ended in a trap: `cpu`, `memory`, `stack`, `wall` ...
    pub fn count_trap(&self, kind: &'static str) {
        let labels = [("plugin", &*self.plugin), ("kind", kind)];
        self.metrics
            .counter("hearth_guest_traps_total", &labels)
            .increment(1);
    }
}

fn describe(metrics: &Metrics) {
    for (name, text) in COUNTERS {
        metrics.describe_counter(name, text);
    }
    for (name, text) in GAUGES {
        metrics.describe_gauge(name, text);
    }
    for (name, text) in HISTOGRAMS {
        metrics.describe_histogram(name, text);
    }
    consumer::describe(metrics);
    documents::describe(metrics);
    queue::describe(metrics);
    trace::describe(metrics);
}

/// The line `VmRSS` of `/proc/self/status`, which is in KiB.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}
