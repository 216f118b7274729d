//! Connections that wait for their next request. Each is to an address that was
//! judged when it was opened, by ranges that stay as they are for the life of the
//! process; so whoever asks for the destination may use it. A service of the host's
//! that moves to such an address finds no connection of before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Config;
use super::connection::{Connection, H2, Protocols};
use super::target::Destination;

pub struct Pool {
    idle: Mutex<HashMap<Destination, Vec<IdleConnection>>>,
    connections_max: usize,
    idle_max: Duration,
    age_max: Duration,
}

struct IdleConnection {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub fn new(config: &Config) -> Pool {
        Pool {
            idle: Mutex::default(),
            connections_max: config.idle_connections_max,
            idle_max: Duration::from_millis(config.idle_ms_max),
            age_max: Duration::from_millis(config.connection_ms_max),
        }
    }

    /// A connection that a request can be sent on at once, the last used first, so
    /// that the rest grow old and go.
    pub fn take(&self, destination: &Destination, protocols: Protocols) -> Option<Connection> {
        let mut all = self.idle.lock();
        let waiting = all.get_mut(destination)?;
        waiting.retain(|idle| self.may_serve(idle));
        let fits = |idle: &IdleConnection| protocols == Protocols::Any || !idle.connection.is_h2();
        let place = waiting.iter().rposition(fits)?;
        let taken = match waiting.get_mut(place) {
            // It stays for others while it is used.
            Some(IdleConnection {
                connection: Connection::H2(h2),
                since,
            }) => {
                *since = Instant::now();
                Connection::H2(h2.clone())
            }
            _ => waiting.remove(place).connection,
        };
        if waiting.is_empty() {
            all.remove(destination);
        }
        Some(taken)
    }

    /// Keeps a connection for the next, where it may serve again. The one that has
    /// waited longest goes where there is no room.
    pub fn give(&self, destination: &Destination, connection: Connection) {
        let since = Instant::now();
        let given = IdleConnection { connection, since };
        if self.connections_max == 0 || !self.may_serve(&given) {
            return;
        }
        let mut all = self.idle.lock();
        let waiting = all.entry(destination.clone()).or_default();
        if given.connection.is_h2()
            && let Some(idle) = waiting.iter_mut().find(|idle| idle.connection.is_h2())
        {
            idle.since = since;
            return;
        }
        waiting.push(given);
        if all.values().map(Vec::len).sum::<usize>() > self.connections_max {
            remove_oldest(&mut all);
        }
    }

    /// Nobody gets this connection any more; who uses it goes on.
    pub fn forget(&self, destination: &Destination, gone: &Arc<H2>) {
        let mut all = self.idle.lock();
        if let Some(waiting) = all.get_mut(destination) {
            waiting.retain(|idle| match &idle.connection {
                Connection::H2(h2) => !Arc::ptr_eq(h2, gone),
                Connection::H1(_) => true,
            });
            if waiting.is_empty() {
                all.remove(destination);
            }
        }
    }

    /// Closes what the other side has closed, and what waited for too long.
    pub fn sweep(&self) {
        let mut all = self.idle.lock();
        all.retain(|_, waiting| {
            waiting.retain(|idle| self.may_serve(idle));
            !waiting.is_empty()
        });
    }

    fn may_serve(&self, idle: &IdleConnection) -> bool {
        idle.connection.is_ready()
            && idle.since.elapsed() < self.idle_max
            && idle.connection.born().elapsed() < self.age_max
    }
}

fn remove_oldest(all: &mut HashMap<Destination, Vec<IdleConnection>>) {
    let since = |waiting: &[IdleConnection]| waiting.iter().map(|idle| idle.since).min();
    let oldest = all.values().filter_map(|waiting| since(waiting)).min();
    all.retain(|_, waiting| {
        waiting.retain(|idle| Some(idle.since) != oldest);
        !waiting.is_empty()
    });
}
