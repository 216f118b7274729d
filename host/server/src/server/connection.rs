//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::connection_limit::ConnectionPermit;
use super::idle_timeout::{ConnectionTimeouts, FAREWELL_MS, Verdict};
use super::progress_body::ProgressBody;
use super::unread::{self, RequestBody};
use super::wire::Wire;
use crate::server::config::Config as Limits;
use hearth_base::telemetry::HostMetrics;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all connections of a listener share.
pub struct ListenerContext {
    pub builder: auto::Builder<TokioExecutor>,
    pub patience: ConnectionTimeouts,
    pub limits: Arc<Limits>,
    pub metrics: HostMetrics,
    /// No further request: what is under way is answered.
    pub stop: CancellationToken,
    /// The drain is over.
    pub end: CancellationToken,
}

impl ListenerContext {
    /// Serves until the client goes, does not do its part, gives way to another, or
    /// the listener ends.
    pub async fn serve<I, S, F, B>(
        self: Arc<Self>,
        stream: I,
        peer: SocketAddr,
        place: &ConnectionPermit,
        answer: S,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Fn(Request<RequestBody>, SocketAddr) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let pulse = place.activity();
        let wire = Wire::new(stream, pulse.clone(), self.limits.clone());
        let (asked, ownership) = (pulse.clone(), place.ownership());
        let limits = self.limits.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = asked.request();
            request.extensions_mut().insert(ownership.clone());
            let (request, unread) = unread::watch(request);
            // In a place of its own, which a connection that waits or streams has not.
            let answering = Box::pin(answer(request, peer));
            let limits = limits.clone();
            async move {
                let answer = unread.settle(answering.await, &limits).await;
                Ok::<_, Infallible>(answer.map(|body| ProgressBody::new(body, under_way)))
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(wire), service));
        let mut leaving = false;
        loop {
            let next = match pulse.verdict(&self.patience) {
                _ if leaving && pulse.is_done() => return,
                Verdict::Lives(next) => next.min(Duration::from_millis(FAREWELL_MS)),
                Verdict::Idle => {
                    if !leaving {
                        leaving = true;
                        self.ended(Verdict::Idle, peer);
                        connection.as_mut().graceful_shutdown();
                    }
                    Duration::from_millis(FAREWELL_MS)
                }
                verdict => return self.ended(verdict, peer),
            };
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = place.eviction(), if !leaving => {
                    leaving = true;
                    // A request that has come meanwhile begins, and gets its answer.
                    let mut ended = connection.as_mut().now_or_never();
                    if ended.is_none() {
                        connection.as_mut().graceful_shutdown();
                        // Looked at once more, it takes its leave where the protocol has one.
                        ended = connection.as_mut().now_or_never();
                    }
                    if ended.is_some() || pulse.idle_ms().is_some() {
                        return self.count("evicted", peer);
                    }
                }
                () = self.end.cancelled() => return,
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    fn ended(&self, verdict: Verdict, peer: SocketAddr) {
        self.count(verdict.reason(), peer);
    }

    fn count(&self, reason: &'static str, peer: SocketAddr) {
        self.metrics.count_connection_ended(reason);
        tracing::debug!(%peer, reason, "a connection was ended");
    }
}
