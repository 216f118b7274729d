//! How many connections each peer has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// A network of this size belongs to one customer of an access network (RFC 6177),
/// who would otherwise have as many addresses as wanted.
const IPV6_PREFIX_BITS: u32 = 64;

/// Cloning shares the count.
#[derive(Clone)]
pub struct Peers {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    each_max: usize,
}

/// One connection of a peer; dropped, the peer may have another.
pub struct Place {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    pub fn new(each_max: usize) -> Peers {
        Peers {
            open: Arc::default(),
            each_max,
        }
    }

    /// A place, where the peer has not as many as it may.
    pub fn enter(&self, peer: IpAddr) -> Option<Place> {
        let peer = network(peer);
        let mut open = self.open.lock();
        let count = open.entry(peer).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: self.clone(),
            peer,
        })
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock();
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_has_as_many_places_as_it_may_and_gets_them_back() {
        let peers = Peers::new(2);
        let enter = |text: &str| peers.enter(text.parse().unwrap());
        let (one, two) = (enter("192.0.2.1"), enter("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(one);
        assert!(enter("192.0.2.1").is_some());
        drop(two);
        assert!(peers.open.lock().is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_peer() {
        let peers = Peers::new(1);
        let _one = peers.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(peers.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(peers.enter("2001:db8:0:1::2".parse().unwrap()).is_some());
    }
}
