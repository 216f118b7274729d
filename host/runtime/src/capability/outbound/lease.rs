//! The lease of a connection: while one call has it.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;

use super::RequestOwner;
use super::connection::{Body, Connection, Sent};
use super::pool::Pool;
use super::target::Destination;
use hearth_base::budget::Seat;

/// The seats that a call takes for its connection.
pub struct Seats {
    _destination: Seat<(RequestOwner, Destination)>,
    _host: Seat<RequestOwner>,
}

impl Seats {
    pub fn new(destination: Seat<(RequestOwner, Destination)>, host: Seat<RequestOwner>) -> Seats {
        Seats {
            _destination: destination,
            _host: host,
        }
    }
}

/// A connection in use. Dropped before the answer has ended it is not used again:
/// one of HTTP/1.1 is closed, and with it the request; of HTTP/2 the stream is.
pub struct ConnectionLease {
    connection: Option<Connection>,
    destination: Destination,
    pool: Arc<Pool>,
    seats: Option<Seats>,
}

impl ConnectionLease {
    pub fn new(
        connection: Connection,
        destination: Destination,
        pool: Arc<Pool>,
        seats: Seats,
    ) -> ConnectionLease {
        ConnectionLease {
            connection: Some(connection),
            destination,
            pool,
            seats: Some(seats),
        }
    }

    pub fn is_h2(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_h2)
    }

    /// Sends, and waits for the answer's head. `None` where there is no connection.
    pub async fn send(&mut self, request: Request<Body>) -> Option<Sent> {
        match &mut self.connection {
            Some(connection) => Some(connection.send(request).await),
            None => None,
        }
    }

    /// The seats for another connection; this one is given up.
    pub fn give_up(mut self) -> Option<Seats> {
        self.seats.take()
    }

    /// Whether the connection may serve another call, once that is known.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match &mut self.connection {
            Some(connection) => connection.poll_ready(context),
            None => Poll::Ready(false),
        }
    }

    /// The answer has ended as it should.
    pub fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.give(&self.destination, connection);
        }
    }
}

impl Drop for ConnectionLease {
    fn drop(&mut self) {
        // Something went wrong on it, or nobody wanted to know how it ends. Others
        // who share it go on; the next call gets another.
        if let Some(Connection::H2(h2)) = &self.connection {
            self.pool.forget(&self.destination, h2);
        }
    }
}
