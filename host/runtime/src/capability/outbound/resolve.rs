//! From a name to its addresses, in bounded time and on a bounded number of
//! threads: the system's look-up can neither be cancelled nor told a deadline.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Config, Error, RequestOwner};
use hearth_base::budget::{Room, Seat};

/// What knows names, in place of the system.
pub type ResolverFn = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who knows the addresses of a name.
#[derive(Clone)]
pub enum Resolver {
    /// The system: its hosts file and its name servers.
    System,
    /// Whoever runs the host in a program of their own, as tests do.
    Given(Arc<ResolverFn>),
}

impl Resolver {
    pub(super) fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Resolver::System => {
                let found = (name, 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            }
            Resolver::Given(known) => known(name),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resolver::System => out.write_str("System"),
            Resolver::Given(_) => out.write_str("Given"),
        }
    }
}

/// Look-ups of the whole host.
pub struct LookUps {
    pub(super) resolver: Resolver,
    room: Room<RequestOwner>,
    longest: Duration,
    runtime: Handle,
}

impl LookUps {
    pub fn new(config: &Config, resolver: Resolver, runtime: Handle) -> LookUps {
        LookUps {
            resolver,
            room: Room::new(config.lookups_max, config.customer_lookups_max),
            longest: Duration::from_millis(config.lookup_ms_max),
            runtime,
        }
    }

    pub async fn seat(&self, whose: &RequestOwner) -> Seat<RequestOwner> {
        self.room.enter(whose.clone()).await
    }

    /// The seat is held until the look-up has ended, whoever still waits for it.
    pub async fn addresses(
        &self,
        name: &str,
        seat: Seat<RequestOwner>,
    ) -> Result<Vec<IpAddr>, Error> {
        let (resolver, name) = (self.resolver.clone(), name.to_owned());
        let looking = self.runtime.spawn_blocking(move || {
            let found = resolver.look_up(&name);
            drop(seat);
            found
        });
        match tokio::time::timeout(self.longest, looking).await {
            Err(_) => Err(Error::Dns("the DNS lookup timed out".into())),
            Ok(Err(_)) => Err(Error::Dns("the DNS lookup failed".into())),
            Ok(Ok(Err(_))) => Err(Error::Dns("the name was not found".into())),
            Ok(Ok(Ok(none))) if none.is_empty() => Err(Error::Dns("it has no address".into())),
            Ok(Ok(Ok(addresses))) => Ok(addresses),
        }
    }
}
