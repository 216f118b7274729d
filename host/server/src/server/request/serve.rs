//! Serves a request that is allowed: the response cache, the body, the idempotency key,
//! the guest, and conditional requests.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::request::Parts;
use http::{Method, StatusCode};

use super::super::access::Record;
use super::super::body::BodyError;
use super::super::outgoing::Outgoing;
use super::super::sse::Grip;
use super::super::unread::RequestBody;
use super::super::{Answer, guest};
use super::stream::PluginAnswer;
use super::{COME_AGAIN, Edge, HEARTH_PLUGIN, RequestContext};
use crate::edge::conditional::Conditions;
use crate::edge::idempotency::{Decision, KeyedRequest, REPLAYED};
use crate::edge::problem::Problem;
use crate::edge::response_cache::Begun;
use crate::edge::x_cache::tell_lookups;
use hearth_base::telemetry::SpanKind;
use hearth_runtime::capability::{Call, Claim};
use hearth_runtime::plugin::admission::Shed;
use hearth_runtime::plugin::call::{self, Failure};
use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::plugin::instance::{Request as GuestRequest, Response as GuestResponse};

impl Edge {
    pub(super) async fn serve_from_cache_or_call(
        &self,
        context: RequestContext<'_>,
        parts: Parts,
        body: RequestBody,
    ) -> Result<Answer, Problem> {
        let conditions = Conditions::of(&parts.method, &parts.headers);
        let begun = self
            .responses
            .begin(context.deployment, &parts, context.caller);
        let answer = match begun.await {
            Begun::Hit(answer) => answer,
            Begun::Ask(pending) => {
                let method = parts.method.clone();
                let mut parts = parts;
                if pending.keeps() {
                    parts.method = Method::GET;
                }
                let answered = self.read_body_and_call(context, parts, body).await?;
                if let Some(start) = answered.stream {
                    // It belongs to this client: nothing keeps it, or judges it.
                    return self.open_stream(context, &method, start).await;
                }
                pending.finish(answered.answer).await
            }
        };
        let answer = conditions.apply(answer).await?;
        Ok(answer.map(Outgoing::from))
    }

    /// A plugin that knows no HEAD is asked as for GET; the answer's body goes no
    /// further than the host.
    async fn read_body_and_call(
        &self,
        context: RequestContext<'_>,
        mut parts: Parts,
        body: RequestBody,
    ) -> Result<PluginAnswer, Problem> {
        let bytes_max = context.deployment.limits.body_bytes_max;
        let reading = context.trace.span("read body", SpanKind::Internal);
        let body = self.bodies.read(body, bytes_max, context.customer());
        let body = body.await.map_err(unread)?;
        drop(reading);
        let answered = self.replay_or_run(context, &parts, &body).await?;
        let refused = answered.answer.status() == StatusCode::METHOD_NOT_ALLOWED;
        if parts.method == Method::HEAD && refused {
            parts.method = Method::GET;
            return self.replay_or_run(context, &parts, &body).await;
        }
        Ok(answered)
    }

    async fn replay_or_run(
        &self,
        context: RequestContext<'_>,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<PluginAnswer, Problem> {
        let RequestContext {
            deployment,
            request_id,
            caller,
            trace,
        } = context;
        let since = self.push.position();
        let customer = context.customer();
        let asked = KeyedRequest {
            customer: customer.as_deref(),
            scopes: caller.map_or(&[], |caller| &caller.scopes),
            plugin: &deployment.plugin,
            parts,
            body,
            wall_max: deployment.wall_max(),
            trace,
        };
        let mut lookups = None;
        let response = match self.idempotency.begin(&asked).await? {
            Decision::Replay(mut response) => {
                let (name, value) = REPLAYED;
                response.headers.push((name.into(), value.into()));
                response
            }
            turn => {
                let mut request = guest::request(parts, body, deployment, request_id, caller);
                guest::tell_trace(trace, &mut request.headers);
                if let Decision::Run(claim) = &turn {
                    request.headers.push(guest::since(claim));
                }
                let mut call = call::circumstances(deployment, request_id.clone(), customer);
                if let Some(record) = parts.extensions.get::<Record>() {
                    call.spent = record.spent();
                }
                call.trace = trace.clone();
                lookups = Some(call.lookups.clone());
                let handled = match turn {
                    Decision::Run(claim) => {
                        self.run_to_the_end(deployment, call, request, claim).await
                    }
                    _ => call::handle(deployment, &self.background, call, request).await,
                };
                call::top_up(deployment, &self.background);
                handled.map_err(|failure| refused(deployment, request_id, &failure))?
            }
        };
        let grip = Grip::of(&response);
        let mut answer = guest::response(response, deployment.limits.response_bytes_max).map_err(|bad| {
            tracing::error!(plugin = %deployment.plugin, deployment = deployment.number, %request_id, blame = "guest", "invalid response: {bad}");
            Problem::guest_bad_response()
        })?;
        if let Some(lookups) = lookups {
            tell_lookups(&lookups, answer.headers_mut());
        }
        if let Ok(label) = HeaderValue::from_str(&deployment.label()) {
            answer.headers_mut().insert(HEARTH_PLUGIN, label);
        }
        Ok(PluginAnswer::of(answer, grip, since, parts))
    }

    /// Runs a call with an idempotency key to its end even if the client disconnects:
    /// the client will ask again, and must get this answer.
    async fn run_to_the_end(
        &self,
        deployment: &Arc<Deployment>,
        mut call: Call,
        request: GuestRequest,
        claim: Arc<Claim>,
    ) -> Result<GuestResponse, Failure> {
        call.claim = Some(claim.clone());
        let customer = call.customer.clone();
        let (deployment, background) = (deployment.clone(), self.background.clone());
        let idempotency = self.idempotency.clone();
        let run = async move {
            let handled = call::handle(&deployment, &background, call, request).await;
            let customer = customer.as_deref().unwrap_or_default();
            let answer = handled.as_ref().ok();
            idempotency.finish(customer, &claim, answer).await;
            handled
        };
        let ended = |_| Err(Failure::Trapped("the call's task ended".into()));
        tokio::spawn(run).await.unwrap_or_else(ended)
    }
}

fn unread(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge(bytes_max) => Problem::payload_too_large(bytes_max),
        BodyError::Idle(_) | BodyError::Slow(_) => Problem::request_timeout(),
        BodyError::TooSlow(least) => Problem::body_too_slow(least),
        BodyError::ShareFull => Problem::too_many_body_bytes(COME_AGAIN),
        BodyError::NoRoom => Problem::no_body_room(COME_AGAIN),
        BodyError::Broken => {
            Problem::bad_request("The body is incomplete, or its framing is invalid.")
        }
    }
}

/// Logs a failure with its blame, counts it, and says to the client no more than
/// the client should know.
fn refused(deployment: &Deployment, request_id: &str, failure: &Failure) -> Problem {
    match failure {
        Failure::Shed(_) | Failure::Exhausted(_) => deployment.metrics.count_shed(failure.kind()),
        _ => {
            deployment.metrics.count_trap(failure.kind());
            tracing::error!(plugin = %deployment.plugin, deployment = deployment.number, %request_id, blame = "guest", "{failure}");
        }
    }
    match failure {
        Failure::Shed(Shed::ShareFull) => Problem::too_many_concurrent_requests(COME_AGAIN),
        Failure::Shed(_) | Failure::Exhausted(_) => Problem::overloaded(COME_AGAIN),
        Failure::Cpu | Failure::Deadline => Problem::deadline_exceeded(),
        Failure::Memory(_) => Problem::guest_memory(),
        Failure::Trapped(_) => Problem::guest_trapped(),
    }
}
