//! The grants of a plugin: `outbound:https://*.example.com` and the like, read
//! once, when it is deployed.
//!
//! | grant | for |
//! |---|---|
//! | `https://example.com` | this host, port 443 |
//! | `http://127.0.0.1:9000` | this address and port; the operator has to open the address, too |
//! | `https://*.example.com` | every name below it, and not the name itself |
//! | `https://*` | every host, port 443 |
//! | `https://*:*` | every host, every port |

use super::target::{Destination, Host, Scheme, Target};

const BYTES_MAX: usize = 300;

/// What may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    scheme: Scheme,
    host: HostPattern,
    /// Every port, where there is none.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Every,
    /// `.example.com`
    Below(String),
    Exactly(Host),
}

impl Pattern {
    /// Reads what stands behind `outbound:` in a grant. There is one spelling for
    /// each, since grants are compared as texts.
    ///
    /// # Errors
    /// What would be right, in plain English.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let scheme = [Scheme::Https, Scheme::Http];
        let mut scheme = scheme.into_iter().filter_map(|scheme| {
            let rest = text.strip_prefix(scheme.name())?.strip_prefix("://")?;
            Some((scheme, rest))
        });
        let (scheme, rest) = scheme.next().ok_or("it begins with https:// or http://")?;
        let (host, port) = split_port(rest);
        let port = match port {
            None => Some(scheme.port()),
            Some("*") => None,
            Some(port) => Some(read_port(port, scheme)?),
        };
        let host = read_host(host, scheme)?;
        Ok(Pattern { scheme, host, port })
    }

    pub fn matches(&self, destination: &Destination) -> bool {
        self.scheme == destination.scheme
            && self.port.is_none_or(|port| port == destination.port)
            && match (&self.host, &destination.host) {
                (HostPattern::Every, _) => true,
                (HostPattern::Exactly(host), other) => host == other,
                (HostPattern::Below(end), Host::Name(name)) => {
                    name.len() > end.len() && name.ends_with(end.as_str())
                }
                (HostPattern::Below(_), Host::Address(_)) => false,
            }
    }
}

/// The colons of an IPv6 address stand in brackets.
fn split_port(rest: &str) -> (&str, Option<&str>) {
    match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (rest, None),
    }
}

fn read_port(text: &str, scheme: Scheme) -> Result<u16, String> {
    let port: u16 = text.parse().unwrap_or(0);
    if port == 0 || port.to_string() != text {
        return Err("its port is a number from 1 to 65535, or `*`".into());
    }
    match port == scheme.port() {
        true => Err(format!("leave out :{port}, which it has anyway")),
        false => Ok(port),
    }
}

fn read_host(text: &str, scheme: Scheme) -> Result<HostPattern, String> {
    if text == "*" {
        return Ok(HostPattern::Every);
    }
    let below = text.strip_prefix("*.");
    // Any name there is below stands for all of them.
    let name = below.map_or(text.to_owned(), |rest| format!("x.{rest}"));
    if name.contains(['/', '?', '#']) {
        return Err("it has no path: it ends with the host or the port".into());
    }
    let url = format!("{}://{name}/", scheme.name());
    let host = Target::parse(&url, BYTES_MAX)
        .map_err(|_| format!("`{text}` is no host"))?
        .destination
        .host;
    if host.to_string() != name {
        return Err(format!("its host is written as `{host}`"));
    }
    Ok(match (below, host) {
        (Some(rest), Host::Name(_)) => HostPattern::Below(format!(".{rest}")),
        (Some(_), Host::Address(_)) => return Err("nothing lies below an address".into()),
        (None, host) => HostPattern::Exactly(host),
    })
}
