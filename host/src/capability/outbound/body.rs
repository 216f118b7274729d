//! The body of an answer, bounded in bytes and in time while it is read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Error;
use super::lease::Lease;
use super::trial::{End, Trial};

/// How long the end of an answer waits for its connection to be ready for the
/// next request; where it is not by then, it is closed. Nearly always it is at once.
const SETTLE: Duration = Duration::from_millis(20);

/// What bounds an answer's body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes_max: u64,
    pub deadline: Instant,
    /// Between two pieces.
    pub pause_max: Option<Duration>,
}

/// Gives its connection back at its end. Dropped earlier, it ends the exchange.
pub struct AnswerBody {
    incoming: Incoming,
    status: StatusCode,
    left: u64,
    pause_max: Option<Duration>,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    state: State,
    trial: Option<Trial>,
}

enum State {
    Reading(Lease),
    /// All is read; the connection is not ready yet.
    Settling(Lease),
    Ended,
}

impl AnswerBody {
    pub fn new(
        incoming: Incoming,
        status: StatusCode,
        bounds: Bounds,
        lease: Lease,
        trial: Trial,
    ) -> AnswerBody {
        let mut body = AnswerBody {
            incoming,
            status,
            left: bounds.bytes_max,
            pause_max: bounds.pause_max,
            deadline: bounds.deadline,
            timer: Box::pin(sleep_until(bounds.deadline)),
            state: State::Reading(lease),
            trial: Some(trial),
        };
        body.begin_pause();
        body
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes)
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
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(bytes).ok_or(Error::TooLarge)?;
        Ok(frame)
    }

    /// Nothing more comes, because of an error or of the end.
    fn end(&mut self, end: &End<'_>) {
        if let Some(trial) = self.trial.take() {
            trial.end(end);
        }
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
                    this.end(&End::Failed(&error));
                    this.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.end(&End::Answered(this.status));
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

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // Whoever did not want the rest has the status.
        self.end(&End::Answered(self.status));
    }
}
