//! What no range opens to plugins: where this host itself listens, and the services
//! that it is configured with. Many of those believe whoever reaches them.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::resolve::Resolver;

/// How often names are looked up anew: a service may move.
const LOOK_UP: Duration = Duration::from_secs(10);
/// How often those are that have never been found.
const LOOK_UP_UNKNOWN: Duration = Duration::from_secs(1);

/// Where one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    pub port: u16,
}

/// All of them. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    all: Arc<RwLock<Vec<ReservedEndpoint>>>,
}

#[derive(Clone, Debug)]
struct ReservedEndpoint {
    endpoint: Endpoint,
    /// `None` until the name was found for the first time.
    addresses: Option<Vec<IpAddr>>,
}

impl Reserved {
    pub fn add(&self, endpoint: Endpoint) {
        let address = address(&endpoint.host);
        let addresses = address.map(|address| vec![address.to_canonical()]);
        let place = ReservedEndpoint {
            endpoint,
            addresses,
        };
        self.all.write().push(place);
    }

    /// Whether one of them is at an address and a port. Where a service is whose name
    /// was never found is not known, so it may be at any address that is closed otherwise.
    pub fn has(&self, address: IpAddr, port: u16, is_closed: bool) -> bool {
        let all = self.all.read();
        let mut at_port = all.iter().filter(|place| place.endpoint.port == port);
        at_port.any(|place| match &place.addresses {
            None => is_closed,
            Some(own) => own.iter().any(|own| leads_to(address, *own)),
        })
    }

    /// Looks names up, again and again, until it is dropped.
    pub async fn follow(self, resolver: Resolver) {
        loop {
            let unknown = self.look_up(&resolver).await;
            sleep(if unknown { LOOK_UP_UNKNOWN } else { LOOK_UP }).await;
        }
    }

    /// Says whether a name has still not been found. One that is not found any more
    /// keeps its addresses.
    async fn look_up(&self, resolver: &Resolver) -> bool {
        for name in self.names() {
            let (resolver, wanted) = (resolver.clone(), name.clone());
            let found = spawn_blocking(move || resolver.look_up(&wanted)).await;
            if let Ok(Ok(addresses)) = found
                && !addresses.is_empty()
            {
                self.note(&name, &addresses);
            }
        }
        let all = self.all.read();
        all.iter().any(|place| place.addresses.is_none())
    }

    fn names(&self) -> Vec<String> {
        let all = self.all.read();
        let mut names: Vec<String> = all
            .iter()
            .map(|place| place.endpoint.host.clone())
            .filter(|host| address(host).is_none())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn note(&self, name: &str, addresses: &[IpAddr]) {
        let addresses: Vec<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
        for place in self.all.write().iter_mut() {
            if place.endpoint.host == name {
                place.addresses = Some(addresses.clone());
            }
        }
    }
}

/// The address that stands in place of a name, as it does in a URL.
fn address(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// What listens on one address of a machine often listens on all of them, and to
/// connect to the unspecified address leads to this machine.
fn leads_to(address: IpAddr, own: IpAddr) -> bool {
    address == own || (may_be_here(address) && may_be_here(own))
}

fn may_be_here(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback() || binds(address)
}

/// Only its own addresses can be bound, unless the machine allows any to be
/// (`ip_nonlocal_bind`). No packet is sent.
pub(super) fn binds(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn reserved(hosts: &[&str]) -> Reserved {
        let reserved = Reserved::default();
        for host in hosts {
            reserved.add(Endpoint {
                host: (*host).to_owned(),
                port: 5432,
            });
        }
        reserved
    }

    #[test]
    fn wildcard_is_every_address_of_this_machine_at_its_port() {
        for wildcard in ["0.0.0.0", "::", "[::]", "127.0.0.1", "::1"] {
            let reserved = reserved(&[wildcard]);
            for here in ["127.0.0.1", "127.8.9.1", "::1", "0.0.0.0", "::"] {
                assert!(reserved.has(ip(here), 5432, true), "{here}");
                assert!(!reserved.has(ip(here), 5433, true), "{here}");
            }
            assert!(!reserved.has(ip("10.255.1.2"), 5432, true));
        }
    }

    #[test]
    fn service_elsewhere_is_its_own_address_alone() {
        let reserved = reserved(&["10.255.1.2"]);
        assert!(reserved.has(ip("10.255.1.2"), 5432, true));
        for other in ["10.255.1.3", "127.0.0.1", "0.0.0.0"] {
            assert!(!reserved.has(ip(other), 5432, true), "{other}");
        }
    }

    #[tokio::test]
    async fn name_is_reserved_before_it_is_found_and_where_it_moves() {
        let reserved = reserved(&["db.example"]);
        let (away, near) = (ip("10.255.1.2"), ip("10.255.1.3"));
        assert!(reserved.has(near, 5432, true));
        assert!(!reserved.has(ip("8.8.8.8"), 5432, false));
        let lost = Resolver::Given(Arc::new(|_| Err(io::ErrorKind::NotFound.into())));
        assert!(reserved.look_up(&lost).await);
        assert!(reserved.has(near, 5432, true));
        for at in [away, near] {
            let found = Resolver::Given(Arc::new(move |_| Ok(vec![at])));
            assert!(!reserved.look_up(&found).await);
            for address in [away, near] {
                let is_reserved = reserved.has(address, 5432, true);
                assert_eq!(is_reserved, address == at, "{address} {at}");
            }
        }
        assert!(!reserved.look_up(&lost).await);
        assert!(reserved.has(near, 5432, true));
    }
}
