//! Traces: where the time of one request goes, from the edge to the last consumer of
//! what it sent.
//!
//! What one request or one call of a consumer does on this host is a part of a trace.
//! Its spans are kept until it has ended, and then exported or forgotten: exported where
//! the trace was sampled at its head, and always where something in it failed or it took
//! long. Other hosts and consumers learn of the trace through `traceparent`, in a header
//! or beside a message, and keep their own part.
//!
//! Spans hold names that the host or a plugin's author chose, numbers and outcomes: no
//! SQL, no parameter, no key, no body and no query of a URL.
//!
//! Where no collector is configured there is no part, and each span costs a comparison.

mod context;
mod export;
mod part;
mod span;

use std::sync::Arc;

use http::{HeaderMap, Method};
use metrics::Counter;
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::ShouldSample;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{HostMetrics, Metrics};
use crate::budget::{Budget, Customer, Full};

pub use self::context::{RemoteParent, forward, traceparent};
pub use self::export::{Exporter, ExporterError, secret_headers};
use self::part::{EndedPart, TracePart};
pub use self::span::{Span, TraceScope};
use crate::bounds;
use crate::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};
pub use opentelemetry::trace::SpanKind;

/// Those that OpenTelemetry's conventions know.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

const EXPORTED: &str = "hearth_trace_spans_exported_total";
const DROPPED: &str = "hearth_trace_spans_dropped_total";

/// Section `[telemetry.traces]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where a collector takes OTLP over HTTP, for example `http://127.0.0.1:4318`;
    /// `/v1/traces` is put behind it. Without it there are no traces.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` overrides it.
    pub endpoint: Option<String>,
    /// What the collector calls this host. `OTEL_SERVICE_NAME` overrides it.
    pub service_name: String,
    /// The part of the traces that begin here which are exported, from 0 to 1. What
    /// failed or took long always is. `OTEL_TRACES_SAMPLER_ARG` overrides it.
    pub sample_ratio: f64,
    /// Whether the decision of whoever calls is kept, where it comes with the request.
    pub parent_based: bool,
    /// A request or a consumer's call that takes so many milliseconds took long.
    pub slow_ms: u64,
    /// Spans of one request or one consumer's call, and their bytes in memory.
    pub spans_max: usize,
    pub span_bytes_max: usize,
    /// Bytes of all spans in memory: of what is under way, and of what waits for the
    /// collector.
    pub bytes_max: usize,
    /// What one customer may have of them, in percent.
    pub customer_percent_max: u64,
    /// Spans of one export, about.
    pub export_spans_max: usize,
    /// Milliseconds that ended spans wait for others.
    pub export_pause_ms: u64,
    /// Milliseconds for one export, repetitions included.
    pub export_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            service_name: "hearth".to_owned(),
            sample_ratio: 0.1,
            parent_based: true,
            slow_ms: 1_000,
            spans_max: 512,
            span_bytes_max: 512 << 10,
            bytes_max: 32 << 20,
            customer_percent_max: 50,
            export_spans_max: 512,
            export_pause_ms: 1_000,
            export_ms_max: 10_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            slow_ms in 1..=HOUR_MS,
            spans_max in 1..=100_000,
            span_bytes_max in 4 * KIB..=64 * MIB,
            bytes_max in 64 * KIB..=4 * GIB,
            customer_percent_max in 1..=100,
            export_spans_max in 1..=100_000,
            export_pause_ms in 0..=60_000,
            export_ms_max in 1..=600_000,
        }
        for (key, checked) in [
            ("endpoint", self.check_endpoint()),
            ("sample_ratio", self.check_ratio()),
        ] {
            if let Err(text) = checked {
                mistakes.note(key, text);
            }
        }
    }
}

impl Config {
    /// Says what is wrong with `endpoint`.
    pub fn check_endpoint(&self) -> Result<(), String> {
        let is_url = |endpoint: &String| {
            let url = url::Url::parse(endpoint);
            url.is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        };
        match self.endpoint.as_ref().is_none_or(is_url) {
            true => Ok(()),
            false => Err("expected a URL, for example \"http://127.0.0.1:4318\"".to_owned()),
        }
    }

    /// Says what is wrong with `sample_ratio`.
    pub fn check_ratio(&self) -> Result<(), String> {
        match (0.0..=1.0).contains(&self.sample_ratio) {
            true => Ok(()),
            false => Err(format!("expected 0 to 1, found {}", self.sample_ratio)),
        }
    }
}

/// The traces of this process. Cloning shares them.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// What all parts of traces have in common.
struct Recorder {
    config: Config,
    ids: RandomIdGenerator,
    sampler: Sampler,
    budget: Budget<Customer>,
    ended: UnboundedSender<EndedPart>,
    metrics: TraceMetrics,
}

/// What became of spans. Cloning shares it.
#[derive(Clone)]
struct TraceMetrics {
    exported: Counter,
    /// The request had more than it may have.
    over_limit: Counter,
    /// All spans together took what they may take.
    no_room: Counter,
    share_full: Counter,
    /// The collector did not take them.
    unavailable: Counter,
}

impl TraceMetrics {
    fn new(metrics: &Metrics) -> TraceMetrics {
        let dropped = |reason| metrics.counter(DROPPED, &[("reason", reason)]);
        TraceMetrics {
            exported: metrics.counter(EXPORTED, &[]),
            over_limit: dropped("over_limit"),
            no_room: dropped("no_room"),
            share_full: dropped("share_full"),
            unavailable: dropped("unavailable"),
        }
    }

    fn count_full(&self, full: Full) {
        match full {
            Full::Whole => self.no_room.increment(1),
            Full::Share => self.share_full.increment(1),
        }
    }
}

pub(super) fn describe(metrics: &Metrics) {
    metrics.describe_counter(EXPORTED, "Spans that the collector has accepted.");
    metrics.describe_counter(
        DROPPED,
        "Spans that should have been exported and were not, by reason.",
    );
}

/// What a span calls a method: a client may make up any other.
pub fn method_name(method: &Method) -> &str {
    match METHODS.contains(method) {
        true => method.as_str(),
        false => "_OTHER",
    }
}

impl Traces {
    /// Opens them where a collector is configured. Nothing is exported before the
    /// exporter runs.
    ///
    /// # Errors
    /// Where the endpoint is none.
    pub fn open(
        telemetry: &super::Config,
        metrics: &HostMetrics,
    ) -> Result<(Traces, Option<Exporter>), ExporterError> {
        let config = &telemetry.traces;
        let Some(endpoint) = &config.endpoint else {
            return Ok((Traces::default(), None));
        };
        let own = TraceMetrics::new(&metrics.metrics);
        let (ended, received) = unbounded_channel();
        let exporter = Exporter::open(endpoint, telemetry, received, own.clone())?;
        let recorder = Recorder {
            ids: RandomIdGenerator::default(),
            sampler: Sampler::TraceIdRatioBased(config.sample_ratio),
            budget: Budget::new(config.bytes_max, config.customer_percent_max),
            config: config.clone(),
            ended,
            metrics: own,
        };
        Ok((Traces(Some(Arc::new(recorder))), Some(exporter)))
    }

    /// The span of a request, in the trace that its headers name.
    pub fn serve(&self, headers: &HeaderMap) -> Span {
        let Some(recorder) = &self.0 else {
            return Span::default();
        };
        recorder.begin(context::parent_of(headers), Vec::new(), SpanKind::Server)
    }

    /// The span of handing a message on, below that of its sender.
    pub fn relay(&self, sender: &str) -> Span {
        match (&self.0, context::parse(sender)) {
            (Some(recorder), Some(sender)) => {
                recorder.begin(Some(sender), Vec::new(), SpanKind::Producer)
            }
            _ => Span::default(),
        }
    }

    /// The span of a consumer's call. Messages of one trace continue it; where they come
    /// from several, the call has a trace of its own with a link to each.
    pub fn consume<'t>(&self, senders: impl Iterator<Item = &'t str>) -> Span {
        let Some(recorder) = &self.0 else {
            return Span::default();
        };
        let mut links: Vec<RemoteParent> = Vec::new();
        for sender in senders.filter_map(context::parse) {
            // Messages that were sent together have one span.
            if !links.contains(&sender) {
                links.push(sender);
            }
        }
        let (first, others) = match links.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, &[][..]),
        };
        let is_joined = |first: &&RemoteParent| others.iter().all(|one| first.joins(one));
        match first.filter(is_joined).cloned() {
            Some(first) => recorder.begin(Some(first), others.to_vec(), SpanKind::Consumer),
            None => recorder.begin(None, links, SpanKind::Consumer),
        }
    }
}

impl Recorder {
    fn begin(
        self: &Arc<Self>,
        parent: Option<RemoteParent>,
        links: Vec<RemoteParent>,
        kind: SpanKind,
    ) -> Span {
        let trace_id = match &parent {
            Some(parent) => parent.context.trace_id(),
            None => self.ids.new_trace_id(),
        };
        let told = match (&parent, links.is_empty()) {
            (Some(parent), _) => parent.sampled,
            (None, true) => None,
            (None, false) => Some(links.iter().any(|link| link.sampled == Some(true))),
        };
        // What comes of a message follows its sender, which is a host of this fleet.
        let told = told.filter(|_| self.config.parent_based || kind != SpanKind::Server);
        let sampled = told.unwrap_or_else(|| {
            let name = "";
            let result = self
                .sampler
                .should_sample(None, trace_id, name, &kind, &[], &[]);
            result.decision == SamplingDecision::RecordAndSample
        });
        let parent = parent.map(|parent| parent.context);
        let part = TracePart::new(self.clone(), trace_id, sampled, parent.as_ref());
        let links: Vec<SpanContext> = links.into_iter().map(|link| link.context).collect();
        Span::first(Arc::new(part), kind, parent.as_ref(), links)
    }
}
