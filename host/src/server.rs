//! The listener: accepts, bounds connections, and drains.
//!
//! The shape is mini-redis's: a listener that accepts until it is told to stop,
//! a task for each connection, and a shutdown that waits for them, bounded.

pub mod body;
mod guest;
mod request;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::config::Server as Limits;

pub use request::Edge;

/// A response whole, as the public listener sends it.
pub type Answer = Response<Full<Bytes>>;

/// One listening socket.
pub struct Listener {
    socket: TcpListener,
    limits: Arc<Limits>,
}

impl Listener {
    pub async fn bind(address: SocketAddr, limits: Arc<Limits>) -> std::io::Result<Listener> {
        let socket = TcpListener::bind(address).await?;
        Ok(Listener { socket, limits })
    }

    /// Where it really listens, which port 0 leaves to the system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown` ends, then drains: no new connection, requests
    /// under way get their answers, and what is left after `drain_ms_max` ends.
    pub async fn serve<S, F, B>(self, answer: S, shutdown: impl Future<Output = ()>)
    where
        S: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(self.limits.connections_max));
        let builder = Arc::new(builder(&self.limits));
        let graceful = GracefulShutdown::new();
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
            let Ok(permit) = connections.clone().try_acquire_owned() else {
                continue;
            };
            let serving = connection(&builder, stream, peer, answer.clone(), &graceful);
            tokio::spawn(async move {
                serving.await;
                drop(permit);
            });
        }
        drop(self.socket);
        let drain = Duration::from_millis(self.limits.drain_ms_max);
        if tokio::time::timeout(drain, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("connections were still busy when the drain ended");
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

fn connection<S, F, B>(
    builder: &Arc<auto::Builder<TokioExecutor>>,
    stream: TcpStream,
    peer: SocketAddr,
    answer: S,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static
where
    S: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answering = answer(request, peer);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

/// hyper's own timeouts do nothing without a timer, so both protocols get one.
fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms_max))
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
        .keep_alive_interval(Duration::from_millis(limits.idle_ms_max))
        .keep_alive_timeout(Duration::from_millis(limits.header_ms_max));
    builder
}
