//! Every problem that the host itself can answer with, by whose fault it is.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::{Blame, Problem};

pub(super) fn new(
    blame: Blame,
    kind: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: impl Into<String>,
) -> Problem {
    Problem {
        kind,
        title,
        status,
        detail: detail.into(),
        blame,
        retry_after: None,
        allow: Vec::new(),
        errors: Vec::new(),
        authenticate: None,
        closes_connection: false,
        headers: HeaderMap::new(),
    }
}

/// The client's fault: another request is needed.
impl Problem {
    /// 400: the request itself cannot be understood.
    pub fn bad_request(detail: &'static str) -> Self {
        new(
            Blame::Client,
            "bad-request",
            StatusCode::BAD_REQUEST,
            "Bad request",
            detail,
        )
    }

    /// 400: two credentials. Which of them is meant, two readers could tell in two ways.
    pub fn ambiguous_credentials() -> Self {
        let detail = "A request carries one API key: in X-API-Key or as a bearer token, not in \
                      both, and each header once.";
        let status = StatusCode::BAD_REQUEST;
        let title = "Several credentials";
        new(
            Blame::Client,
            "ambiguous-credentials",
            status,
            title,
            detail,
        )
    }

    /// 401: no API key, or one that is not valid (any more). Which of the two is
    /// not told, so that nobody can try keys.
    pub fn unauthorized() -> Self {
        let detail = "A valid API key is needed, in X-API-Key or as a bearer token.";
        let status = StatusCode::UNAUTHORIZED;
        let mut problem = new(
            Blame::Client,
            "unauthorized",
            status,
            "Unauthorized",
            detail,
        );
        problem.authenticate = Some("Bearer realm=\"hearth\", ApiKey realm=\"hearth\"");
        problem
    }

    /// 403: the key is valid and may not do this.
    pub fn forbidden() -> Self {
        let detail = "The API key's scopes do not allow this.";
        new(
            Blame::Client,
            "forbidden",
            StatusCode::FORBIDDEN,
            "Forbidden",
            detail,
        )
    }

    /// 404: no plugin is mounted there.
    pub fn not_found() -> Self {
        let detail = "Nothing is served at this path.";
        new(
            Blame::Client,
            "not-found",
            StatusCode::NOT_FOUND,
            "Not found",
            detail,
        )
    }

    /// 405, with the methods that the path has.
    pub fn method_not_allowed(allow: &[&str]) -> Self {
        let detail = "This path does not have that method; the Allow header lists those it has.";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let title = "Method not allowed";
        let mut problem = new(Blame::Client, "method-not-allowed", status, title, detail);
        problem.allow = allow.iter().map(|method| (*method).to_owned()).collect();
        problem
    }

    /// 408: the body did not arrive in time.
    pub fn request_timeout() -> Self {
        let detail = "The request's body did not arrive in time.";
        let status = StatusCode::REQUEST_TIMEOUT;
        closing(new(
            Blame::Client,
            "request-timeout",
            status,
            "Request timeout",
            detail,
        ))
    }

    /// 408: a large body arrived too slowly, with the least in bytes a second.
    pub fn body_too_slow(bytes_per_second_min: u64) -> Self {
        let mut problem = Problem::request_timeout();
        problem.detail = format!(
            "A body of this size has to arrive with at least {bytes_per_second_min} bytes a second."
        );
        problem
    }

    /// 400: an `Idempotency-Key` that is none.
    pub fn idempotency_key(bytes_max: usize) -> Self {
        let detail =
            format!("Idempotency-Key is given once and has 1 to {bytes_max} printable characters.");
        let status = StatusCode::BAD_REQUEST;
        let title = "Invalid idempotency key";
        new(
            Blame::Client,
            "invalid-idempotency-key",
            status,
            title,
            detail,
        )
    }

    /// 422: the key was used for another request.
    pub fn idempotency_mismatch() -> Self {
        let detail = "This Idempotency-Key was used with another request: method, path, query, \
                      content type and body have to be the same. Use a new key.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let title = "Idempotency key used before";
        new(Blame::Client, "idempotency-mismatch", status, title, detail)
    }

    /// 422: the key was used by an API key that may do other things.
    pub fn idempotency_scopes() -> Self {
        let detail = "This Idempotency-Key was used with an API key of other scopes, whose answer \
                      may hold what this one is not told. Use the scopes of the first request, or \
                      a new key.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let title = "Idempotency key used with other scopes";
        new(
            Blame::Client,
            "idempotency-scopes-mismatch",
            status,
            title,
            detail,
        )
    }

    /// 409: the first request with the key has no answer yet.
    pub fn idempotency_running(retry_after: Duration) -> Self {
        let detail = "A request with this Idempotency-Key is still running.";
        let status = StatusCode::CONFLICT;
        let title = "Still running";
        retrying(
            new(Blame::Client, "idempotency-running", status, title, detail),
            retry_after,
        )
    }

    /// 409: the first request with the key had its effect, and its answer is lost.
    pub fn already_applied() -> Self {
        let detail = "The request with this Idempotency-Key was applied, and its answer was not \
                      kept. Read what it changed; do not send it again.";
        let status = StatusCode::CONFLICT;
        new(
            Blame::Host,
            "already-applied",
            status,
            "Already applied",
            detail,
        )
    }

    /// 412: the client names another version than there is.
    pub fn precondition_failed() -> Self {
        let detail = "What If-Match names is not the version that there is; read it again.";
        let status = StatusCode::PRECONDITION_FAILED;
        let title = "Precondition failed";
        new(Blame::Client, "precondition-failed", status, title, detail)
    }

    /// 413, with the limit in bytes.
    pub fn payload_too_large(bytes_max: usize) -> Self {
        let detail = format!("The request's body may have at most {bytes_max} bytes.");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        closing(new(
            Blame::Client,
            "payload-too-large",
            status,
            "Payload too large",
            detail,
        ))
    }

    /// 414, with the limit in bytes.
    pub fn uri_too_long(bytes_max: usize) -> Self {
        let detail = format!("Path and query may have at most {bytes_max} bytes.");
        new(
            Blame::Client,
            "uri-too-long",
            StatusCode::URI_TOO_LONG,
            "URI too long",
            detail,
        )
    }

    /// 415: the body is encoded. `Accept-Encoding: identity` says what would do
    /// (RFC 9110, section 15.5.16).
    pub fn unsupported_encoding() -> Self {
        let detail = "The request's body must come as it is: without a Content-Encoding, or with \
                      `identity`.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let title = "Unsupported content encoding";
        new(Blame::Client, "unsupported-encoding", status, title, detail)
    }

    /// 429, with the time after which another request will pass.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        let detail = "The rate limit of this API key's customer is used up.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        let title = "Too many requests";
        retrying(
            new(Blame::Client, "too-many-requests", status, title, detail),
            retry_after,
        )
    }

    /// 431, with the limits in headers and bytes.
    pub fn headers_too_large(headers_max: usize, bytes_max: usize) -> Self {
        let detail = format!(
            "A request may have at most {headers_max} headers, of {bytes_max} bytes together."
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let title = "Request header fields too large";
        closing(new(
            Blame::Client,
            "headers-too-large",
            status,
            title,
            detail,
        ))
    }
}

/// The plugin's fault: its author has to change it.
impl Problem {
    /// 500: the plugin ended in a trap. What it trapped on is in the log.
    pub fn guest_trapped() -> Self {
        let detail = "The plugin failed. Nothing of this request was kept.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        new(
            Blame::Guest,
            "guest-trapped",
            status,
            "Plugin failed",
            detail,
        )
    }

    /// 500: the plugin wanted more memory than it may have.
    pub fn guest_memory() -> Self {
        let detail = "The plugin needed more memory than it may have. Nothing of this request was \
                      kept.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        new(
            Blame::Guest,
            "guest-memory",
            status,
            "Plugin out of memory",
            detail,
        )
    }

    /// 502: what the plugin answered is no HTTP response, or too large for one.
    pub fn guest_bad_response() -> Self {
        let detail = "The plugin's answer cannot be sent.";
        let status = StatusCode::BAD_GATEWAY;
        new(
            Blame::Guest,
            "guest-bad-response",
            status,
            "Bad plugin response",
            detail,
        )
    }

    /// 500: the plugin wants a stream that it cannot have. Why is in the log.
    pub fn guest_bad_hold() -> Self {
        let detail = "The plugin's answer cannot be held open.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        new(
            Blame::Guest,
            "guest-bad-hold",
            status,
            "Bad plugin stream",
            detail,
        )
    }

    /// 504: CPU or wall time is used up.
    pub fn deadline_exceeded() -> Self {
        let detail = "The plugin did not answer in time. Nothing uncommitted of this request was \
                      kept.";
        let status = StatusCode::GATEWAY_TIMEOUT;
        new(
            Blame::Guest,
            "deadline-exceeded",
            status,
            "Deadline exceeded",
            detail,
        )
    }
}

/// The host's fault or a backend's: the same request may pass later.
impl Problem {
    /// 503: all places are taken, or the host is draining.
    pub fn overloaded(retry_after: Duration) -> Self {
        let detail = "The host has no room for this request now.";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        retrying(
            new(Blame::Host, "overloaded", status, "Overloaded", detail),
            retry_after,
        )
    }

    /// 503: other customers' bodies take the memory that this one wants.
    pub fn no_body_room(retry_after: Duration) -> Self {
        let mut problem = Problem::overloaded(retry_after);
        problem.detail = "The host has no memory for a body of this size now.".to_owned();
        closing(problem)
    }

    /// 503: something that the request needs (a database, a queue) does not
    /// answer.
    pub fn unavailable(retry_after: Duration) -> Self {
        let detail = "Something that this request needs does not answer now.";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let title = "Service unavailable";
        retrying(
            new(Blame::Backend, "unavailable", status, title, detail),
            retry_after,
        )
    }

    /// 500: a mistake of the host's own. What it was is in the log.
    pub fn internal() -> Self {
        let detail = "The host failed. Please report the request id.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        new(Blame::Host, "internal", status, "Internal error", detail)
    }
}

pub(super) fn retrying(mut problem: Problem, retry_after: Duration) -> Problem {
    problem.retry_after = Some(retry_after);
    problem
}

pub(super) fn closing(mut problem: Problem) -> Problem {
    problem.closes_connection = true;
    problem
}
