//! 429 problems: one customer has used up its share of a resource that all customers
//! share. The text says so, and not that the host is full; an operator can raise the
//! share.

use std::time::Duration;

use http::StatusCode;

use super::kinds::{closing, new, retrying};
use super::{Blame, Problem};

impl Problem {
    /// 429: as many streams are open as a customer may have.
    pub fn too_many_streams(retry_after: Duration) -> Self {
        let detail = "Too many streams of this customer are open. Close one before opening \
                      another.";
        too_much("too-many-streams", "Too many streams", detail, retry_after)
    }

    /// 429: as many requests are under way as a customer may have.
    pub fn too_many_concurrent_requests(retry_after: Duration) -> Self {
        let detail = "Too many requests of this customer are in progress. Wait for answers before \
                      sending more.";
        let title = "Too many concurrent requests";
        too_much("too-many-concurrent-requests", title, detail, retry_after)
    }

    /// 429: the host keeps as many idempotency keys of the customer as it does of one.
    pub fn too_many_idempotency_keys(kept: Duration, retry_after: Duration) -> Self {
        let detail = format!(
            "Too many idempotency keys of this customer are stored. Each expires after {} seconds: \
             send the request without one, or wait until older ones expire.",
            kept.as_secs()
        );
        let title = "Too many idempotency keys";
        too_much("too-many-idempotency-keys", title, detail, retry_after)
    }

    /// 429: the customer's own bodies take all the memory that one's may.
    pub fn too_many_body_bytes(retry_after: Duration) -> Self {
        let detail = "The bodies that this customer is sending are too large together. Send fewer \
                      of them at once, or smaller ones.";
        let title = "Too many body bytes";
        closing(too_much("too-many-body-bytes", title, detail, retry_after))
    }

    /// 429: the customer leaves as much of its answers unread as one may.
    pub fn too_many_answer_bytes(retry_after: Duration) -> Self {
        let detail = "Too many bytes of answers to this customer are unread. Read them before \
                      asking for more.";
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
