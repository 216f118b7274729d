//! Answers that come before the request's body was read: 401, 404, 413, 415 and others.
//!
//! A connection of HTTP/1 can serve no further request before it is past that body
//! (RFC 9112, section 9.3). So a small rest is read and thrown away first, as Go's server
//! does; with a larger one the answer says `Connection: close`, and a pooled client does
//! not take the close for a failure of its next request. `wire` then lingers, so that the
//! answer is not lost in a reset. HTTP/2 ends the one stream, without an error (RFC 9113,
//! section 8.1), and lingers before that as well: some clients drop an answer when a reset
//! comes right behind it. What came of the body takes nothing from the connection's window.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::server::config::Config as Limits;

type Slot = Arc<Mutex<Option<Incoming>>>;

/// The body of a request on its way in. Dropped before its end, the rest of it goes back
/// to the connection.
pub struct RequestBody {
    body: Option<Incoming>,
    /// `None` where there was nothing to read from the beginning.
    slot: Option<Slot>,
}

/// What nobody read of a request's body.
pub struct Unread {
    slot: Option<Slot>,
    version: Version,
    /// The client waits with its body for a word that it now never gets (RFC 9110,
    /// section 10.1.1), so there may be nothing to read.
    is_expecting: bool,
}

/// A request whose body is looked after.
pub fn watch(request: Request<Incoming>) -> (Request<RequestBody>, Unread) {
    let slot = (!request.body().is_end_stream()).then(Slot::default);
    let unread = Unread {
        slot: slot.clone(),
        version: request.version(),
        is_expecting: request.headers().contains_key(EXPECT),
    };
    let watched = request.map(|body| RequestBody {
        body: Some(body),
        slot,
    });
    (watched, unread)
}

impl Unread {
    /// The answer, once the connection is past the body or the answer says that it ends.
    pub async fn settle<B>(self, mut answer: Response<B>, limits: &Arc<Limits>) -> Response<B> {
        let body = self.slot.and_then(|slot| slot.lock().take());
        let Some(body) = body.filter(|_| !answer.headers().contains_key(CONNECTION)) else {
            return answer;
        };
        let rest = match self.is_expecting {
            true => Some(body),
            false => Box::pin(rest(body, limits)).await,
        };
        match rest {
            None => {}
            Some(rest) if self.version >= Version::HTTP_2 => {
                tokio::spawn(linger(rest, limits.clone()));
            }
            Some(_) => {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
        }
        answer
    }
}

/// The body, where it did not come to its end within what is read of it.
async fn rest(mut body: Incoming, limits: &Limits) -> Option<Incoming> {
    let bytes_max = limits.unread_bytes_max;
    if body.size_hint().lower() > bytes_max as u64 {
        return Some(body);
    }
    let patience = Duration::from_millis(limits.unread_ms_max);
    let reading = waste(&mut body, bytes_max, patience);
    match timeout(patience, reading).await {
        Ok(true) => None,
        _ => Some(body),
    }
}

/// Throws away what still comes on a stream of HTTP/2, and then lets go of it.
async fn linger(mut body: Incoming, limits: Arc<Limits>) {
    let silence = Duration::from_millis(limits.linger_idle_ms_max);
    let wasting = waste(&mut body, limits.linger_bytes_max, silence);
    let _ = timeout(Duration::from_millis(limits.linger_ms_max), wasting).await;
}

/// Whether a body came to its end within so many bytes, without a silence so long.
async fn waste(body: &mut Incoming, bytes_max: usize, silence_max: Duration) -> bool {
    let mut left = bytes_max;
    loop {
        let Ok(frame) = timeout(silence_max, body.frame()).await else {
            return false;
        };
        let Some(frame) = frame else {
            return true;
        };
        let bytes = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
        match bytes.ok().and_then(|bytes| left.checked_sub(bytes)) {
            Some(less) => left = less,
            None => return false,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(slot), Some(rest)) = (&self.slot, rest) {
            *slot.lock() = Some(rest);
        }
    }
}
