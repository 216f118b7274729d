//! To the collector, by OTLP over HTTP. What it does not take is dropped and counted:
//! nobody waits for it, and what waits is bounded by the budget of all spans.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::part::EndedPart;
use super::{Config, TraceMetrics};
use crate::telemetry::{self, BackendCall, BackendWatch};

/// How long the end of the process waits for the collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Variables whose values are headers for the collector, which the exporter reads.
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
];

/// Why there can be no exporter: the operator is to blame.
#[derive(Debug, thiserror::Error)]
#[error("telemetry.traces.endpoint: {0}")]
pub struct ExporterError(String);

/// Sends what has ended, until it is stopped.
pub struct Exporter {
    ended: UnboundedReceiver<EndedPart>,
    collector: SpanExporter,
    watch: BackendWatch,
    metrics: TraceMetrics,
    spans_max: usize,
    pause: Duration,
    ms_max: Duration,
}

/// The values of headers that the environment has for the collector: a token is one.
pub fn secret_headers() -> Vec<String> {
    let values = HEADERS.iter().filter_map(|name| std::env::var(name).ok());
    let each = |text: String| -> Vec<String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(_, value)| value.trim().to_owned()).collect()
    };
    values.flat_map(each).collect()
}

impl Exporter {
    pub(super) fn open(
        endpoint: &str,
        telemetry: &telemetry::Config,
        ended: UnboundedReceiver<EndedPart>,
        metrics: TraceMetrics,
    ) -> Result<Exporter, ExporterError> {
        let config = &telemetry.traces;
        let told = |error: &dyn std::error::Error| ExporterError(error.to_string());
        let ms_max = Duration::from_millis(config.export_ms_max);
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let mut collector = SpanExporter::builder()
            .with_http()
            .with_http_client(HyperClient::new(connector()?, ms_max, None))
            .with_endpoint(url)
            .with_timeout(ms_max)
            .build()
            .map_err(|error| told(&error))?;
        collector.set_resource(&resource(config));
        Ok(Exporter {
            ended,
            collector,
            watch: BackendWatch::new("collector", telemetry),
            metrics,
            spans_max: config.export_spans_max,
            pause: Duration::from_millis(config.export_pause_ms),
            ms_max,
        })
    }

    /// Exports what comes; once it is stopped, what is there, for as long as that is worth.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                first = self.ended.recv() => first,
            };
            let Some(first) = first else { return };
            self.export_with_others(first, &stop).await;
        }
        let flush = async {
            while let Ok(first) = self.ended.try_recv() {
                self.export_with_others(first, &stop).await;
            }
        };
        let _ = timeout(FLUSH, flush).await;
    }

    /// One export of a part and of those that come within the pause.
    async fn export_with_others(&mut self, first: EndedPart, stop: &CancellationToken) {
        let until = Instant::now() + self.pause;
        let (mut spans, mut rooms) = (first.spans, vec![first.room]);
        while spans.len() < self.spans_max {
            let next = tokio::select! {
                biased;
                next = self.ended.recv() => next,
                () = stop.cancelled() => None,
                () = sleep_until(until) => None,
            };
            let Some(next) = next else { break };
            spans.extend(next.spans);
            rooms.push(next.room);
        }
        self.export(spans).await;
        // They took memory until now.
        drop(rooms);
    }

    async fn export(&self, spans: Vec<SpanData>) {
        let (count, began) = (spans.len() as u64, Instant::now());
        let exported = timeout(self.ms_max, self.collector.export(spans)).await;
        let reason = match exported {
            Ok(Ok(())) => {
                self.metrics.exported.increment(count);
                // How long it takes is nobody's trouble.
                return self.watch.answered(BackendCall::default(), Duration::ZERO);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not answer within telemetry.traces.export_ms_max".to_owned(),
        };
        self.metrics.unavailable.increment(count);
        let (asked, took) = (BackendCall::default(), began.elapsed());
        self.watch.unavailable(asked, took, &reason);
    }
}

/// What the spans are of. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(config: &Config) -> Resource {
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy().into_owned();
    Resource::builder()
        .with_attribute(KeyValue::new("host.name", machine))
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// TLS is verified by the machine's authorities. A machine without any reaches a
/// collector without TLS all the same.
fn connector() -> Result<HttpsConnector<HttpConnector>, ExporterError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ExporterError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https = HttpsConnectorBuilder::new().with_tls_config(tls);
    Ok(https.https_or_http().enable_http1().build())
}
