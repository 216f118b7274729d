//! A collector of traces: OTLP over HTTP, read with the protocol's own messages.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use tokio::net::TcpListener;

use super::host::Setup;
use super::postgres::until;

/// On a port of the system's choice, until the test's runtime ends.
#[derive(Clone)]
pub struct Collector {
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    resources: Vec<KeyValue>,
    headers: Vec<http::HeaderMap>,
    spans: Vec<CollectedSpan>,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct CollectedSpan(pub Span);

impl CollectedSpan {
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn trace(&self) -> String {
        hex::encode(&self.0.trace_id)
    }

    pub fn id(&self) -> String {
        hex::encode(&self.0.span_id)
    }

    /// Empty for one that began its trace.
    pub fn parent(&self) -> String {
        hex::encode(&self.0.parent_span_id)
    }

    pub fn kind(&self) -> SpanKind {
        self.0.kind()
    }

    pub fn has_failed(&self) -> bool {
        let status = self.0.status.as_ref();
        status.is_some_and(|status| status.code() == StatusCode::Error)
    }

    /// An attribute as a text; empty where there is none.
    pub fn attribute(&self, key: &str) -> String {
        text_of(&self.0.attributes, key)
    }

    /// What others are told of it: `00-trace-id-01` where it was sampled.
    pub fn traceparent(&self) -> String {
        let flags = self.0.flags & 0xff;
        format!("00-{}-{}-{flags:02x}", self.trace(), self.id())
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        other => panic!("{key}: {other:?}"),
    }
}

impl Collector {
    pub async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Collector {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        tokio::spawn(collector.clone().serve(listener));
        collector
    }

    /// A host that exports to it what `more` says, soon.
    pub fn configure(&self, setup: Setup, more: &str) -> Setup {
        setup.config(&format!(
            "[telemetry]\nlog_format = \"json\"\n[telemetry.traces]\nendpoint = {:?}\n\
             export_pause_ms = 20\n{more}",
            self.url
        ))
    }

    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.state.lock().unwrap().spans.clone()
    }

    /// Those of one trace.
    pub fn trace(&self, id: &str) -> Vec<CollectedSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace() == id);
        spans
    }

    /// The first of that name, once it is there.
    pub async fn named(&self, name: &str) -> CollectedSpan {
        let found = || self.spans().into_iter().find(|span| span.name() == name);
        until(async || found().is_some()).await;
        found().unwrap()
    }

    pub fn resource(&self, key: &str) -> String {
        text_of(&self.state.lock().unwrap().resources, key)
    }

    /// A header of the first export.
    pub fn header(&self, name: &str) -> String {
        let state = self.state.lock().unwrap();
        let value = state.headers.first().and_then(|all| all.get(name));
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let collector = self.clone();
            let service = service_fn(move |request| collector.clone().take(request));
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        assert_eq!(head.uri.path(), "/v1/traces");
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        let body = body.collect().await.unwrap().to_bytes();
        let export = ExportTraceServiceRequest::decode(body).unwrap();
        let mut state = self.state.lock().unwrap();
        state.headers.push(head.headers);
        for of_resource in export.resource_spans {
            state.resources = of_resource.resource.unwrap().attributes;
            let spans = of_resource.scope_spans.into_iter();
            let spans = spans.flat_map(|of_scope| of_scope.spans);
            state.spans.extend(spans.map(CollectedSpan));
        }
        Ok(Response::new(Full::default()))
    }
}
