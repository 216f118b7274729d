//! Logs on standard error, metrics on the admin listener, traces for a collector, and the
//! removal of secrets from logs.

pub mod consumer;
pub mod distribution;
pub mod documents;
pub mod host;
pub mod logs;
pub mod metrics;
pub mod page;
pub mod queue;
pub mod redact;
pub mod statements;
pub mod trace;
pub mod watch;

use serde::Deserialize;

use crate::bounds;
use crate::section::{DAY_MS, GIB, HOUR_MS, KIB, Mistakes, Section};

pub use self::consumer::ConsumerMetrics;
pub use self::documents::WriterMetrics;
pub use self::host::{HostMetrics, PluginMetrics};
pub use self::logs::{Logs, RecentLines};
pub use self::metrics::Metrics;
pub use self::queue::{DeliveryOutcome, QueueMetrics};
pub use self::redact::Redactor;
pub use self::trace::{Span, SpanKind, TraceScope, Traces};
pub use self::watch::{BackendCall, BackendWatch, Watches};

/// Section `[telemetry]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Lines for people, or one JSON object a line.
    pub log_format: LogFormat,
    /// What is logged, in the directives of `tracing_subscriber::EnvFilter`, for
    /// example `info` or `warn,hearth=debug`. `HEARTH_LOG` overrides it.
    pub log_filter: String,
    /// Bytes of lines that wait for standard error; more are dropped.
    pub log_bytes_waiting_max: usize,
    /// Bytes of the latest lines, which are kept for `hearth logs`.
    pub log_recent_bytes_max: usize,
    /// Readers who follow the log at once.
    pub log_followers_max: usize,
    /// Milliseconds between two passes that move observations into buckets.
    pub metrics_upkeep_ms: u64,
    /// Observations that may wait for such a pass; one more starts it at once,
    /// so that no guest grows the host between two passes.
    pub metrics_pending_max: usize,
    /// A backend is told to be slow once something that it was asked took so many
    /// milliseconds: a statement of a plugin, or an operation of DynamoDB or SQS.
    pub log_slow_ms: u64,
    /// Milliseconds between two lines that tell of the same trouble of a backend.
    pub log_repeat_ms: u64,
    /// Milliseconds without trouble after which a backend is told to be well again.
    pub log_recovered_ms: u64,
    /// A plugin is told to fail once so many of its calls failed in a row.
    pub failing_calls_min: u64,
    pub traces: trace::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Human,
            log_filter: "info".to_owned(),
            log_bytes_waiting_max: 8 << 20,
            log_recent_bytes_max: 1 << 20,
            log_followers_max: 8,
            metrics_upkeep_ms: 5_000,
            metrics_pending_max: 65_536,
            log_slow_ms: 1_000,
            log_repeat_ms: 60_000,
            log_recovered_ms: 10_000,
            failing_calls_min: 50,
            traces: trace::Config::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            log_bytes_waiting_max in 64 * KIB..=GIB,
            log_recent_bytes_max in 0..=GIB,
            log_followers_max in 0..=1_024,
            metrics_upkeep_ms in 100..=60_000,
            metrics_pending_max in 1..=16_777_216,
            log_slow_ms in 1..=HOUR_MS,
            log_repeat_ms in 0..=DAY_MS,
            log_recovered_ms in 0..=HOUR_MS,
            failing_calls_min in 1..=1_000_000,
        }
        if let Err(text) = self.check_filter() {
            mistakes.note("log_filter", text);
        }
        mistakes.section("traces", &self.traces);
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Human,
    Json,
}
