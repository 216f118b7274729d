//! The registry behind the admin listener's `/metrics`.
//!
//! It is held by value and handed to whoever counts; there is no global
//! recorder. Hot paths take a handle once and keep it:
//!
//! ```
//! use hearth_base::telemetry::{Config, Metrics};
//!
//! let metrics = Metrics::new(&Config::default());
//! metrics.describe_counter("bread_baked_total", "Loaves that left the oven.");
//! let baked = metrics.counter("bread_baked_total", &[("kind", "rye")]);
//! baked.increment(2);
//! assert!(metrics.render().contains("bread_baked_total{kind=\"rye\"} 2"));
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Config;

/// Bounds for names that end in `_seconds`: from a warm call to the wall limit.
const SECONDS: [f64; 18] = [
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Bounds for names that end in `_bytes`: from a line to the memory ceiling.
const BYTES: [f64; 12] = [
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];
/// Bounds for every other unit.
const NUMBERS: [f64; 14] = [
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0, 100_000.0,
];
const METADATA: Metadata<'static> = Metadata::new(
    "hearth",
    Level::INFO,
    Some("hearth_base::telemetry::metrics"),
);

/// All numbers of this process. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    pending: Arc<Pending>,
    config: Arc<Config>,
}

impl Metrics {
    pub fn new(config: &Config) -> Self {
        let recorder = Arc::new(recorder());
        let pending = Arc::new(Pending {
            count: AtomicUsize::new(0),
            max: config.metrics_pending_max.max(1),
            handle: recorder.handle(),
        });
        Self {
            recorder,
            pending,
            config: Arc::new(config.clone()),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The counter of this name and these labels, made where it does not exist.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        self.recorder
            .register_counter(&key(name, labels), &METADATA)
    }

    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram whose buckets follow the unit at the end of its name.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        let inner = self
            .recorder
            .register_histogram(&key(name, labels), &METADATA);
        let pending = Arc::clone(&self.pending);
        Histogram::from_arc(Arc::new(Bounded { inner, pending }))
    }

    pub fn describe_counter(&self, name: &str, text: &'static str) {
        self.recorder
            .describe_counter(name.to_owned().into(), None, text.into());
    }

    pub fn describe_gauge(&self, name: &str, text: &'static str) {
        self.recorder
            .describe_gauge(name.to_owned().into(), None, text.into());
    }

    pub fn describe_histogram(&self, name: &str, text: &'static str) {
        self.recorder
            .describe_histogram(name.to_owned().into(), None, text.into());
    }

    /// Everything in Prometheus's text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.pending.count.store(0, Ordering::Relaxed);
        self.pending.handle.render()
    }

    /// Moves observations into their buckets every `metrics_upkeep_ms`, until the
    /// future is dropped. Without it they wait for `metrics_pending_max`.
    pub async fn run_upkeep(self, config: Config) {
        let period = Duration::from_millis(config.metrics_upkeep_ms.max(1));
        loop {
            tokio::time::sleep(period).await;
            self.pending.drain();
        }
    }
}

/// Counts the observations that lie in the recorder's buffers, which grow until
/// someone drains them.
struct Pending {
    count: AtomicUsize,
    max: usize,
    handle: PrometheusHandle,
}

impl Pending {
    fn add(&self, observations: usize) {
        let before = self.count.fetch_add(observations, Ordering::Relaxed);
        // Only the one who crosses the line drains; the rest go on.
        if before < self.max && before.saturating_add(observations) >= self.max {
            self.drain();
        }
    }

    fn drain(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.handle.run_upkeep();
    }
}

struct Bounded {
    inner: Histogram,
    pending: Arc<Pending>,
}

impl HistogramFn for Bounded {
    fn record(&self, value: f64) {
        self.inner.record(value);
        self.pending.add(1);
    }
}

/// The exporter takes a lone backslash for one that already escapes something,
/// so that `a\"b` and `a"b` would become one series: it gets them in pairs.
fn key(name: &str, labels: &[(&str, &str)]) -> Key {
    let label =
        |(name, value): &(&str, &str)| Label::new((*name).to_owned(), value.replace('\\', "\\\\"));
    let labels: Vec<Label> = labels.iter().map(label).collect();
    Key::from_parts(name.to_owned(), labels)
}

/// The builder refuses empty bucket lists alone, and none here is empty, so a
/// refusal would leave the builder's default and lose nothing but resolution.
fn recorder() -> PrometheusRecorder {
    let buckets = |builder: PrometheusBuilder, suffix: &str, values: &[f64]| {
        let matcher = Matcher::Suffix(suffix.to_owned());
        builder.set_buckets_for_metric(matcher, values)
    };
    PrometheusBuilder::new()
        .set_buckets(&NUMBERS)
        .and_then(|builder| buckets(builder, "_seconds", &SECONDS))
        .and_then(|builder| buckets(builder, "_bytes", &BYTES))
        .unwrap_or_else(|_| PrometheusBuilder::new())
        .build_recorder()
}
