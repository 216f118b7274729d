//! Where an admin listener is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use http::Uri;
use http::uri::Scheme;

use super::Error;

/// An address of an admin listener, as `--admin` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an address, and the port.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `http://ADDRESS:PORT` or `unix:/PATH`.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let refused = || {
            Error::Usage(format!(
                "--admin {text} is invalid: use http://ADDRESS:PORT or unix:/PATH, such as \
                 http://127.0.0.1:8081"
            ))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Address::Unix(path.into())),
                false => Err(refused()),
            };
        }
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let wanted = uri.scheme() == Some(&Scheme::HTTP) && bare;
        if !wanted || authority.as_str().contains('@') {
            return Err(refused());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Address::Tcp(format!("{}:{port}", authority.host())))
    }

    /// Where a host listens that is configured so.
    pub fn of(listen: SocketAddr) -> Result<Address, Error> {
        if listen.port() == 0 {
            return Err(Error::Usage(
                "the admin port is unknown, as admin.listen leaves it to the system: name it with \
                 --admin, as the host printed it"
                    .into(),
            ));
        }
        // Who listens everywhere is found on loopback.
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok(Address::Tcp(SocketAddr::new(ip, listen.port()).to_string()))
    }

    /// The `Host` header of a request.
    pub fn host(&self) -> &str {
        match self {
            Address::Tcp(authority) => authority,
            Address::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(authority) => write!(f, "http://{authority}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_others_are_refused() {
        let shown = |text: &str| Address::parse(text).map(|address| address.to_string()).ok();
        for text in [
            "http://127.0.0.1:8081",
            "http://[::1]:9",
            "unix:/run/hearth",
        ] {
            assert_eq!(shown(text).as_deref(), Some(text));
        }
        assert_eq!(shown("http://host/").as_deref(), Some("http://host:80"));
        for text in [
            "127.0.0.1:8081",
            "https://a:1",
            "http://a/x",
            "http://u@a",
            "unix:x",
            "",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let of = |text: &str| {
            Address::of(text.parse().unwrap())
                .map(|a| a.to_string())
                .ok()
        };
        assert_eq!(of("0.0.0.0:81").as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(of("[::]:81").as_deref(), Some("http://[::1]:81"));
        assert_eq!(of("10.1.2.3:81").as_deref(), Some("http://10.1.2.3:81"));
        assert_eq!(of("127.0.0.1:0"), None);
    }
}
