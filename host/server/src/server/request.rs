//! The way of a request on the public listener: who sent it, whether it is allowed,
//! which plugin answers, and what the host adds to the answer.

mod credentials;
mod serve;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::Full;

use self::credentials::{presented_key, unauthenticated};
use super::Answer;
use super::access::{self, AccessLog, Record};
use super::body::Bodies;
use super::builtin_routes::{self, BuiltinRoutes};
use super::compress::{self, CodedTags, Compressor};
use super::connection_limit::Ownership;
use super::outgoing::Outgoing;
use super::traffic::Traffic;
use super::unread::RequestBody;
use crate::edge::cors::Cors;
use crate::edge::health;
use crate::edge::idempotency::Idempotency;
use crate::edge::keys::{Caller, Keys};
use crate::edge::problem::Problem;
use crate::edge::rate::{Rate, RateStatus};
use crate::edge::response_cache::ResponseCache;
use crate::server::config::Config as Limits;
use hearth_base::pacer::Pacer;
use hearth_base::telemetry::trace::method_name;
use hearth_base::telemetry::{Span, SpanKind, TraceScope, Traces};
use hearth_runtime::capability::push;
use hearth_runtime::plugin::background_runtime::BackgroundRuntime;
use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::router::Router;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HEARTH_PLUGIN: HeaderName = HeaderName::from_static("hearth-plugin");

/// `Retry-After` of a request that was refused because the host is full.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The longest request id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Everything that answers requests on the public listener.
pub struct Edge {
    pub router: Arc<Router>,
    pub keys: Keys,
    pub push: push::Client,
    pub rate: Arc<Rate>,
    pub background: Arc<BackgroundRuntime>,
    pub responses: ResponseCache,
    pub builtin: BuiltinRoutes,
    pub idempotency: Arc<Idempotency>,
    pub limits: Arc<Limits>,
    pub bodies: Bodies,
    pub traffic: Traffic,
    pub pacer: Arc<Pacer>,
    pub compressor: Compressor,
    pub cors: Option<Cors>,
    pub access: AccessLog,
    pub traces: Traces,
    pub draining: AtomicBool,
}

impl Edge {
    /// Answers one request. Never fails: each error is a problem document.
    pub async fn answer(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
        peer: SocketAddr,
    ) -> Answer {
        let request_id = request_id(request.headers());
        let record = self.access.begin(&request, peer);
        if let Some(record) = &record {
            request.extensions_mut().insert(record.clone());
        }
        let (method, version) = (request.method().clone(), request.version());
        let coding = compress::wanted(request.headers());
        let tags = CodedTags::take(request.headers_mut(), coding);
        let answer = self.with_cors(request, &request_id).await;
        let mut answer = self.compressor.apply(&method, coding, answer).await;
        tags.restore(&mut answer);
        self.close(version, answer.headers_mut());
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            answer.headers_mut().insert(REQUEST_ID, value);
        }
        let Some(record) = record else {
            return answer;
        };
        let ended = record.end(answer.status(), request_id, answer.body().length());
        answer.map(|body| body.with_end(ended))
    }

    /// Answers as the origin that asks may see it.
    async fn with_cors(&self, request: Request<RequestBody>, request_id: &Arc<str>) -> Answer {
        let Some(cors) = &self.cors else {
            return self.with_problem(request, request_id).await;
        };
        let allowed = cors.allowed(request.headers());
        let mut answer = match cors.preflight(request.method(), request.headers()) {
            Some(answer) => answer.map(Outgoing::from),
            None => self.with_problem(request, request_id).await,
        };
        cors.apply(allowed.as_ref(), answer.headers_mut());
        answer
    }

    /// Answers, with a problem document for what went wrong.
    async fn with_problem(&self, request: Request<RequestBody>, request_id: &Arc<str>) -> Answer {
        let path = request.uri().path().to_string();
        let answered = self.route(request, request_id).await;
        answered.unwrap_or_else(|problem| {
            let answer = problem.into_response(request_id, &path);
            answer.map(Outgoing::from)
        })
    }

    /// HTTP/1 says in a header that the connection ends; HTTP/2 has GOAWAY for it
    /// and no such header (RFC 9113, section 8.2.2).
    fn close(&self, version: Version, headers: &mut HeaderMap) {
        if version >= Version::HTTP_2 {
            headers.remove(CONNECTION);
        } else if self.draining.load(Relaxed) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Whether this host should get traffic.
    pub async fn ready(&self) -> Response<Full<Bytes>> {
        self.builtin.health.ready(self.draining.load(Relaxed)).await
    }

    /// The same for an operator, with how each plugin does.
    pub async fn ready_verbose(&self) -> Response<Full<Bytes>> {
        let deployments = self.router.deployments();
        let plugin = |deployment: &Arc<Deployment>| health::PluginHealth {
            deployment: deployment.label(),
            failing_calls: deployment.failing.calls(),
        };
        let plugins: Vec<_> = deployments.iter().map(plugin).collect();
        let draining = self.draining.load(Relaxed);
        self.builtin.health.verbose(draining, &plugins).await
    }

    async fn route(
        &self,
        request: Request<RequestBody>,
        request_id: &Arc<str>,
    ) -> Result<Answer, Problem> {
        let (parts, body) = request.into_parts();
        self.check_head(&parts)?;
        let draining = self.draining.load(Relaxed);
        if let Some(answer) = self.builtin.answer(&parts, draining).await? {
            return Ok(answer.map(Outgoing::from));
        }
        let Some(found) = self.router.find(parts.uri.path()) else {
            return builtin_routes::unrouted(&parts).map(|answer| answer.map(Outgoing::from));
        };
        self.call_plugin(found, parts, body, request_id).await
    }

    /// hyper bounds the head; the URL has a limit of its own.
    fn check_head(&self, parts: &Parts) -> Result<(), Problem> {
        let length = parts
            .uri
            .path_and_query()
            .map_or(0, |path| path.as_str().len());
        if length > self.limits.url_bytes_max {
            return Err(Problem::uri_too_long(self.limits.url_bytes_max));
        }
        if names_two_hosts(parts) {
            return Err(Problem::bad_request(
                "Host and :authority must name the same host.",
            ));
        }
        // A compressed body could be a thousand times what it takes on the wire.
        if is_encoded(&parts.headers) {
            return Err(Problem::unsupported_encoding());
        }
        Ok(())
    }

    async fn call_plugin(
        &self,
        deployment: Arc<Deployment>,
        parts: Parts,
        body: RequestBody,
        request_id: &Arc<str>,
    ) -> Result<Answer, Problem> {
        let began = Instant::now();
        let mut span = self.begin_trace(&deployment, &parts, request_id);
        let trace = span.scope();
        if let Some(record) = parts.extensions.get::<Record>() {
            record.note_plugin(deployment.plugin.clone(), deployment.number);
            trace
                .trace_id()
                .into_iter()
                .for_each(|id| record.note_trace(id));
        }
        let passing = self.count_and_pass(&deployment, parts, body, request_id, &trace);
        let answered = tokio::select! {
            answered = passing => answered,
            // A drain that lasted too long: the deployment goes.
            () = deployment.stop.cancelled() => Err(Problem::unavailable(COME_AGAIN)),
        };
        let status = match &answered {
            Ok(answer) => answer.status(),
            Err(problem) => problem.status,
        };
        span.number("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.fail(status.as_u16());
        }
        deployment.tally.count(status.is_server_error());
        deployment.metrics.count_request(status.as_u16());
        deployment
            .metrics
            .request_seconds
            .record(began.elapsed().as_secs_f64());
        answered
    }

    /// The names are those of OpenTelemetry's conventions. A path may hold ids, but it
    /// holds no secret; a query may.
    fn begin_trace(&self, deployment: &Deployment, parts: &Parts, request_id: &str) -> Span {
        let mut span = self.traces.serve(&parts.headers);
        if span.is_recorded() {
            let method = method_name(&parts.method);
            span.rename(format_args!("{method} {}", deployment.mount));
            span.text("http.request.method", method);
            span.text("http.route", &deployment.mount);
            span.text("url.path", access::shown_path(&parts.uri));
            span.text("hearth.plugin", deployment.label());
            span.text("hearth.request_id", request_id);
        }
        span
    }

    async fn count_and_pass(
        &self,
        deployment: &Arc<Deployment>,
        parts: Parts,
        body: RequestBody,
        request_id: &Arc<str>,
        trace: &TraceScope,
    ) -> Result<Answer, Problem> {
        let authenticating = trace.span("authenticate", SpanKind::Internal);
        let caller = self.authenticate(deployment, &parts.headers).await?;
        drop(authenticating);
        if let Some(caller) = &caller {
            note_caller(&parts, caller);
            trace.belongs_to(&Some(caller.customer_id.clone()));
        }
        let standing = caller.as_ref().and_then(|caller| self.rate.count(caller));
        let answered = match standing.as_ref().and_then(RateStatus::refusal) {
            Some(problem) => Err(problem),
            None => {
                let context = RequestContext {
                    deployment,
                    request_id,
                    caller: caller.as_ref(),
                    trace,
                };
                self.within_share(context, parts, body).await
            }
        };
        match standing {
            Some(standing) => standing.tell(answered),
            None => answered,
        }
    }

    /// Within what one customer may have under way.
    async fn within_share(
        &self,
        context: RequestContext<'_>,
        parts: Parts,
        body: RequestBody,
    ) -> Result<Answer, Problem> {
        self.pacer.note_request();
        let passage = self.traffic.enter(context.customer())?;
        let answer = self.serve_from_cache_or_call(context, parts, body).await?;
        // A stream has a share of its own, and is no answer that waits.
        Ok(match answer.body().length() {
            Some(_) => answer.map(|body| body.with_passage(passage)),
            None => answer,
        })
    }

    /// A public route takes a caller where one shows a key, and wants none.
    async fn authenticate(
        &self,
        deployment: &Deployment,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, Problem> {
        let Some(key) = presented_key(headers)? else {
            return match deployment.manifest.public {
                true => Ok(None),
                false => Err(Problem::unauthorized()),
            };
        };
        self.keys
            .authenticate(key)
            .await
            .map(Some)
            .map_err(unauthenticated)
    }
}

/// Whom a request is for, what it is called in logs, and who asks.
#[derive(Clone, Copy)]
struct RequestContext<'r> {
    deployment: &'r Arc<Deployment>,
    request_id: &'r Arc<str>,
    /// `None` on a public route where no key was shown.
    caller: Option<&'r Caller>,
    trace: &'r TraceScope,
}

impl RequestContext<'_> {
    fn customer(&self) -> Option<Arc<str>> {
        self.caller.map(|caller| caller.customer_id.clone())
    }
}

/// Who asks, for the access log and for the connection.
fn note_caller(parts: &Parts, caller: &Caller) {
    if let Some(record) = parts.extensions.get::<Record>() {
        record.note_caller(caller);
    }
    if let Some(connection) = parts.extensions.get::<Ownership>() {
        connection.belongs_to(&caller.customer_id);
    }
}

/// The client's own id where it is one that fits a log line, else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let fits = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    match headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(fits)
    {
        Some(id) => Arc::from(id),
        None => Arc::from(uuid::Uuid::now_v7().to_string()),
    }
}

/// Whether a body is said to be anything but what it is. `identity` says nothing
/// (RFC 9110, section 8.4.1), and some clients say it always.
fn is_encoded(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// HTTP/2 has `:authority`, and a `Host` that differs would let one reader take the
/// request for another host's. HTTP/1 is judged before hyper sees it.
fn names_two_hosts(parts: &Parts) -> bool {
    let Some(authority) = parts.uri.authority() else {
        return false;
    };
    let mut hosts = parts.headers.get_all(HOST).iter();
    hosts.any(|host| {
        !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    })
}
