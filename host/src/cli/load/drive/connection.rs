//! One HTTP/1.1 connection, and what can go wrong on it.

use std::error::Error as _;
use std::io;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::load::plan::Plan;
use crate::cli::load::tally::{Failure, Kind};
use crate::cli::load::target::Target;

/// The longest head of an answer that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A connection that is closed when it is dropped.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    _io: AbortOnDropHandle<()>,
}

/// An answer whose body is still to be read.
pub struct Sent {
    pub at: Instant,
    pub response: Response<Incoming>,
}

/// Why there is no answer.
pub enum NotSent {
    /// The connection was closed before any of the request was written.
    Closed(Failure),
    Failed(Failure),
}

impl NotSent {
    pub fn into_failure(self) -> Failure {
        match self {
            NotSent::Closed(failure) | NotSent::Failed(failure) => failure,
        }
    }
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Connection, Failure> {
        let connect = |error: &dyn std::error::Error| Failure {
            kind: Kind::Connect,
            detail: Some(error.to_string()),
        };
        let stream = TcpStream::connect(target.addresses.as_slice())
            .await
            .map_err(|error| connect(&error))?;
        // Without this a small request would wait for more to send.
        stream.set_nodelay(true).map_err(|error| connect(&error))?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        let (sender, io) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure(&error))?;
        let io = tokio::spawn(async move {
            // Its errors are told to whoever waits for the answer.
            let _ = io.await;
        });
        Ok(Connection {
            sender,
            _io: AbortOnDropHandle::new(io),
        })
    }

    /// Sends one request and waits for the head of its answer.
    pub async fn send(&mut self, plan: &Plan) -> Result<Sent, NotSent> {
        self.sender
            .ready()
            .await
            .map_err(|error| NotSent::Closed(failure(&error)))?;
        let at = Instant::now();
        let sent = self.sender.try_send_request(plan.request()).await;
        sent.map(|response| Sent { at, response })
            .map_err(|mut error| match error.take_message() {
                Some(_unsent) => NotSent::Closed(failure(error.error())),
                None => NotSent::Failed(failure(error.error())),
            })
    }
}

/// Sorts an error of the HTTP library.
pub fn failure(error: &hyper::Error) -> Failure {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let garbled = source.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    });
    let kind = if error.is_parse() || garbled {
        Kind::Protocol
    } else {
        Kind::Reset
    };
    let detail = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    Failure {
        kind,
        detail: Some(detail),
    }
}
