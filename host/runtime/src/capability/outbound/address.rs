//! Which addresses a plugin may reach: those of the public internet, and what the
//! operator named; and none where this host or one of its services listens.
//!
//! The tables are IANA's registries of special-purpose addresses (RFC 6890), for
//! IPv4 and for IPv6, with what clouds put beside them. Of IPv6 only 2000::/3 is
//! given out for the public internet (RFC 4291, 2.4), so all else is closed
//! without being listed. An address that stands for an IPv4 address is judged by
//! that one, too: a translator on the way would lead there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::allowed_ranges::AllowedRanges;
use super::reserved::{Reserved, binds};

/// Addresses that are closed, and why.
#[derive(Clone, Copy, Debug)]
pub struct Range<N> {
    pub net: N,
    /// What they are for, and who says so.
    pub what: &'static str,
    /// Where the IPv4 address is in an IPv6 address that stands for one.
    embedded: Option<fn(u128) -> u32>,
}

const fn v4(address: [u8; 4], prefix: u8, what: &'static str) -> Range<Ipv4Net> {
    let [a, b, c, d] = address;
    Range {
        net: Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix),
        what,
        embedded: None,
    }
}

const fn v6(address: Ipv6Addr, prefix: u8, what: &'static str) -> Range<Ipv6Net> {
    Range {
        net: Ipv6Net::new_assert(address, prefix),
        what,
        embedded: None,
    }
}

const fn embeds(range: Range<Ipv6Net>, embedded: fn(u128) -> u32) -> Range<Ipv6Net> {
    Range {
        embedded: Some(embedded),
        ..range
    }
}

const fn ip(words: [u16; 8]) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, h] = words;
    Ipv6Addr::new(a, b, c, d, e, f, g, h)
}

/// What follows from `first`, and then zeros.
const fn from(first: [u16; 4]) -> Ipv6Addr {
    let [a, b, c, d] = first;
    ip([a, b, c, d, 0, 0, 0, 0])
}

/// Where clouds answer their machines' questions about identities and keys. No
/// range opens one of these: an operator has to name the very address.
pub const METADATA_V4: [Range<Ipv4Net>; 6] = [
    v4(
        [169, 254, 169, 254],
        32,
        "metadata of AWS, GCP, Azure and others",
    ),
    v4([169, 254, 170, 2], 32, "credentials of ECS tasks"),
    v4([169, 254, 170, 23], 32, "credentials of EKS pods"),
    v4([168, 63, 129, 16], 32, "the platform address of Azure"),
    v4([100, 100, 100, 200], 32, "metadata of Alibaba Cloud"),
    v4([192, 0, 0, 192], 32, "metadata of Oracle Cloud"),
];

pub const METADATA_V6: [Range<Ipv6Net>; 3] = [
    v6(
        ip([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
        128,
        "metadata of AWS",
    ),
    v6(
        ip([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),
        128,
        "credentials of EKS pods",
    ),
    v6(
        ip([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
        128,
        "metadata of GCP",
    ),
];

pub const CLOSED_V4: [Range<Ipv4Net>; 18] = [
    v4([0, 0, 0, 0], 8, "this network (RFC 791, 3.2)"),
    v4([10, 0, 0, 0], 8, "private (RFC 1918)"),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT (RFC 6598)"),
    v4([127, 0, 0, 0], 8, "loopback (RFC 1122, 3.2.1.3)"),
    v4([169, 254, 0, 0], 16, "link-local (RFC 3927)"),
    v4([172, 16, 0, 0], 12, "private (RFC 1918)"),
    v4([192, 0, 0, 0], 24, "protocol assignments (RFC 6890, 2.1)"),
    v4([192, 0, 2, 0], 24, "documentation (RFC 5737)"),
    v4([192, 31, 196, 0], 24, "AS112 (RFC 7535)"),
    v4([192, 52, 193, 0], 24, "AMT (RFC 7450)"),
    v4([192, 88, 99, 0], 24, "6to4 relays (RFC 7526)"),
    v4([192, 168, 0, 0], 16, "private (RFC 1918)"),
    v4([192, 175, 48, 0], 24, "AS112 (RFC 7534)"),
    v4([198, 18, 0, 0], 15, "benchmarking (RFC 2544)"),
    v4([198, 51, 100, 0], 24, "documentation (RFC 5737)"),
    v4([203, 0, 113, 0], 24, "documentation (RFC 5737)"),
    v4([224, 0, 0, 0], 4, "multicast (RFC 5771)"),
    v4(
        [240, 0, 0, 0],
        4,
        "reserved and broadcast (RFC 1112, 4; RFC 919)",
    ),
];

/// The first that fits counts.
pub const CLOSED_V6: [Range<Ipv6Net>; 19] = [
    v6(
        ip([0, 0, 0, 0, 0, 0, 0, 0]),
        128,
        "unspecified (RFC 4291, 2.5.2)",
    ),
    v6(
        ip([0, 0, 0, 0, 0, 0, 0, 1]),
        128,
        "loopback (RFC 4291, 2.5.3)",
    ),
    embeds(
        v6(
            from([0, 0, 0, 0]),
            96,
            "IPv4-compatible (RFC 4291, 2.5.5.1)",
        ),
        low,
    ),
    // The kernel connects to the IPv4 address; `Policy::judge` has made it one.
    embeds(
        v6(
            ip([0, 0, 0, 0, 0, 0xffff, 0, 0]),
            96,
            "IPv4-mapped (RFC 4291, 2.5.5.2)",
        ),
        low,
    ),
    embeds(
        v6(
            ip([0, 0, 0, 0, 0xffff, 0, 0, 0]),
            96,
            "IPv4-translated (RFC 2765, 2.1)",
        ),
        low,
    ),
    embeds(v6(from([0x64, 0xff9b, 0, 0]), 96, "NAT64 (RFC 6052)"), low),
    embeds(
        v6(from([0x64, 0xff9b, 1, 0]), 48, "local NAT64 (RFC 8215)"),
        low,
    ),
    v6(from([0x100, 0, 0, 0]), 64, "discarded (RFC 6666)"),
    v6(from([0x100, 0, 0, 1]), 64, "dummy prefix (RFC 9780)"),
    embeds(v6(from([0x2001, 0, 0, 0]), 32, "Teredo (RFC 4380)"), teredo),
    v6(
        from([0x2001, 0, 0, 0]),
        23,
        "protocol assignments (RFC 2928)",
    ),
    v6(from([0x2001, 0xdb8, 0, 0]), 32, "documentation (RFC 3849)"),
    embeds(v6(from([0x2002, 0, 0, 0]), 16, "6to4 (RFC 3056)"), sixto4),
    v6(from([0x2620, 0x4f, 0x8000, 0]), 48, "AS112 (RFC 7534)"),
    v6(from([0x3fff, 0, 0, 0]), 20, "documentation (RFC 9637)"),
    v6(from([0xfc00, 0, 0, 0]), 7, "unique local (RFC 4193)"),
    v6(from([0xfe80, 0, 0, 0]), 10, "link-local (RFC 4291, 2.5.6)"),
    v6(from([0xfec0, 0, 0, 0]), 10, "site-local (RFC 3879)"),
    v6(from([0xff00, 0, 0, 0]), 8, "multicast (RFC 4291, 2.7)"),
];

/// The only part of IPv6 that is given out (RFC 4291, 2.4), and what the rest is.
const PUBLIC_V6: Ipv6Net = Ipv6Net::new_assert(from([0x2000, 0, 0, 0]), 3);
const NOT_PUBLIC: &str = "unallocated (RFC 4291, 2.4)";
/// Which of them, no plugin shall find out.
const RESERVED: &str = "a port of this host or one of its services";

#[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
fn low(address: u128) -> u32 {
    address as u32
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits are left")]
fn sixto4(address: u128) -> u32 {
    (address >> 80) as u32
}

/// The client's address lies inverted at the end (RFC 4380, 4).
fn teredo(address: u128) -> u32 {
    !low(address)
}

/// What the operator opened of what is closed, and what stays so. Cloning shares the
/// latter.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    opened: Vec<IpNet>,
    sockets: Vec<SocketAddr>,
    pub reserved: Reserved,
}

impl Policy {
    pub fn new(all: Vec<AllowedRanges>) -> Policy {
        let mut policy = Policy::default();
        for one in all {
            match one {
                AllowedRanges::Range(range) => policy.opened.push(range),
                AllowedRanges::Socket(socket) => {
                    let address = socket.ip().to_canonical();
                    policy.sockets.push(SocketAddr::new(address, socket.port()));
                }
            }
        }
        policy
    }

    /// The address to connect to, or for what the given one is set aside.
    pub fn judge(&self, address: IpAddr) -> Result<IpAddr, &'static str> {
        // A mapped address is one of IPv4, and is connected to as one.
        let address = address.to_canonical();
        match address {
            IpAddr::V4(v4) => self.judge_v4(v4),
            IpAddr::V6(v6) => self.judge_v6(v6),
        }?;
        Ok(address)
    }

    /// As [`Policy::judge`], for a connection from this machine to a port: neither where
    /// the host or one of its services listens, nor to a public address of this very
    /// machine, where what a firewall keeps from the outside listens, too. An operator
    /// opens one of these by its address and port.
    pub fn judge_from_here(&self, address: IpAddr, port: u16) -> Result<IpAddr, &'static str> {
        let address = address.to_canonical();
        if self.sockets.contains(&SocketAddr::new(address, port)) {
            return Ok(address);
        }
        self.judge(address)?;
        let leads_to = [Some(address), behind(address)].into_iter().flatten();
        let mut leads_to = leads_to.map(|address| (address, self.opens(address)));
        if leads_to.any(|(address, is_closed)| self.reserved.has(address, port, is_closed)) {
            return Err(RESERVED);
        }
        match !self.opens(address) && is_of_this_machine(address) {
            true => Err("an address of this machine"),
            false => Ok(address),
        }
    }

    fn judge_v4(&self, address: Ipv4Addr) -> Result<(), &'static str> {
        let of = |ranges: &'static [Range<Ipv4Net>]| {
            let mut ranges = ranges.iter();
            ranges.find(|range| range.net.contains(&address))
        };
        match (of(&METADATA_V4), of(&CLOSED_V4)) {
            (Some(range), _) if !self.names(address.into()) => Err(range.what),
            (None, Some(range)) if !self.opens(address.into()) => Err(range.what),
            _ => Ok(()),
        }
    }

    fn judge_v6(&self, address: Ipv6Addr) -> Result<(), &'static str> {
        let of = |ranges: &'static [Range<Ipv6Net>]| {
            let mut ranges = ranges.iter();
            ranges.find(|range| range.net.contains(&address))
        };
        if let Some(range) = of(&METADATA_V6) {
            let named = self.names(address.into());
            return if named { Ok(()) } else { Err(range.what) };
        }
        let closed = of(&CLOSED_V6);
        let public = closed.is_none() && PUBLIC_V6.contains(&address);
        if !public && !self.opens(address.into()) {
            return Err(closed.map_or(NOT_PUBLIC, |range| range.what));
        }
        // Opening a translator's range opens nothing behind it.
        match closed.and_then(|range| range.embedded) {
            Some(embedded) => self.judge_v4(embedded(address.to_bits()).into()),
            None => Ok(()),
        }
    }

    fn opens(&self, address: IpAddr) -> bool {
        self.opened.iter().any(|net| net.contains(&address))
    }

    /// Whether the operator named the very address.
    fn names(&self, address: IpAddr) -> bool {
        let named = |net: &&IpNet| net.prefix_len() == net.max_prefix_len();
        let mut named = self.opened.iter().filter(named);
        named.any(|net| net.addr() == address)
    }
}

/// The IPv4 address to which a translator would lead.
fn behind(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let range = CLOSED_V6.iter().find(|range| range.net.contains(&v6))?;
    let embedded = range.embedded?;
    Some(Ipv4Addr::from(embedded(v6.to_bits())).into())
}

/// Where any address can be bound, nothing is known.
fn is_of_this_machine(address: IpAddr) -> bool {
    // Of the documentation's addresses no machine has one (RFC 5737, RFC 3849).
    let nobodys = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(from([0x2001, 0xdb8, 0, 0])),
    };
    binds(address) && !binds(nobodys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_knows_its_own_addresses() {
        assert!(is_of_this_machine(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_of_this_machine(Ipv4Addr::new(8, 8, 8, 8).into()));
        let elsewhere = Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888);
        assert!(!is_of_this_machine(elsewhere.into()));
    }
}
