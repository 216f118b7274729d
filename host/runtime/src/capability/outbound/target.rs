//! Reading a URL, once and strictly: what is judged here is what is connected to.
//!
//! The URL standard of the WHATWG decides what a host is, so `0x7f.1` and
//! `2130706433` are the address 127.0.0.1 and never a name to look up. What it
//! forgives on the way is refused before: where two readers of one URL could see
//! two hosts, nobody shall have to know which of them we are.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::PathAndQuery;
use rustls_pki_types::ServerName;
use url::{Position, Url};

use super::Error;

/// RFC 1035, 2.3.4: of a whole name without its last dot, and of a label.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    pub fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A name in lower case and Punycode, without a last dot; or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(Arc<str>),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => out.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(out),
            Host::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

/// Whom a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

impl Destination {
    /// What the header `host` says.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// As a grant names it: without the port that the scheme has anyway.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    /// Whose certificate the server has to show.
    pub fn server_name(&self) -> Result<ServerName<'static>, Error> {
        match &self.host {
            Host::Address(address) => Ok(ServerName::from(*address)),
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|_| Error::Tls("no certificate can be for this name".into())),
        }
    }
}

/// Without path and query, which may hold secrets.
impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub destination: Destination,
    pub path: PathAndQuery,
}

impl Target {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is none, or could be read in two ways.
    pub fn parse(url: &str, bytes_max: usize) -> Result<Target, Error> {
        check_text(url, bytes_max)?;
        let scheme = check_authority(url)?;
        let parsed = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        let host = match parsed.host() {
            Some(url::Host::Domain(name)) => Host::Name(name_of(name)?),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            None => return Err(invalid("it names no host")),
        };
        let port = parsed.port().unwrap_or(scheme.port());
        if port == 0 {
            return Err(invalid("nobody listens on port 0"));
        }
        let path = &parsed[Position::BeforePath..Position::AfterQuery];
        let path = PathAndQuery::try_from(path).map_err(|_| invalid("its path is invalid"))?;
        let destination = Destination { scheme, host, port };
        Ok(Target { destination, path })
    }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid(format!("the URL: {reason}"))
}

/// The standard drops tabs, line ends and outer blanks, and takes a backslash for
/// a slash.
fn check_text(url: &str, bytes_max: usize) -> Result<(), Error> {
    if url.len() > bytes_max {
        let text = format!("it has more than {bytes_max} bytes (outbound.url_bytes_max)");
        return Err(invalid(&text));
    }
    let bad = |c: char| c.is_control() || c == ' ' || c == '\\';
    match url.chars().any(bad) {
        true => Err(invalid(
            "it has a blank, a backslash or a control character",
        )),
        false => Ok(()),
    }
}

/// The standard also reads `https:host` and `https:///host`, decodes a host's
/// percent signs, and takes what stands before an `@` for a user.
fn check_authority(url: &str) -> Result<Scheme, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(invalid("it begins with neither https:// nor http://")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(invalid("it names no host"));
    }
    match authority.contains(['@', '%']) {
        true => Err(invalid("its host has a user or a percent sign")),
        false => Ok(scheme),
    }
}

/// A name that the system's look-up takes for a name and for nothing else. It
/// reads numbers of old forms as addresses, so no last label may be one.
fn name_of(name: &str) -> Result<Arc<str>, Error> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label =
        |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(plain);
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last.starts_with(|c: char| c.is_ascii_digit())
        && last.bytes().all(|b| b.is_ascii_hexdigit() || b == b'x');
    if number || name.len() > NAME_BYTES_MAX || !name.split('.').all(label) {
        return Err(invalid("its host is no valid name"));
    }
    Ok(name.into())
}
