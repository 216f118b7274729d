//! The way of a request on the public listener: who it is, whether it may pass,
//! which plugin answers, and what the answer carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;

use super::body::{self, BodyError};
use super::{Answer, guest};
use crate::capability::{Call, Claim};
use crate::config::Server as Limits;
use crate::edge::conditional::Conditions;
use crate::edge::health::Health;
use crate::edge::idempotency::{Asked, Idempotency, REPLAYED, Turn};
use crate::edge::keys::{AuthError, Caller, Keys};
use crate::edge::problem::Problem;
use crate::edge::rate::{Rate, Standing};
use crate::edge::response_cache::{Begun, ResponseCache};
use crate::plugin::call::{self, Failure};
use crate::plugin::deployment::Deployment;
use crate::plugin::instance::{Request as GuestRequest, Response as GuestResponse};
use crate::plugin::long::Long;
use crate::router::Router;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HEARTH_PLUGIN: HeaderName = HeaderName::from_static("hearth-plugin");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// When a client that was turned away for want of room may well try again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The longest request id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Everything that answers requests on the public listener.
pub struct Edge {
    pub router: Arc<Router>,
    pub keys: Keys,
    pub rate: Arc<Rate>,
    pub long: Arc<Long>,
    pub responses: ResponseCache,
    pub health: Health,
    pub idempotency: Arc<Idempotency>,
    pub limits: Arc<Limits>,
    pub draining: AtomicBool,
}

impl Edge {
    /// Answers one request. Never fails: each error is a problem document.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>, _peer: SocketAddr) -> Answer {
        let request_id = request_id(request.headers());
        let path = request.uri().path().to_string();
        let answered = self.route(request, &request_id).await;
        let mut answer =
            answered.unwrap_or_else(|problem| problem.into_response(&request_id, &path));
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            answer.headers_mut().insert(REQUEST_ID, value);
        }
        if self.draining.load(Relaxed) {
            answer
                .headers_mut()
                .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Whether this host should get traffic.
    pub async fn ready(&self) -> Answer {
        self.health.ready(self.draining.load(Relaxed)).await
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        request_id: &Arc<str>,
    ) -> Result<Answer, Problem> {
        let (parts, body) = request.into_parts();
        self.check_head(&parts)?;
        match parts.uri.path() {
            "/healthz" => only_get(&parts).map(|()| self.health.alive()),
            "/readyz" => {
                only_get(&parts)?;
                Ok(self.ready().await)
            }
            path => {
                let found = self.router.find(path).ok_or_else(Problem::not_found)?;
                self.plugin(found, parts, body, request_id).await
            }
        }
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
        Ok(())
    }

    async fn plugin(
        &self,
        deployment: Arc<Deployment>,
        parts: Parts,
        body: Incoming,
        request_id: &Arc<str>,
    ) -> Result<Answer, Problem> {
        let began = Instant::now();
        let answered = tokio::select! {
            answered = self.call(&deployment, parts, body, request_id) => answered,
            // A drain that lasted too long: the deployment goes.
            () = deployment.stop.cancelled() => Err(Problem::unavailable(COME_AGAIN)),
        };
        let status = match &answered {
            Ok(answer) => answer.status(),
            Err(problem) => problem.status,
        };
        deployment.tally.count(status.is_server_error());
        deployment.metrics.count_request(status.as_u16());
        deployment
            .metrics
            .request_seconds
            .record(began.elapsed().as_secs_f64());
        answered
    }

    async fn call(
        &self,
        deployment: &Arc<Deployment>,
        parts: Parts,
        body: Incoming,
        request_id: &Arc<str>,
    ) -> Result<Answer, Problem> {
        let caller = self.caller(deployment, &parts.headers).await?;
        let standing = caller.as_ref().and_then(|caller| self.rate.count(caller));
        let answered = match standing.as_ref().and_then(Standing::refusal) {
            Some(problem) => Err(problem),
            None => {
                self.admitted(deployment, parts, body, request_id, caller)
                    .await
            }
        };
        match standing {
            Some(standing) => standing.tell(answered),
            None => answered,
        }
    }

    async fn admitted(
        &self,
        deployment: &Arc<Deployment>,
        parts: Parts,
        body: Incoming,
        request_id: &Arc<str>,
        caller: Option<Caller>,
    ) -> Result<Answer, Problem> {
        let conditions = Conditions::of(&parts.method, &parts.headers);
        let begun = self.responses.begin(deployment, &parts, caller.as_ref());
        let answer = match begun.await {
            Begun::Hit(answer) => answer,
            Begun::Ask(pending) => {
                let mut parts = parts;
                if pending.keeps() {
                    parts.method = Method::GET;
                }
                let asked = self.asked(deployment, parts, body, request_id, caller);
                pending.finish(asked.await?).await
            }
        };
        conditions.apply(answer).await
    }

    /// A plugin that knows no HEAD is asked as for GET; the answer's body goes no
    /// further than the host.
    async fn asked(
        &self,
        deployment: &Arc<Deployment>,
        mut parts: Parts,
        body: Incoming,
        request_id: &Arc<str>,
        caller: Option<Caller>,
    ) -> Result<Answer, Problem> {
        let idle = Duration::from_millis(self.limits.body_idle_ms_max);
        let body = body::read(body, deployment.limits.body_bytes_max, idle)
            .await
            .map_err(unread)?;
        let caller = caller.as_ref();
        let answer = self.handled(deployment, &parts, &body, request_id, caller);
        let answer = answer.await?;
        if parts.method == Method::HEAD && answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            parts.method = Method::GET;
            let answer = self.handled(deployment, &parts, &body, request_id, caller);
            return answer.await;
        }
        Ok(answer)
    }

    async fn handled(
        &self,
        deployment: &Arc<Deployment>,
        parts: &Parts,
        body: &Bytes,
        request_id: &Arc<str>,
        caller: Option<&Caller>,
    ) -> Result<Answer, Problem> {
        let customer = caller.map(|caller| caller.customer_id.clone());
        let asked = Asked {
            customer: customer.as_deref(),
            plugin: &deployment.plugin,
            parts,
            body,
            wall_max: deployment.wall_max(),
        };
        let response = match self.idempotency.begin(&asked).await? {
            Turn::Replay(mut response) => {
                let (name, value) = REPLAYED;
                response.headers.push((name.into(), value.into()));
                response
            }
            turn => {
                let request = guest::request(parts, body, deployment, request_id, caller);
                let call = call::circumstances(deployment, request_id.clone(), customer);
                let handled = match turn {
                    Turn::Run(claim) => self.once(deployment, call, request, claim).await,
                    _ => call::handle(deployment, &self.long, call, request).await,
                };
                call::top_up(deployment, &self.long);
                handled.map_err(|failure| refused(deployment, request_id, &failure))?
            }
        };
        let mut answer = guest::response(response, deployment.limits.response_bytes_max).map_err(|bad| {
            tracing::error!(plugin = %deployment.label(), %request_id, blame = "guest", "bad response: {bad}");
            Problem::guest_bad_response()
        })?;
        if let Ok(label) = HeaderValue::from_str(&deployment.label()) {
            answer.headers_mut().insert(HEARTH_PLUGIN, label);
        }
        Ok(answer)
    }

    /// A call with an idempotency key goes on to its end when the client goes
    /// away: the client will ask again, and shall get this answer.
    async fn once(
        &self,
        deployment: &Arc<Deployment>,
        mut call: Call,
        request: GuestRequest,
        claim: Arc<Claim>,
    ) -> Result<GuestResponse, Failure> {
        call.claim = Some(claim.clone());
        let (deployment, long) = (deployment.clone(), self.long.clone());
        let idempotency = self.idempotency.clone();
        let run = async move {
            let handled = call::handle(&deployment, &long, call, request).await;
            idempotency.finish(&claim, handled.as_ref().ok()).await;
            handled
        };
        let ended = |_| Err(Failure::Trapped("the call's task ended".into()));
        tokio::spawn(run).await.unwrap_or_else(ended)
    }

    /// A public route takes a caller where one shows a key, and wants none.
    async fn caller(
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

/// The key of `X-API-Key`, or of `Authorization: Bearer` (RFC 6750).
fn presented_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if let Some(value) = headers.get(API_KEY) {
        return readable(value).map(Some);
    }
    let Some(value) = headers.get(http::header::AUTHORIZATION) else {
        return Ok(None);
    };
    match readable(value)?.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::unauthorized()),
    }
}

fn readable(value: &HeaderValue) -> Result<&str, Problem> {
    value
        .to_str()
        .map(str::trim)
        .map_err(|_| Problem::unauthorized())
}

fn unauthenticated(error: AuthError) -> Problem {
    match error {
        AuthError::Unavailable => Problem::unavailable(COME_AGAIN),
        _ => Problem::unauthorized(),
    }
}

fn unread(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge(bytes_max) => Problem::payload_too_large(bytes_max),
        BodyError::Idle(_) => Problem::request_timeout(),
        BodyError::Broken => {
            Problem::bad_request("The body ended early, or its framing is broken.")
        }
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

fn only_get(parts: &Parts) -> Result<(), Problem> {
    match parts.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method_not_allowed(&["GET", "HEAD"])),
    }
}

/// Logs a failure with its blame, counts it, and says to the client no more than
/// the client should know.
fn refused(deployment: &Deployment, request_id: &str, failure: &Failure) -> Problem {
    match failure {
        Failure::Shed(_) | Failure::Exhausted(_) => deployment.metrics.count_shed(failure.kind()),
        _ => {
            deployment.metrics.count_trap(failure.kind());
            tracing::error!(plugin = %deployment.label(), %request_id, blame = "guest", "{failure}");
        }
    }
    match failure {
        Failure::Shed(_) | Failure::Exhausted(_) => Problem::overloaded(COME_AGAIN),
        Failure::Cpu | Failure::Deadline => Problem::deadline_exceeded(),
        Failure::Memory(_) => Problem::guest_memory(),
        Failure::Trapped(_) => Problem::guest_trapped(),
    }
}
