//! 429: one customer has all that one may have of something that all share. It is told
//! so, and not that the host is full; whoever operates it may raise the share.

use std::time::Duration;

use http::StatusCode;

use super::kinds::{closing, new, retrying};
use super::{Blame, Problem};

impl Problem {
    /// 429: as many streams are open as a customer may have.
    pub fn too_many_streams(retry_after: Duration) -> Self {
        let detail = "This customer has as many streams open as it may have.";
        too_much("too-many-streams", "Too many streams", detail, retry_after)
    }

    /// 429: as many requests are under way as a customer may have.
    pub fn too_many_concurrent_requests(retry_after: Duration) -> Self {
        let detail = "As many requests of this customer are under way as one customer may have. \
                      Wait for answers before sending more.";
        let title = "Too many concurrent requests";
        too_much("too-many-concurrent-requests", title, detail, retry_after)
    }

    /// 429: the host keeps as many idempotency keys of the customer as it does of one.
    pub fn too_many_idempotency_keys(kept: Duration, retry_after: Duration) -> Self {
        let detail = format!(
            "The host keeps as many idempotency keys of this customer as it does of one. Each is \
             kept for {} seconds: send the request without one, or wait until older ones go.",
            kept.as_secs()
        );
        let title = "Too many idempotency keys";
        too_much("too-many-idempotency-keys", title, detail, retry_after)
    }

    /// 429: the customer's own bodies take all the memory that one's may.
    pub fn too_many_body_bytes(retry_after: Duration) -> Self {
        let detail = "The bodies that this customer is sending take all the memory that one \
                      customer's may. Send fewer of them at once, or smaller ones.";
        let title = "Too many body bytes";
        closing(too_much("too-many-body-bytes", title, detail, retry_after))
    }

    /// 429: the customer leaves as much of its answers unread as one may.
    pub fn too_many_answer_bytes(retry_after: Duration) -> Self {
        let detail = "This customer has left as many bytes of its answers unread as one customer \
                      may. Read them before asking for more.";
        let title = "Too many answer bytes";
        too_much("too-many-answer-bytes", title, detail, retry_after)
    }
}

/// The customer has all that one may have of something.
fn too_much(
    kind: &'static str,
    title: &'static str,
    detail: impl Into<String>,
    retry_after: Duration,
) -> Problem {
    let status = StatusCode::TOO_MANY_REQUESTS;
    retrying(new(Blame::Client, kind, status, title, detail), retry_after)
}
