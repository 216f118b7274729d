//! The admin listener: another socket than the public one, loopback by default.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::edge::problem::Problem;
use crate::server::{Answer, Edge};
use crate::telemetry::HostMetrics;

/// Prometheus's text format, version 0.0.4.
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Everything that answers requests on the admin listener.
pub struct Admin {
    pub edge: Arc<Edge>,
    pub metrics: HostMetrics,
}

impl Admin {
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Problem::method_not_allowed(&["GET", "HEAD"]).into_response("admin", path);
        }
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => self.edge.health.alive(),
            "/readyz" => self.edge.ready().await,
            _ => Problem::not_found().into_response("admin", path),
        }
    }

    fn metrics(&self) -> Answer {
        let text = self.metrics.render();
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        answer.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
        answer
    }
}
