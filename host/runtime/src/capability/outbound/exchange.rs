//! One request and its answer: breaker, seat, connection, head.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Method, Request, Uri, response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::body::{AnswerBody, BodyBounds};
use super::breakers::{Reached, Trial};
use super::connection::{Body, Connection, Protocols};
use super::lease::{ConnectionLease, Seats};
use super::message;
use super::target::{Host, Target};
use super::{Client, ClientInner, Config, Error, RequestOwner};
use hearth_base::telemetry::trace::{forward, method_name};
use hearth_base::telemetry::{Span, SpanKind, TraceScope};

/// Where a request goes, for whom, and within which bounds. It was granted.
pub struct OutgoingRequest {
    pub whose: RequestOwner,
    pub target: Target,
    pub protocols: Protocols,
    pub times: Timeouts,
    pub answer_bytes_max: u64,
    /// Where it belongs in a trace, which goes with it.
    pub trace: TraceScope,
}

/// How long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For everything.
    pub deadline: Instant,
    /// Until there is a connection; and from then until there is a head.
    pub connect_max: Option<Duration>,
    pub head_max: Option<Duration>,
    /// From the head to the end of the body.
    pub body_max: Option<Duration>,
    /// Between two pieces of the body.
    pub pause_max: Option<Duration>,
}

impl Timeouts {
    pub fn until(deadline: Instant) -> Timeouts {
        Timeouts {
            deadline,
            connect_max: None,
            head_max: None,
            body_max: None,
            pause_max: None,
        }
    }

    fn within(&self, max: Option<Duration>) -> Instant {
        let until = max.and_then(|max| Instant::now().checked_add(max));
        until.map_or(self.deadline, |until| until.min(self.deadline))
    }
}

/// What came back.
pub struct Answer {
    pub head: response::Parts,
    pub body: AnswerBody,
}

impl Answer {
    /// Refuses one that cannot be had whole, before its body is read.
    pub fn check(self, config: &Config) -> Result<Answer, Error> {
        match message::is_too_large(&self.head.headers, config) || self.body.is_too_large() {
            true => Err(Error::TooLarge),
            false => Ok(self),
        }
    }
}

impl Client {
    /// Sends a request and waits for the answer's head. The request's URI is set
    /// by the way's target alone.
    pub(super) async fn exchange(
        &self,
        way: &OutgoingRequest,
        mut request: Request<Body>,
    ) -> Result<Answer, Error> {
        let mut span = begin_span(way, request.method());
        forward(&span.scope(), request.headers_mut());
        let answered = self.exchange_untraced(way, request).await;
        match &answered {
            Ok(answer) => {
                let status = answer.head.status;
                span.number("http.response.status_code", status.as_u16());
                if status.is_client_error() || status.is_server_error() {
                    span.fail(status.as_u16());
                }
            }
            Err(error) => span.fail(error.kind()),
        }
        answered
    }

    async fn exchange_untraced(
        &self,
        way: &OutgoingRequest,
        request: Request<Body>,
    ) -> Result<Answer, Error> {
        let inner = &self.inner;
        // A timer has its granularity: without this a quick server could still answer.
        if way.times.deadline <= Instant::now() {
            return Err(Error::Timeout);
        }
        let admitted = inner.breakers.admit(&way.whose, &way.target.destination);
        let mut trial = admitted.map_err(Error::BreakerOpen)?;
        let conversing = inner.converse(way, request, &mut trial);
        let sent = timeout_at(way.times.deadline, conversing).await;
        let sent = sent.unwrap_or(Err(Error::Timeout));
        trial.end(sent.as_ref().err());
        let (head, incoming, lease) = sent?;
        let bounds = BodyBounds {
            bytes_max: way.answer_bytes_max,
            deadline: way.times.within(way.times.body_max),
            pause_max: way.times.pause_max,
        };
        let body = AnswerBody::new(incoming, bounds, lease);
        Ok(Answer { head, body })
    }
}

/// It ends with the answer's head. Of the URL it has what no secret stands in.
fn begin_span(way: &OutgoingRequest, method: &Method) -> Span {
    let destination = &way.target.destination;
    let method = method_name(method);
    let mut span = way.trace.span(method, SpanKind::Client);
    span.text("http.request.method", method);
    span.text("url.scheme", destination.scheme.name());
    span.text("server.address", &destination.host);
    span.number("server.port", destination.port);
    span
}

type ResponseParts = (response::Parts, Incoming, ConnectionLease);

impl ClientInner {
    async fn converse(
        &self,
        way: &OutgoingRequest,
        mut request: Request<Body>,
        trial: &mut Trial,
    ) -> Result<ResponseParts, Error> {
        let mut seats = self.seats(way).await;
        if let Some(connection) = self.pool.take(&way.target.destination, way.protocols) {
            trial.reach(Reached::Connected);
            let lease = self.lease(connection, way, seats);
            match self.send(lease, request, way).await? {
                SendStep::Answered(answered) => {
                    self.metrics.connections_reused.increment(1);
                    return Ok(*answered);
                }
                // The other side had closed it before anything was sent.
                SendStep::Not(returned, kept) => (request, seats) = (*returned, kept),
            }
        }
        trial.reach(Reached::Waiting);
        let until = way.times.within(way.times.connect_max);
        let connection = timeout_at(until, self.connect(way, trial))
            .await
            .unwrap_or(Err(Error::Timeout))?;
        trial.reach(Reached::Connected);
        let lease = self.lease(connection, way, seats);
        match self.send(lease, request, way).await? {
            SendStep::Answered(answered) => Ok(*answered),
            SendStep::Not(..) => Err(Error::Protocol("the connection was closed at once".into())),
        }
    }

    async fn seats(&self, way: &OutgoingRequest) -> Seats {
        let own = (way.whose.clone(), way.target.destination.clone());
        let destination = self.destinations.enter(own).await;
        Seats::new(destination, self.connections.enter(way.whose.clone()).await)
    }

    fn lease(
        &self,
        connection: Connection,
        way: &OutgoingRequest,
        seats: Seats,
    ) -> ConnectionLease {
        let destination = way.target.destination.clone();
        ConnectionLease::new(connection, destination, self.pool.clone(), seats)
    }

    /// A new connection to an address that was judged. There is no second look-up.
    async fn connect(&self, way: &OutgoingRequest, trial: &mut Trial) -> Result<Connection, Error> {
        let destination = &way.target.destination;
        let found = match &destination.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let seat = self.look_ups.seat(&way.whose).await;
                trial.reach(Reached::Connecting);
                self.look_ups.addresses(name, seat).await?
            }
        };
        let addresses = self.judged(&found, way)?;
        trial.reach(Reached::Connecting);
        let dialled = self
            .dialer
            .dial(destination, &addresses, way.protocols)
            .await;
        if dialled.is_ok() {
            self.metrics.connections_opened.increment(1);
        }
        dialled
    }

    /// Those of a name's first addresses that may be reached.
    fn judged(&self, found: &[IpAddr], way: &OutgoingRequest) -> Result<Vec<IpAddr>, Error> {
        let (mut addresses, mut closed) = (Vec::new(), None);
        for address in found.iter().take(self.config.addresses_max) {
            match self
                .policy
                .judge_from_here(*address, way.target.destination.port)
            {
                Ok(address) => addresses.push(address),
                Err(what) => closed = Some((*address, what)),
            }
        }
        if let Some((address, what)) = closed {
            let destination = &way.target.destination;
            tracing::info!(
                plugin = %way.whose.plugin,
                %destination,
                "a plugin tried to reach a blocked address: {what} (to allow it, add \"{}\" to \
                 outbound.allow_addresses)",
                SocketAddr::new(address, destination.port)
            );
        }
        match addresses.is_empty() {
            true => Err(Error::BlockedAddress),
            false => Ok(addresses),
        }
    }

    async fn send(
        &self,
        mut lease: ConnectionLease,
        mut request: Request<Body>,
        way: &OutgoingRequest,
    ) -> Result<SendStep, Error> {
        shape(&mut request, &way.target, lease.is_h2())?;
        let until = way.times.within(way.times.head_max);
        let sent = timeout_at(until, lease.send(request)).await;
        match sent.map_err(|_| Error::Timeout)? {
            Some(Ok(answer)) => {
                let (head, incoming) = answer.into_parts();
                message::check_status(head.status)?;
                Ok(SendStep::Answered(Box::new((head, incoming, lease))))
            }
            Some(Err(mut failed)) => match (failed.take_message(), lease.give_up()) {
                (Some(request), Some(seats)) => Ok(SendStep::Not(Box::new(request), seats)),
                _ => Err(Error::of_hyper(failed.error())),
            },
            None => Err(Error::Protocol("there was no connection".into())),
        }
    }
}

enum SendStep {
    Answered(Box<ResponseParts>),
    /// It never left, and goes another way.
    Not(Box<Request<Body>>, Seats),
}

/// The two versions write down differently where a request goes.
fn shape(request: &mut Request<Body>, target: &Target, h2: bool) -> Result<(), Error> {
    let authority = target.destination.authority();
    let unusable = |error: http::Error| Error::Invalid(error.to_string());
    let uri = match h2 {
        true => Uri::builder()
            .scheme(target.destination.scheme.name())
            .authority(authority.as_str())
            .path_and_query(target.path.clone())
            .build()
            .map_err(unusable)?,
        false => Uri::from(target.path.clone()),
    };
    *request.uri_mut() = uri;
    request.headers_mut().remove(HOST);
    if !h2 {
        let host = HeaderValue::try_from(authority).map_err(|error| unusable(error.into()))?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}
