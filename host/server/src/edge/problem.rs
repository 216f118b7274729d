//! What the host itself answers when something went wrong: RFC 9457,
//! `application/problem+json`.
//!
//! Each kind says whose fault it is, so that a client knows whether to change
//! its request, to try again or to tell the plugin's author. A text here never
//! holds an address, a statement, a path of this machine or a secret: the
//! constructors take nothing that could.
//!
//! ```
//! use hearth_server::edge::problem::Problem;
//!
//! let response = Problem::not_found().into_response("req_1", "/nowhere");
//! assert_eq!(response.status(), 404);
//! assert_eq!(response.headers()["content-type"], "application/problem+json");
//! ```

mod kinds;
mod shares;

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// The media type of RFC 9457.
pub const CONTENT_TYPE_PROBLEM: &str = "application/problem+json";

/// Characters of a request's path that an answer repeats.
const INSTANCE_CHARS_MAX: usize = 1_024;
/// Errors of one answer.
const ERRORS_MAX: usize = 100;

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    Client,
    Guest,
    Host,
    Backend,
}

/// One wrong place in what the client sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body, or a parameter's name.
    pub pointer: String,
    pub detail: String,
}

/// An answer that is not the plugin's own.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The end of the type's URI, `urn:hearth:problem:<kind>`.
    pub kind: &'static str,
    pub title: &'static str,
    pub status: StatusCode,
    /// What happened this time, in words for the client.
    pub detail: String,
    pub blame: Blame,
    /// When it is worth trying again; whole seconds, rounded up.
    pub retry_after: Option<Duration>,
    /// The methods that the path has, for 405.
    pub allow: Vec<String>,
    pub errors: Vec<FieldError>,
    /// The value of `WWW-Authenticate`, for 401.
    pub authenticate: Option<&'static str>,
    /// Whether the connection cannot serve another request, because the rest of
    /// this one was not read.
    pub closes_connection: bool,
    /// What the answer tells beside that.
    pub headers: HeaderMap,
}

/// The body, in the order in which people read it.
#[derive(Serialize)]
struct Body<'p> {
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    instance: &'p str,
    request_id: &'p str,
    blame: Blame,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'p [FieldError],
}

impl Problem {
    /// The whole answer. `instance` is the request's path, without its query.
    pub fn into_response(self, request_id: &str, instance: &str) -> Response<Full<Bytes>> {
        let body = self.body(request_id, instance);
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_PROBLEM));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        set(headers, HeaderName::from_static("x-request-id"), request_id);
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            set(headers, ACCEPT_ENCODING, "identity");
        }
        if let Some(wait) = self.retry_after {
            set(headers, RETRY_AFTER, &seconds(wait).to_string());
        }
        // RFC 9110, 15.5.6: a 405 names the methods, be the list empty.
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            set(headers, ALLOW, &self.allow.join(", "));
        }
        if let Some(challenge) = self.authenticate {
            set(headers, WWW_AUTHENTICATE, challenge);
        }
        if self.closes_connection {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn body(&self, request_id: &str, instance: &str) -> Vec<u8> {
        let errors = self.errors.get(..ERRORS_MAX).unwrap_or(&self.errors);
        let end = instance
            .char_indices()
            .nth(INSTANCE_CHARS_MAX)
            .map(|(at, _)| at);
        let body = Body {
            kind: format!("urn:hearth:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: end.and_then(|end| instance.get(..end)).unwrap_or(instance),
            request_id,
            blame: self.blame,
            errors,
        };
        // Strings and numbers always serialise; an empty object is valid still.
        serde_json::to_vec(&body).unwrap_or_else(|_| b"{}".to_vec())
    }

    /// With the places that were wrong.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }
}

/// A value that is no header value is left out: the body says the same.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// RFC 9110, 10.2.3 wants whole seconds. Zero would invite a storm.
fn seconds(wait: Duration) -> u64 {
    let rounded = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    rounded.max(1)
}
