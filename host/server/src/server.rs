//! The listener: accepts, bounds connections, and drains.
//!
//! The shape is mini-redis's: a listener that accepts until it is told to stop,
//! a task for each connection, and a shutdown that waits for them, bounded.

pub mod access;
pub mod body;
pub mod builtin_routes;
pub mod compress;
pub mod config;
mod connection;
mod connection_limit;
mod guest;
mod idle_timeout;
pub mod outgoing;
mod progress_body;
mod request;
pub mod sse;
pub mod tls;
pub mod traffic;
mod unread;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::config::Config as Limits;
use self::connection::{BoxError, ListenerContext};
use self::connection_limit::{ConnectionLimit, ConnectionPermit};
use self::idle_timeout::ConnectionTimeouts;
use self::outgoing::Outgoing;
use self::tls::{Tls, TlsError};
use hearth_base::telemetry::HostMetrics;

pub use request::Edge;
pub use unread::RequestBody;

/// A response, as the public listener sends it.
pub type Answer = Response<Outgoing>;

/// An answer whose body is known, as a plugin gives it.
pub type Whole = Response<Full<Bytes>>;

/// One listening socket.
pub struct Listener {
    socket: TcpListener,
    limits: Arc<Limits>,
    tls: Option<Arc<Tls>>,
    metrics: HostMetrics,
}

impl Listener {
    /// With `tls` nothing but TLS is spoken on it.
    pub async fn bind(
        address: SocketAddr,
        limits: Arc<Limits>,
        tls: Option<Arc<Tls>>,
        metrics: HostMetrics,
    ) -> std::io::Result<Listener> {
        let socket = TcpListener::bind(address).await?;
        Ok(Listener {
            socket,
            limits,
            tls,
            metrics,
        })
    }

    /// Where it really listens, which port 0 leaves to the system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The address as a URL, without a path.
    pub fn url(&self) -> std::io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }

    /// Serves until `shutdown` ends, then drains: no new connection, requests
    /// under way get their answers, and what is left after `drain_ms_max` ends.
    pub async fn serve<S, F, B>(self, answer: S, shutdown: impl Future<Output = ()>)
    where
        S: Fn(Request<RequestBody>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let places = ConnectionLimit::new(
            self.limits.connections_max,
            self.limits.peer_connections_max,
        );
        let serving = Arc::new(self.serving());
        let tasks = TaskTracker::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = &mut shutdown => break,
            };
            let Some((stream, peer)) = usable(accepted).await else {
                continue;
            };
            // One connection too many is closed at once: it costs no memory.
            let place = match places.enter(peer.ip()).await {
                Ok(place) => place,
                Err(none) => {
                    self.metrics.count_connection_ended(none.reason());
                    continue;
                }
            };
            // In a place of its own: a task that awaits what it was given holds it twice.
            let served = Box::pin(served(
                serving.clone(),
                self.tls.clone(),
                stream,
                peer,
                place,
                answer.clone(),
            ));
            tasks.spawn(served);
        }
        drop(self.socket);
        serving.stop.cancel();
        tasks.close();
        let drain = Duration::from_millis(self.limits.drain_ms_max);
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!("connections were still busy when the drain ended");
            serving.end.cancel();
        }
    }

    fn serving(&self) -> ListenerContext {
        ListenerContext {
            builder: builder(&self.limits),
            patience: ConnectionTimeouts::new(&self.limits),
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
        }
    }
}

/// Accept fails for want of file descriptors, or for a client that has gone; a
/// pause keeps the first from spinning.
async fn usable(
    accepted: std::io::Result<(TcpStream, SocketAddr)>,
) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

/// One connection, after its handshake where there is TLS.
async fn served<S, F, B>(
    serving: Arc<ListenerContext>,
    tls: Option<Arc<Tls>>,
    stream: TcpStream,
    peer: SocketAddr,
    place: ConnectionPermit,
    answer: S,
) where
    S: Fn(Request<RequestBody>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let metrics = serving.metrics.clone();
    metrics.connections.increment(1);
    match tls {
        None => serving.serve(stream, peer, &place, answer).await,
        Some(tls) => {
            let shaken = tokio::select! {
                shaken = tls.accept(stream, peer.ip()) => shaken,
                () = place.eviction() => Err(TlsError::Evicted),
            };
            match shaken {
                Ok(stream) => serving.serve(stream, peer, &place, answer).await,
                Err(refused) => {
                    metrics.count_connection_ended(refused.reason());
                    tracing::debug!(%peer, "no TLS: {refused}");
                }
            }
        }
    }
    metrics.connections.decrement(1);
}

/// hyper's own timeouts do nothing without a timer, so both protocols get one.
/// The time of a head is not hyper's to measure: it would count silence between
/// two requests too, so `pulse` does.
fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None::<Duration>)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2.streams_max)
        .max_header_list_size(limits.h2.header_list_bytes_max)
        .initial_stream_window_size(limits.h2.stream_window_bytes)
        .initial_connection_window_size(limits.h2.connection_window_bytes)
        .max_send_buf_size(limits.h2.send_buffer_bytes_max)
        .max_pending_accept_reset_streams(limits.h2.reset_streams_max)
        .max_local_error_reset_streams(limits.h2.error_streams_max)
        .keep_alive_interval(Duration::from_millis(limits.idle_ms_max))
        .keep_alive_timeout(Duration::from_millis(limits.header_ms_max));
    builder
}
