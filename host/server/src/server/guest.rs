//! Converts HTTP requests and answers to and from the records of a guest.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use super::Whole;
use super::sse::is_grip;
use crate::edge::idempotency::EFFECT;
use crate::edge::keys::Caller;
use hearth_base::telemetry::TraceScope;
use hearth_base::telemetry::trace::traceparent;
use hearth_runtime::capability::Claim;
use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::plugin::instance;

/// What goes to no guest: credentials, and what the host alone says.
const NOT_TO_GUESTS: [&str; 4] = ["x-api-key", "authorization", "cookie", SINCE];

/// When the request's idempotency key was first seen.
const SINCE: &str = "hearth-idempotency-since";

const TRACEPARENT: &str = "traceparent";

/// Hop-by-hop headers (RFC 9110, section 7.6.1), those that the host sets, and what a
/// guest says to the host alone.
const NOT_THE_GUESTS: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "date",
    "x-request-id",
    "hearth-plugin",
    EFFECT,
];

/// What is wrong with a guest's response.
#[derive(Debug, thiserror::Error)]
pub enum BadResponse {
    #[error("status {0} is invalid for a response")]
    Status(u16),
    #[error("the name or the value of the header `{0}` is invalid")]
    Header(String),
    #[error("the body is too large: {0} bytes, and at most {1} are allowed")]
    TooLarge(usize, usize),
    #[error("the response has too many headers: at most {0} are allowed")]
    TooManyHeaders(usize),
}

const HEADERS_MAX: usize = 100;

/// The request as the guest sees it.
pub fn request(
    parts: &Parts,
    body: &Bytes,
    deployment: &Deployment,
    request_id: &str,
    caller: Option<&Caller>,
) -> instance::Request {
    instance::Request {
        method: parts.method.as_str().to_string(),
        path: parts.uri.path().to_string(),
        query: parts.uri.query().map(str::to_string),
        headers: headers(&parts.headers),
        body: body.to_vec(),
        context: instance::Context {
            request_id: request_id.to_string(),
            caller: caller.map(guest_caller),
            deadline_ms: deployment.limits.wall_ms_max,
            mount: deployment.mount.to_string(),
        },
    }
}

/// A guest that passes the trace on by itself passes on this one, in place of what the
/// client sent.
pub fn tell_trace(scope: &TraceScope, headers: &mut Vec<(String, Vec<u8>)>) {
    if let Some(value) = traceparent(scope) {
        headers.retain(|(name, _)| name != TRACEPARENT);
        headers.push((TRACEPARENT.to_owned(), value.into_bytes()));
    }
}

/// The header that gives the guest the time at which the host first saw the request's
/// idempotency key.
pub fn since(claim: &Claim) -> (String, Vec<u8>) {
    let since = claim.since().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = since.as_micros().to_string();
    (SINCE.to_owned(), micros.into_bytes())
}

fn guest_caller(caller: &Caller) -> instance::Caller {
    instance::Caller {
        customer_id: caller.customer_id.to_string(),
        key_id: caller.key_id.to_string(),
        scopes: caller.scopes.to_vec(),
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .filter(|(name, _)| !NOT_TO_GUESTS.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_string(), value.as_bytes().to_vec()))
        .collect()
}

/// The guest's response as HTTP, where it is one.
pub fn response(response: instance::Response, bytes_max: usize) -> Result<Whole, BadResponse> {
    if response.body.len() > bytes_max {
        return Err(BadResponse::TooLarge(response.body.len(), bytes_max));
    }
    if response.headers.len() > HEADERS_MAX {
        return Err(BadResponse::TooManyHeaders(HEADERS_MAX));
    }
    let status = status(response.status)?;
    let bodyless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    let body = if bodyless { Vec::new() } else { response.body };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    for (name, value) in response.headers {
        append(answer.headers_mut(), &name, &value)?;
    }
    Ok(answer)
}

fn status(status: u16) -> Result<StatusCode, BadResponse> {
    match status {
        200..=599 => StatusCode::from_u16(status).map_err(|_| BadResponse::Status(status)),
        _ => Err(BadResponse::Status(status)),
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Result<(), BadResponse> {
    let bad = || BadResponse::Header(name.chars().take(64).collect());
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let value = HeaderValue::from_bytes(value).map_err(|_| bad())?;
    if NOT_THE_GUESTS.contains(&name.as_str()) || is_grip(name.as_str()) {
        return Ok(());
    }
    // A second content type would leave clients to choose between them.
    if name == header::CONTENT_TYPE {
        headers.insert(name, value);
    } else {
        headers.append(name, value);
    }
    Ok(())
}
