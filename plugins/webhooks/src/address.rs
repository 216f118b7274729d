//! The URL of an endpoint: what is refused, and what its owner is warned of.
//!
//! The host looks at the address itself before every connection, after it asked for
//! the name; nothing here takes its place. What is told here is told early: a URL
//! that no delivery could ever reach is refused when it is given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hearth_plugin::prelude::*;

/// Characters of a URL at most.
pub const LENGTH_MAX: usize = 2048;

/// Where deliveries go.
#[derive(Debug, PartialEq)]
pub struct Address {
    is_plain: bool,
    host: Host,
}

#[derive(Debug, PartialEq)]
enum Host {
    Name(String),
    Ip(IpAddr),
}

/// How far an address can be reached.
#[derive(Debug, PartialEq)]
enum Reach {
    Public,
    /// The host refuses it unless its operator allowed it.
    Inner,
    /// Nobody's deliveries go there.
    Nowhere,
}

impl Address {
    /// Reads a URL, strictly: what two readers could take for two hosts is refused.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            return Err("a URL has no spaces and only ASCII characters; encode the others");
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("this must be an https:// URL")?;
        let is_plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err("this must be an https:// URL"),
        };
        if rest.contains('#') {
            return Err("a fragment is never sent; leave it out");
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("a URL with a user is refused; put credentials into headers");
        }
        let host = host(authority)?;
        let address = Address { is_plain, host };
        match address.reach() {
            Reach::Nowhere => Err("no delivery can go to this address"),
            Reach::Public | Reach::Inner => Ok(address),
        }
    }

    /// What the endpoint's owner should know.
    pub fn warnings(&self) -> Vec<Value> {
        let mut warnings = Vec::new();
        if self.is_plain {
            let detail = "whoever carries deliveries over plain HTTP can read them";
            warnings.push(json!({"code": "plain_http", "detail": detail}));
        }
        if self.reach() == Reach::Inner {
            let detail = "this address is not public: deliveries to it are refused, unless the \
                          operator of this host allows it";
            warnings.push(json!({"code": "blocked_address", "detail": detail}));
        }
        warnings
    }

    fn reach(&self) -> Reach {
        match &self.host {
            Host::Name(name) if is_inner_name(name) => Reach::Inner,
            Host::Name(_) => Reach::Public,
            Host::Ip(IpAddr::V4(ip)) => reach_of_v4(*ip),
            Host::Ip(IpAddr::V6(ip)) => reach_of_v6(*ip),
        }
    }
}

fn host(authority: &str) -> Result<Host, &'static str> {
    let wrong = "this has no valid host";
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, after) = rest.split_once(']').ok_or(wrong)?;
        port(after)?;
        let ip = literal.parse().map_err(|_| wrong)?;
        return Ok(Host::Ip(IpAddr::V6(ip)));
    }
    let (name, after) = match authority.find(':') {
        Some(colon) => authority.split_at(colon),
        None => (authority, ""),
    };
    port(after)?;
    // Where the last label is a number, the whole is an IPv4 address (WHATWG URL,
    // section 3.5): only its plain form is taken, for octal, hexadecimal and short
    // ones mean different hosts to different readers.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|letter: char| letter.is_ascii_digit()) {
        let ip = name
            .parse()
            .map_err(|_| "write an IPv4 address as four decimal numbers")?;
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    let name = name.to_ascii_lowercase();
    (name.len() <= 253 && name.split('.').all(is_label))
        .then_some(Host::Name(name))
        .ok_or(wrong)
}

/// What stands behind the host: nothing, or a colon and a port.
fn port(text: &str) -> Result<(), &'static str> {
    let number = text.strip_prefix(':').map(|digits| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().is_ok_and(|port| port > 0) && plain
    });
    match (text, number) {
        ("", _) | (_, Some(true)) => Ok(()),
        _ => Err("this has no valid port"),
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let edge = |text: &str| text.starts_with('-') || text.ends_with('-');
    (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !edge(label)
}

/// Names that lead to no public host (RFC 6761, RFC 6762, RFC 9476 and `.internal`
/// by ICANN's resolution of 2024), and those without a dot.
fn is_inner_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !name.contains('.') || ["localhost", "local", "internal", "alt", "test"].contains(&last)
}

/// The IANA registry of special-purpose addresses (RFC 6890).
fn reach_of_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    let carrier = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && matches!(b, 18 | 19);
    if a == 0 || a >= 224 || ip.is_link_local() {
        return Reach::Nowhere;
    }
    let inner = ip.is_private() || ip.is_loopback() || ip.is_documentation();
    match inner || carrier || protocols || benchmarks {
        true => Reach::Inner,
        false => Reach::Public,
    }
}

/// The same for IPv6. An address that carries an IPv4 address is that one.
fn reach_of_v6(ip: Ipv6Addr) -> Reach {
    let [a, b, ..] = ip.segments();
    if let Some(ip) = carried(ip) {
        return match reach_of_v4(ip) {
            Reach::Public => Reach::Inner,
            other => other,
        };
    }
    if ip.is_unspecified() || ip.is_multicast() || a & 0xffc0 == 0xfe80 {
        return Reach::Nowhere;
    }
    // Unique local, site-local, documentation, Teredo and all else outside 2000::/3.
    let special = (a, b) == (0x2001, 0) || (a, b) == (0x2001, 0xdb8);
    match a & 0xe000 != 0x2000 || special {
        true => Reach::Inner,
        false => Reach::Public,
    }
}

/// The IPv4 address in a mapped, NAT64 or 6to4 address.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let of = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        let warnings = Address::parse(text).unwrap().warnings();
        let code = |warning: &Value| warning["code"].as_str().unwrap().to_string();
        warnings.iter().map(code).collect()
    }

    #[test]
    fn public_https_is_taken_without_a_word() {
        for url in [
            "https://example.com",
            "HTTPS://Example.com:8443/hooks?x=1",
            "https://xn--bcher-kva.example/",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1::1]:443/x",
        ] {
            assert!(codes(url).is_empty(), "{url}");
        }
    }

    #[test]
    fn plain_http_and_inner_addresses_are_told() {
        assert_eq!(codes("http://example.com/"), ["plain_http"]);
        for url in [
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://192.168.0.1:9000/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://localhost/",
            "https://x.localhost/",
            "https://db.internal/",
            "https://intranet/",
        ] {
            assert_eq!(codes(url), ["blocked_address"], "{url}");
        }
    }

    #[test]
    fn what_no_delivery_reaches_is_refused() {
        for url in [
            "https://169.254.169.254/latest",
            "https://0.0.0.0/",
            "https://255.255.255.255/",
            "https://239.1.1.1/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[2002:a9fe:a9fe::]/",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_two_readers_read_as_two_hosts_is_refused() {
        for url in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://",
            "https:///x",
            "https://user@example.com/",
            "https://example.com@127.0.0.1/",
            "https://example.com\\@evil.test/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://example.com./",
            "https://exa mple.com/",
            "https://bücher.example/",
            "https://a..b/",
            "https://-a.example/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com:+80/",
            "https://example.com:/",
            "https://[::1",
            "https://[::1%25eth0]/",
            "https://[1.2.3.4]/",
            "https://example.com/#x",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
