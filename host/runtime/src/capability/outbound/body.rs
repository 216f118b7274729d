//! The body of an answer, bounded in bytes and in time while it is read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Error;
use super::lease::ConnectionLease;

/// How long the end of an answer waits for its connection to be ready for the
/// next request; where it is not by then, it is closed. Nearly always it is at once.
const SETTLE: Duration = Duration::from_millis(20);

/// What bounds an answer's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyBounds {
    pub bytes_max: u64,
    pub deadline: Instant,
    /// Between two pieces.
    pub pause_max: Option<Duration>,
}

/// Gives its connection back at its end. Dropped earlier, it ends the exchange.
pub struct AnswerBody {
    incoming: Incoming,
    left: u64,
    /// What still fitted of the piece that did not fit as a whole.
    rest: Bytes,
    pause_max: Option<Duration>,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    state: State,
}

enum State {
    Reading(ConnectionLease),
    /// All is read; the connection is not ready yet.
    Settling(ConnectionLease),
    Ended,
}

impl AnswerBody {
    pub fn new(incoming: Incoming, bounds: BodyBounds, lease: ConnectionLease) -> AnswerBody {
        let mut body = AnswerBody {
            incoming,
            left: bounds.bytes_max,
            rest: Bytes::new(),
            pause_max: bounds.pause_max,
            deadline: bounds.deadline,
            timer: Box::pin(sleep_until(bounds.deadline)),
            state: State::Reading(lease),
        };
        body.begin_pause();
        body
    }

    /// The whole body.
    pub async fn whole(self) -> Result<Vec<u8>, Error> {
        match self.part().await {
            (bytes, None) => Ok(bytes),
            (_, Some(error)) => Err(error),
        }
    }

    /// The body as far as it comes and is wanted, and why that is not the whole of it.
    pub async fn part(mut self) -> (Vec<u8>, Option<Error>) {
        let mut bytes = Vec::new();
        while let Some(frame) = self.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => {
                    bytes.extend_from_slice(&self.rest);
                    return (bytes, Some(error));
                }
            }
        }
        (bytes, None)
    }

    /// Whether it says by its length that it is larger than is wanted.
    pub fn is_too_large(&self) -> bool {
        self.incoming.size_hint().lower() > self.left
    }

    fn begin_pause(&mut self) {
        if let Some(pause) = self.pause_max
            && let Some(until) = Instant::now().checked_add(pause)
        {
            self.timer.as_mut().reset(until.min(self.deadline));
        }
    }

    fn poll_incoming(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Error::Timeout)));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.begin_pause();
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => self.counted(frame),
            Err(error) => Err(Error::of_hyper(&error)),
        }))
    }

    fn counted(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        let Some(data) = frame.data_ref() else {
            return Ok(frame);
        };
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => self.left = left,
            None => {
                // Less than the piece has, so it fits.
                self.rest = data.slice(..self.left as usize);
                return Err(Error::TooLarge);
            }
        }
        Ok(frame)
    }

    fn settle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let State::Settling(lease) = &mut self.state else {
            return Poll::Ready(());
        };
        let again = match lease.poll_ready(context) {
            Poll::Ready(again) => again,
            Poll::Pending => {
                ready!(self.timer.as_mut().poll(context));
                false
            }
        };
        if let State::Settling(lease) = std::mem::replace(&mut self.state, State::Ended)
            && again
        {
            lease.give_back();
        }
        Poll::Ready(())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if matches!(this.state, State::Reading(_)) {
            match ready!(this.poll_incoming(context)) {
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => {
                    this.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.timer.as_mut().reset(Instant::now() + SETTLE);
                    if let State::Reading(lease) = std::mem::replace(&mut this.state, State::Ended)
                    {
                        this.state = State::Settling(lease);
                    }
                }
            }
        }
        ready!(this.settle(context));
        Poll::Ready(None)
    }
}
