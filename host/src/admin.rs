//! The admin listener: another socket than the public one, loopback by default.
//! Metrics and health are for everybody who reaches it, the rest wants a token.

mod api;
mod dead_letters;
pub mod token;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::backend::queue::Queues;
use crate::deploy::rollout::Rollout;
use crate::edge::problem::Problem;
use crate::server::Edge;
use crate::telemetry::{HostMetrics, Redactor};
use token::Token;

/// Prometheus's text format, version 0.0.4.
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// An answer that may be told bit by bit.
pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Everything that answers requests on the admin listener.
pub struct Admin {
    pub edge: Arc<Edge>,
    pub metrics: HostMetrics,
    pub rollout: Arc<Rollout>,
    pub queues: Queues,
    /// Takes secrets out of what is shown of messages.
    pub redactor: Redactor,
    pub token: Token,
}

impl Admin {
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_string();
        let answered = match path.as_str() {
            "/metrics" => only_get(&request).map(|()| whole(self.metrics())),
            "/healthz" => only_get(&request).map(|()| whole(self.edge.own.health.alive())),
            "/readyz" => match only_get(&request) {
                Ok(()) => Ok(whole(self.edge.ready().await)),
                Err(problem) => Err(problem),
            },
            _ if request.headers().get_all(AUTHORIZATION).iter().count() > 1 => {
                Err(Problem::ambiguous_credentials())
            }
            _ if !self.may(&request) => Err(unauthorized()),
            _ => self.api(request).await,
        };
        answered.unwrap_or_else(|problem| whole(problem.into_response("admin", &path)))
    }

    fn may(&self, request: &Request<Incoming>) -> bool {
        let presented = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '));
        match presented {
            Some((scheme, token)) => {
                scheme.eq_ignore_ascii_case("bearer") && self.token.is(token.trim())
            }
            None => false,
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let text = self.metrics.render();
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        answer.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
        answer
    }
}

fn only_get(request: &Request<Incoming>) -> Result<(), Problem> {
    match request.method().as_str() {
        "GET" | "HEAD" => Ok(()),
        _ => Err(Problem::method_not_allowed(&["GET", "HEAD"])),
    }
}

fn unauthorized() -> Problem {
    let mut problem = Problem::unauthorized();
    problem.detail = "The admin token is needed, as a bearer token.".to_string();
    problem.authenticate = Some("Bearer realm=\"hearth-admin\"");
    problem
}

/// An answer that is known at once.
fn whole(answer: Response<Full<Bytes>>) -> Answer {
    answer.map(BodyExt::boxed_unsync)
}
