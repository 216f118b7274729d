//! From judged addresses to a connection: several are tried, a little after each
//! other (RFC 8305, without its look-ups), and the first that answers is taken.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, Opener, Protocols};
use super::target::{Destination, Scheme};
use super::tls::{H2, Tls};
use super::{Config, Error};

/// Opens connections.
#[derive(Clone)]
pub struct Dialer {
    tls: Tls,
    opener: Opener,
    connect_max: Duration,
    handshake_max: Duration,
    attempt: Duration,
    runtime: Handle,
}

impl Dialer {
    pub fn new(config: &Config, tls: Tls, opener: Opener, runtime: Handle) -> Dialer {
        Dialer {
            tls,
            opener,
            connect_max: Duration::from_millis(config.connect_ms_max),
            handshake_max: Duration::from_millis(config.handshake_ms_max),
            attempt: Duration::from_millis(config.attempt_ms),
            runtime,
        }
    }

    /// Connects to one of the addresses and to no other. It happens on the host's
    /// first runtime, at no call's expense, and ends with whoever waits for it.
    pub async fn dial(
        &self,
        destination: &Destination,
        addresses: &[IpAddr],
        protocols: Protocols,
    ) -> Result<Connection, Error> {
        let name = match destination.scheme {
            Scheme::Https => Some(destination.server_name()?),
            Scheme::Http => None,
        };
        let of = |address: &IpAddr| SocketAddr::new(*address, destination.port);
        let sockets = interleaved(addresses).iter().map(of).collect();
        let dialling = self.clone().open(sockets, name, protocols);
        match AbortOnDropHandle::new(self.runtime.spawn(dialling)).await {
            Ok(connection) => connection,
            Err(_) => Err(Error::Connect("the host stops".into())),
        }
    }

    async fn open(
        self,
        sockets: Vec<SocketAddr>,
        name: Option<ServerName<'static>>,
        protocols: Protocols,
    ) -> Result<Connection, Error> {
        let socket = timeout(self.connect_max, first(sockets, self.attempt))
            .await
            .map_err(|_| Error::Connect("it took too long".into()))?
            .map_err(unconnected)?;
        // What is sent is sent whole, so there is nothing to wait for.
        let _ = socket.set_nodelay(true);
        match name {
            None => self.opener.open(TokioIo::new(socket), false).await,
            Some(name) => self.secure(socket, name, protocols).await,
        }
    }

    async fn secure(
        &self,
        socket: TcpStream,
        name: ServerName<'static>,
        protocols: Protocols,
    ) -> Result<Connection, Error> {
        let tls = match protocols {
            Protocols::Any => &self.tls.any,
            Protocols::H1 => &self.tls.h1,
        };
        let socket = timeout(self.handshake_max, tls.connect(name, socket))
            .await
            .map_err(|_| Error::Tls("it took too long".into()))?
            .map_err(|error| Error::Tls(error.to_string()))?;
        let h2 = socket.get_ref().1.alpn_protocol() == Some(H2);
        self.opener.open(TokioIo::new(socket), h2).await
    }
}

/// An error of this machine is no sign of the destination's.
fn unconnected(error: io::Error) -> Error {
    let own = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EADDRNOTAVAIL,
    ];
    match error.raw_os_error() {
        Some(code) if own.contains(&code) => Error::Exhausted(error.kind().to_string()),
        _ => Error::Connect(error.kind().to_string()),
    }
}

/// The families in turn, so that one which leads nowhere costs one attempt.
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (same, other): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(addresses.len());
    while mixed.len() < addresses.len() {
        mixed.extend(same.next());
        mixed.extend(other.next());
    }
    mixed
}

/// The first socket that connects. The next address is tried when one has failed,
/// or has taken longer than `attempt`.
async fn first(sockets: Vec<SocketAddr>, attempt: Duration) -> io::Result<TcpStream> {
    let mut left = sockets.into_iter();
    let mut trying = FuturesUnordered::new();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match left.next() {
            Some(socket) => trying.push(TcpStream::connect(socket)),
            None if trying.is_empty() => return Err(failed),
            None => {}
        }
        let more = left.len() > 0;
        tokio::select! {
            Some(tried) = trying.next() => match tried {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = error,
            },
            () = tokio::time::sleep(attempt), if more => {}
            else => return Err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::interleaved;
    use std::net::IpAddr;

    #[test]
    fn families_take_turns_and_the_first_stays_first() {
        let of = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = interleaved(&of(&["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"]));
        assert_eq!(mixed, of(&["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]));
        assert_eq!(interleaved(&of(&["1.1.1.1"])), of(&["1.1.1.1"]));
        assert!(interleaved(&[]).is_empty());
    }
}
