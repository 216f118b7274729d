//! The body of an answer: complete at once, or produced piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::access::EndedRequest;
use super::traffic::Passage;
use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};

/// The source of a body ended before the body did. The connection (or the stream
/// of HTTP/2) is broken off, so that the client does not take a part for the whole.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off")]
pub struct CutOff;

enum Source {
    Whole(Full<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, CutOff>> + Send>>),
}

/// What the public listener sends behind a head.
pub struct Outgoing {
    source: Source,
    ended: Option<EndedRequest>,
    /// Over with the body.
    _passage: Option<Passage>,
}

impl Outgoing {
    pub fn whole(bytes: impl Into<Bytes>) -> Outgoing {
        Full::new(bytes.into()).into()
    }

    /// Each piece goes as soon as there is one, and none is asked for before the
    /// client has room for it.
    pub fn stream(pieces: impl Stream<Item = Result<Bytes, CutOff>> + Send + 'static) -> Outgoing {
        Outgoing {
            source: Source::Stream(Box::pin(pieces)),
            ended: None,
            _passage: None,
        }
    }

    /// How many bytes it has, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// The same answer in other bytes.
    pub fn with_bytes(mut self, bytes: Bytes) -> Outgoing {
        self.source = Source::Whole(Full::new(bytes));
        self
    }

    /// With what its request takes until the last byte went.
    pub fn with_passage(mut self, mut passage: Passage) -> Outgoing {
        passage.set_answer_bytes(self.length());
        self._passage = Some(passage);
        self
    }

    /// All bytes, where they are known. The body is spent.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        let Source::Whole(full) = &mut self.source else {
            return None;
        };
        let Ok(whole) = std::mem::take(full).collect().now_or_never()?;
        Some(whole.to_bytes())
    }

    /// Adds the value that reports when the last byte was sent.
    pub fn with_end(mut self, ended: EndedRequest) -> Outgoing {
        self.ended = Some(ended);
        self
    }
}

impl From<Full<Bytes>> for Outgoing {
    fn from(full: Full<Bytes>) -> Outgoing {
        Outgoing {
            source: Source::Whole(full),
            ended: None,
            _passage: None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let polled = match &mut self.source {
            Source::Whole(full) => {
                let polled = Pin::new(full).poll_frame(cx);
                polled.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Source::Stream(pieces) => {
                let polled = pieces.as_mut().poll_next(cx);
                polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(ended)) = (&polled, &mut self.ended) {
            ended.add(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(full) => full.is_end_stream(),
            Source::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(full) => full.size_hint(),
            Source::Stream(_) => SizeHint::default(),
        }
    }
}
