//! The bytes of one connection, between the socket (or TLS) and hyper.
//!
//! hyper is lenient where RFC 9112 leaves room: a lone LF ends a line, and a
//! `Content-Length` beside a `Transfer-Encoding` is overlooked. A proxy in front
//! may read the same bytes in another way, and where two disagree about the end of
//! a request, one client's bytes become another's request (CWE-444). So every byte
//! of HTTP/1 passes a gate that knows one reading only. hyper never sees the end
//! of a head that the gate refuses: it gets a byte that no head may hold, answers
//! 400 and closes.

mod framing;
mod head;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::framing::{RequestFramer, WireError};
use super::idle_timeout::Activity;
use crate::server::config::Config as Limits;

/// What hyper gets in place of what was refused: NUL stands in no head, and in no
/// size of a chunk.
const BREAK: &[u8] = b"\0\r\n\r\n";

/// What is thrown away at once.
const WASTE_BYTES: usize = 8 << 10;

/// One connection's bytes.
pub struct Wire<S> {
    stream: S,
    gate: RequestFramer,
    pulse: Arc<Activity>,
    /// What of `BREAK` is still to be read.
    breaking: &'static [u8],
    linger: Option<Linger>,
    limits: Arc<Limits>,
}

/// The rest of a request is thrown away behind the answer, for a while, so that its
/// arrival does not reset the connection before the client has read the answer (RFC 9112,
/// section 9.6).
struct Linger {
    until: Instant,
    /// Over with `until`, and before that with a silence.
    patience: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Linger {
    fn new(limits: &Limits) -> Linger {
        let until = Instant::now() + Duration::from_millis(limits.linger_ms_max);
        let mut linger = Linger {
            until,
            patience: Box::pin(tokio::time::sleep_until(until)),
            bytes_left: limits.linger_bytes_max,
        };
        linger.heard(0, limits);
        linger
    }

    fn heard(&mut self, bytes: usize, limits: &Limits) {
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let silence = Instant::now() + Duration::from_millis(limits.linger_idle_ms_max);
        self.patience.as_mut().reset(silence.min(self.until));
    }
}

impl<S> Wire<S> {
    pub fn new(stream: S, pulse: Arc<Activity>, limits: Arc<Limits>) -> Wire<S> {
        Wire {
            stream,
            gate: RequestFramer::new(limits.header_bytes_max),
            pulse,
            breaking: &[],
            linger: None,
            limits,
        }
    }

    /// Checks what was read past `before`, and cuts it off where it is refused.
    fn check(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let came = buffer.filled().get(before..).unwrap_or_default();
        if came.is_empty() {
            return;
        }
        let (good, broken) = match self.gate.pass(came) {
            Ok(()) => (came.len(), false),
            Err(WireError::Malformed { at, why }) => {
                tracing::debug!(why, "malformed HTTP/1");
                (at, true)
            }
            // hyper's buffer is full of a head without an end: it answers 431.
            Err(WireError::Overlong { at }) => (at, false),
        };
        buffer.set_filled(before + good);
        if broken {
            self.breaking = BREAK;
            self.give_break(buffer);
        }
        match self.gate.in_head() {
            true => self.pulse.head_begins(),
            false => self.pulse.head_ends(),
        }
    }

    fn give_break(&mut self, buffer: &mut ReadBuf<'_>) {
        let bytes = self.breaking.len().min(buffer.remaining());
        let (now, later) = self.breaking.split_at(bytes);
        buffer.put_slice(now);
        self.breaking = later;
    }

    fn noted<T>(&self, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match wrote {
            Poll::Pending => self.pulse.blocked(),
            Poll::Ready(_) => self.pulse.flowed(),
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Throws away what still comes, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limits = &self.limits;
        let linger = self.linger.get_or_insert_with(|| Linger::new(limits));
        let mut waste = [0; WASTE_BYTES];
        loop {
            if linger.patience.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let bytes = buffer.filled().len();
            linger.heard(bytes, limits);
            if read.is_err() || bytes == 0 || linger.bytes_left == 0 {
                return Poll::Ready(());
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.breaking.is_empty() {
            wire.give_break(buffer);
            return Poll::Ready(Ok(()));
        }
        if wire.gate.is_shut() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut wire.stream).poll_read(cx, buffer))?;
        wire.check(buffer, before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.linger.is_none() {
            ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
        }
        if wire.gate.owes() {
            ready!(wire.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
