//! The admin listener: another socket than the public one, loopback by default.
//! Health is for everybody who reaches it by one of its names, metrics too unless
//! they have a token of their own, and the rest wants the admin token.

mod api;
mod dead_letters;
pub mod guard;
mod logs;
pub mod token;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use crate::deploy::rollout::Rollout;
use crate::edge::problem::Problem;
use crate::server::{Edge, RequestBody};
use guard::Guard;
use hearth_backend::queues::Queues;
use hearth_base::telemetry::{HostMetrics, RecentLines, Redactor};

/// Prometheus's text format, version 0.0.4.
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// An answer that may be told bit by bit.
pub type AdminAnswer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Everything that answers requests on the admin listener.
pub struct Admin {
    pub edge: Arc<Edge>,
    pub metrics: HostMetrics,
    pub rollout: Arc<Rollout>,
    pub queues: Queues,
    /// Takes secrets out of what is shown of messages.
    pub redactor: Redactor,
    pub recent: RecentLines,
    pub guard: Guard,
}

impl Admin {
    pub async fn answer(self: Arc<Self>, request: Request<RequestBody>) -> AdminAnswer {
        let path = request.uri().path().to_string();
        let answered = self.answer_authenticated(request, &path).await;
        answered.unwrap_or_else(|problem| whole(problem.into_response("admin", &path)))
    }

    async fn answer_authenticated(
        &self,
        request: Request<RequestBody>,
        path: &str,
    ) -> Result<AdminAnswer, Problem> {
        self.guard.admit(&request)?;
        match path {
            "/metrics" => {
                only_get(&request)?;
                self.guard.admit_to_metrics(&request)?;
                Ok(whole(self.metrics()))
            }
            "/healthz" => only_get(&request).map(|()| whole(self.edge.builtin.health.alive())),
            "/readyz" => {
                only_get(&request)?;
                Ok(whole(match wants_all(&request) {
                    true => self.edge.ready_verbose().await,
                    false => self.edge.ready().await,
                }))
            }
            _ => {
                self.guard.admit_to_api(&request)?;
                self.api(request).await
            }
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let text = self.metrics.render();
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        answer.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
        answer
    }
}

/// `?verbose`, with any value or none.
fn wants_all(request: &Request<RequestBody>) -> bool {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).any(|(name, _)| name == "verbose")
}

fn only_get(request: &Request<RequestBody>) -> Result<(), Problem> {
    match request.method().as_str() {
        "GET" | "HEAD" => Ok(()),
        _ => Err(Problem::method_not_allowed(&["GET", "HEAD"])),
    }
}

/// An answer that is known at once.
fn whole(answer: Response<Full<Bytes>>) -> AdminAnswer {
    answer.map(BodyExt::boxed_unsync)
}
