//! The limit of open connections, and which connection is closed when it is reached.
//!
//! Each peer may have a limited number. When the limit of all is reached, a new
//! connection is accepted all the same, and the longest idle connection of the peer
//! with the most is closed. The new one does not wait until that is done: a queue would
//! grow behind it, and the system drops whatever does not fit there. A connection
//! counts for its customer from the first valid key on it, and for its peer before
//! that: so clients behind one proxy are distinguished, and a new connection counts for
//! its address.
//!
//! A connection with a request in progress is never closed for another. How many of
//! those a customer can have is limited by its requests and its streams.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::idle_timeout::Activity;

/// A network of this size belongs to one customer of an access network (RFC 6177),
/// who would otherwise have as many addresses as wanted.
const IPV6_PREFIX_BITS: u32 = 64;

/// Connections that were asked to go and are still there, beside those that have places:
/// a request may have begun on one meanwhile.
const LEAVING_MAX: usize = 256;

/// How long a newcomer waits where as many are about to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of so many, drawn at random, the one that gives way is chosen: however many there
/// are, a newcomer costs the same.
const SAMPLE: usize = 64;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken, and none is idle.
    Full,
    PeerFull,
}

impl NoPlace {
    /// The label of the metric that counts connections ended by the host.
    pub fn reason(self) -> &'static str {
        match self {
            NoPlace::Full => "too_many",
            NoPlace::PeerFull => "too_many_of_peer",
        }
    }
}

/// The owner of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Peer(IpAddr),
    Customer(Arc<str>),
}

pub struct ConnectionLimit {
    max: usize,
    peer_max: usize,
    state: Mutex<State>,
    /// A connection was closed.
    left: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    open: IndexMap<u64, Connection>,
    /// How many of them were asked to go.
    leaving: usize,
    peers: HashMap<IpAddr, usize>,
    owners: HashMap<Owner, usize>,
}

struct Connection {
    owner: Owner,
    pulse: Arc<Activity>,
    evict: Arc<Notify>,
    is_leaving: bool,
}

/// One connection's place; dropped, another may have it.
pub struct ConnectionPermit {
    ownership: Ownership,
    peer: IpAddr,
    pulse: Arc<Activity>,
    evict: Arc<Notify>,
}

/// Sets the owner of a connection. Its requests carry it.
#[derive(Clone)]
pub struct Ownership {
    places: Arc<ConnectionLimit>,
    number: u64,
}

impl ConnectionLimit {
    /// A peer that may have all of them is no other than who gives way to a newcomer.
    pub fn new(max: usize, peer_max: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit {
            max,
            peer_max: if peer_max < max { peer_max } else { usize::MAX },
            state: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// A place, where the peer has not as many as it may and one is free, or is given
    /// up for it.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn enter(
        self: &Arc<ConnectionLimit>,
        peer: IpAddr,
    ) -> Result<ConnectionPermit, NoPlace> {
        let (peer, until) = (network(peer), Instant::now() + PATIENCE);
        loop {
            let left = self.left.notified();
            if let Some(place) = self.take(peer)? {
                return Ok(place);
            }
            if timeout_at(until, left).await.is_err() {
                return Err(NoPlace::Full);
            }
        }
    }

    /// `None` where too many are about to go.
    fn take(
        self: &Arc<ConnectionLimit>,
        peer: IpAddr,
    ) -> Result<Option<ConnectionPermit>, NoPlace> {
        let mut state = self.state.lock();
        if count(&state.peers, &peer) >= self.peer_max {
            return Err(NoPlace::PeerFull);
        }
        if state.open.len() - state.leaving >= self.max {
            if state.leaving >= LEAVING_MAX {
                return Ok(None);
            }
            state.evict()?;
        }
        let (pulse, evict) = (Activity::new(), Arc::new(Notify::new()));
        let number = state.enter(peer, &pulse, &evict);
        let places = self.clone();
        Ok(Some(ConnectionPermit {
            ownership: Ownership { places, number },
            peer,
            pulse,
            evict,
        }))
    }
}

impl State {
    fn enter(&mut self, peer: IpAddr, pulse: &Arc<Activity>, evict: &Arc<Notify>) -> u64 {
        self.next += 1;
        let owner = Owner::Peer(peer);
        count_up(&mut self.peers, peer);
        count_up(&mut self.owners, owner.clone());
        let connection = Connection {
            owner,
            pulse: pulse.clone(),
            evict: evict.clone(),
            is_leaving: false,
        };
        self.open.insert(self.next, connection);
        self.next
    }

    fn leave(&mut self, number: u64, peer: IpAddr) {
        count_down(&mut self.peers, &peer);
        if let Some(connection) = self.open.swap_remove(&number) {
            self.leaving -= usize::from(connection.is_leaving);
            count_down(&mut self.owners, &connection.owner);
        }
    }

    /// Asks one more connection to go.
    fn evict(&mut self) -> Result<(), NoPlace> {
        let number = self.find_longest_idle().ok_or(NoPlace::Full)?;
        if let Some(connection) = self.open.get_mut(&number) {
            connection.is_leaving = true;
            connection.evict.notify_one();
            self.leaving += 1;
        }
        Ok(())
    }

    /// The longest idle connection of the owner with the most: among a sample, or among
    /// all if none of these is idle.
    fn find_longest_idle(&self) -> Option<u64> {
        let all = self.open.len();
        if all > SAMPLE {
            let mut rng = rand::rng();
            let few = (0..SAMPLE).map(|_| rng.random_range(0..all));
            let few = few.filter_map(|at| self.open.get_index(at));
            if let Some(longest) = self.longest_idle_of(few) {
                return Some(longest);
            }
        }
        self.longest_idle_of(self.open.iter())
    }

    fn longest_idle_of<'t>(
        &self,
        some: impl Iterator<Item = (&'t u64, &'t Connection)>,
    ) -> Option<u64> {
        let idle = some.filter_map(|(number, connection)| {
            let idle_ms = connection.pulse.idle_ms()?;
            let owns = count(&self.owners, &connection.owner);
            // Of those who came at the same time, the first.
            (!connection.is_leaving).then_some((owns, idle_ms, Reverse(*number)))
        });
        idle.max().map(|(_, _, Reverse(number))| number)
    }
}

impl ConnectionPermit {
    pub fn activity(&self) -> Arc<Activity> {
        self.pulse.clone()
    }

    pub fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }

    /// Ends when another wants the place.
    pub async fn eviction(&self) {
        self.evict.notified().await;
    }
}

impl Ownership {
    pub fn belongs_to(&self, customer: &Arc<str>) {
        let state = &mut *self.places.state.lock();
        let Some(connection) = state.open.get_mut(&self.number) else {
            return;
        };
        if matches!(&connection.owner, Owner::Customer(owner) if owner == customer) {
            return;
        }
        count_down(&mut state.owners, &connection.owner);
        connection.owner = Owner::Customer(customer.clone());
        count_up(&mut state.owners, connection.owner.clone());
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let places = &self.ownership.places;
        places.state.lock().leave(self.ownership.number, self.peer);
        places.left.notify_waiters();
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        address => address,
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn count_up<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
