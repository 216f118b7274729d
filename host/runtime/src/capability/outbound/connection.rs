//! One connection to a destination, and what keeps it going.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::{Executor, Read, Write};
use metrics::Gauge;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Config, Error};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// What is sent after the head of a request.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What of HTTP a caller puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    Any,
    /// An outgoing body of `wasi:http` may have empty pieces without end, and of
    /// these HTTP/2 would make frames without end.
    H1,
}

/// What holds a connection open, and counts it. Dropped, the connection is closed,
/// whatever is under way on it.
pub struct ConnectionGuard {
    born: Instant,
    open: Gauge,
    _end: DropGuard,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

/// HTTP/1.1: one request after the other.
pub struct H1 {
    sender: http1::SendRequest<Body>,
    hold: ConnectionGuard,
}

/// HTTP/2: many requests at once, so it is shared.
pub struct H2 {
    sender: http2::SendRequest<Body>,
    hold: ConnectionGuard,
}

pub enum Connection {
    H1(H1),
    H2(Arc<H2>),
}

/// The request comes back in the error where none of it was sent.
pub type Sent = Result<hyper::Response<Incoming>, TrySendError<Request<Body>>>;

impl Connection {
    pub fn born(&self) -> Instant {
        match self {
            Connection::H1(h1) => h1.hold.born,
            Connection::H2(h2) => h2.hold.born,
        }
    }

    pub fn is_h2(&self) -> bool {
        matches!(self, Connection::H2(_))
    }

    /// Whether a request can be sent at once.
    pub fn is_ready(&self) -> bool {
        match self {
            Connection::H1(h1) => h1.sender.is_ready(),
            Connection::H2(h2) => h2.sender.is_ready(),
        }
    }

    /// Whether another request may be sent, once that is known.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Connection::H1(h1) => h1.sender.poll_ready(context).map(|ready| ready.is_ok()),
            Connection::H2(h2) => Poll::Ready(h2.sender.is_ready()),
        }
    }

    /// Sends, and waits for the answer's head.
    pub async fn send(&mut self, request: Request<Body>) -> Sent {
        match self {
            Connection::H1(h1) => h1.sender.try_send_request(request).await,
            Connection::H2(h2) => h2.sender.clone().try_send_request(request).await,
        }
    }
}

/// Makes connections of sockets.
#[derive(Clone)]
pub struct Opener {
    h1: http1::Builder,
    header_bytes_max: u32,
    runtime: Handle,
    open: Gauge,
}

/// RFC 9113, 6.5.2: what a stream may send ahead; and all of a connection.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// What of requests may wait to be sent.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Headers of an answer that are read, though a guest gets `headers_max` of them: of an
/// answer with more the status would not be known. Each costs 32 bytes while a head is read.
const HEADERS_READ_MAX: usize = 1_000;

impl Opener {
    pub fn new(config: &Config, runtime: Handle, open: Gauge) -> Opener {
        let mut h1 = http1::Builder::new();
        h1.max_headers(HEADERS_READ_MAX)
            .max_buf_size(config.header_bytes_max);
        Opener {
            h1,
            header_bytes_max: u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX),
            runtime,
            open,
        }
    }

    /// Speaks HTTP on a socket that is connected and, where it has to be, secured.
    pub async fn open<I>(&self, io: I, h2: bool) -> Result<Connection, Error>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let tasks = Tasks {
            end: CancellationToken::new(),
            runtime: self.runtime.clone(),
        };
        self.open.increment(1.0);
        let hold = ConnectionGuard {
            born: Instant::now(),
            open: self.open.clone(),
            _end: tasks.end.clone().drop_guard(),
        };
        if h2 {
            let (sender, driver) = self.h2(tasks.clone()).handshake(io).await.map_err(broken)?;
            tasks.execute(driver);
            return Ok(Connection::H2(Arc::new(H2 { sender, hold })));
        }
        let (sender, driver) = self.h1.handshake(io).await.map_err(broken)?;
        tasks.execute(driver);
        Ok(Connection::H1(H1 { sender, hold }))
    }

    fn h2(&self, tasks: Tasks) -> http2::Builder<Tasks> {
        let mut builder = http2::Builder::new(tasks);
        builder
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(self.header_bytes_max)
            .max_send_buf_size(SEND_BUFFER_BYTES);
        builder
    }
}

fn broken(error: hyper::Error) -> Error {
    Error::Protocol(error.to_string())
}

/// The tasks of one connection: they run beside the calls, on the host's first
/// runtime, and all end with the connection.
#[derive(Clone)]
struct Tasks {
    end: CancellationToken,
    runtime: Handle,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let end = self.end.clone();
        self.runtime.spawn(end.run_until_cancelled_owned(task));
    }
}
