//! Streams of server-sent events, by the GRIP convention: a handler's answer says
//! which channels the client wants, and the host keeps the connection.

mod grip;
mod keys;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
};
use http::{HeaderMap, Response};

use super::outgoing::{CutOff, Outgoing};
use super::{Answer, Whole};
use hearth_runtime::capability::push::Stream;

pub use self::grip::{BadHold, Grip, is_grip};
pub use self::keys::end_with_keys;

/// Asks proxies that know it (nginx) to pass each event on at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Tags of an answer that may be kept, which no client sees.
const HEARTH_CACHE_TAG: HeaderName = HeaderName::from_static("hearth-cache-tag");

/// The handler's head, as that of a stream: nothing keeps it, and nothing names a
/// version of it.
pub fn head(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    for name in [ETAG, LAST_MODIFIED, ACCEPT_RANGES, HEARTH_CACHE_TAG] {
        headers.remove(name);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// The whole answer.
pub fn answer(head: Response<()>, stream: Stream) -> Answer {
    let pieces = stream.pieces().map(|piece| piece.map_err(|_| CutOff));
    head.map(|()| Outgoing::stream(pieces))
}

/// Head and text of an answer that becomes a stream.
pub async fn split(answer: Whole) -> (Response<()>, Bytes) {
    let (parts, body) = answer.into_parts();
    let mut head = Response::from_parts(parts, ());
    self::head(head.headers_mut());
    (head, crate::edge::conditional::whole(body).await)
}
