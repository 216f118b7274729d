//! The policy of addresses, without any network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hearth::capability::outbound::address::{
    CLOSED_V4, CLOSED_V6, METADATA_V4, METADATA_V6, Policy,
};

use hearth::capability::outbound::reserved::Endpoint;

use super::ip;

fn opened(ranges: &[&str]) -> Policy {
    Policy::new(ranges.iter().map(|range| range.parse().unwrap()).collect())
}

fn is_closed(address: impl Into<IpAddr>) -> bool {
    Policy::default().judge(address.into()).is_err()
}

fn next_v4(address: Ipv4Addr, by: i64) -> Option<Ipv4Addr> {
    let number = i64::from(address.to_bits()) + by;
    u32::try_from(number).ok().map(Ipv4Addr::from_bits)
}

#[test]
fn first_and_last_address_of_every_range_are_closed() {
    for range in CLOSED_V4.iter().chain(&METADATA_V4) {
        assert!(is_closed(range.net.network()), "{range:?}");
        assert!(is_closed(range.net.broadcast()), "{range:?}");
    }
    for range in CLOSED_V6.iter().chain(&METADATA_V6) {
        assert!(is_closed(range.net.network()), "{range:?}");
        assert!(is_closed(range.net.broadcast()), "{range:?}");
    }
}

#[test]
fn neighbours_of_every_range_are_open_where_no_other_range_has_them() {
    let within = |address: Ipv4Addr| CLOSED_V4.iter().any(|range| range.net.contains(&address));
    let mut outside = 0;
    for range in &CLOSED_V4 {
        let before = next_v4(range.net.network(), -1);
        let after = next_v4(range.net.broadcast(), 1);
        for address in [before, after].into_iter().flatten() {
            assert_eq!(is_closed(address), within(address), "{address}");
            outside += usize::from(!within(address));
        }
    }
    assert!(outside > 20, "{outside}");
}

#[test]
fn public_addresses_are_open() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "192.0.1.1",
        "100.128.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2001:200::1",
        "2a00::1",
        "3fff:1000::1",
    ] {
        assert_eq!(Policy::default().judge(ip(address)), Ok(ip(address)));
    }
}

#[test]
fn what_the_registries_name_is_closed() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "4000::1",
        "8000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ] {
        assert!(is_closed(ip(address)), "{address}");
    }
}

#[test]
fn mapped_address_is_judged_and_connected_to_as_the_one_it_stands_for() {
    let policy = opened(&["127.0.0.1/32"]);
    assert_eq!(policy.judge(ip("::ffff:8.8.8.8")), Ok(ip("8.8.8.8")));
    assert_eq!(policy.judge(ip("::ffff:127.0.0.1")), Ok(ip("127.0.0.1")));
    assert!(policy.judge(ip("::ffff:127.0.0.2")).is_err());
    assert!(policy.judge(ip("::127.0.0.1")).is_err());
}

#[test]
fn operator_opens_what_is_named_and_no_more() {
    let policy = opened(&["10.1.0.0/16", "fd12::/16"]);
    assert!(policy.judge(ip("10.1.255.255")).is_ok());
    assert!(policy.judge(ip("fd12::1")).is_ok());
    for still in ["10.2.0.0", "10.0.255.255", "fd13::1", "127.0.0.1", "::1"] {
        assert!(policy.judge(ip(still)).is_err(), "{still}");
    }
}

#[test]
fn metadata_is_opened_by_its_very_address_alone() {
    let every = opened(&["0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00:ec2::/32"]);
    let named = METADATA_V4
        .iter()
        .map(|range| IpAddr::from(range.net.addr()));
    let named = named.chain(METADATA_V6.iter().map(|range| range.net.addr().into()));
    for address in named {
        assert!(every.judge(address).is_err(), "{address}");
        let very = opened(&[
            "0.0.0.0/0",
            "::/0",
            &format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }),
        ]);
        assert_eq!(very.judge(address), Ok(address));
    }
    assert!(every.judge(ip("127.0.0.1")).is_ok());
}

#[test]
fn opened_translator_opens_nothing_behind_it() {
    let inside = u32::from(Ipv4Addr::new(10, 0, 0, 1));
    let outside = u32::from(Ipv4Addr::new(8, 8, 8, 8));
    let nat64 = |v4: u32| Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(v4));
    let sixto4 = |v4: u32| Ipv6Addr::from_bits(0x2002 << 112 | u128::from(v4) << 80);
    let teredo = |v4: u32| Ipv6Addr::from_bits(0x2001_0000 << 96 | u128::from(!v4));
    let policy = opened(&["64:ff9b::/96", "2002::/16", "2001::/32"]);
    for stands in [nat64, sixto4, teredo] {
        assert!(policy.judge(stands(outside).into()).is_ok());
        assert!(policy.judge(stands(inside).into()).is_err());
        assert!(is_closed(stands(outside)));
    }
    let metadata = u32::from(Ipv4Addr::new(169, 254, 169, 254));
    let all = opened(&["::/0", "0.0.0.0/0"]);
    assert!(all.judge(nat64(metadata).into()).is_err());
}

#[test]
fn socket_is_open_at_its_port_alone() {
    let policy = opened(&["10.1.2.3:80", "[fd12::1]:443", "169.254.169.254:80"]);
    for (address, port) in [("10.1.2.3", 80), ("fd12::1", 443), ("169.254.169.254", 80)] {
        assert_eq!(policy.judge_from_here(ip(address), port), Ok(ip(address)));
        assert!(policy.judge_from_here(ip(address), port + 1).is_err());
    }
    assert!(policy.judge_from_here(ip("10.1.2.4"), 80).is_err());
    let mapped = policy.judge_from_here(ip("::ffff:10.1.2.3"), 80);
    assert_eq!(mapped, Ok(ip("10.1.2.3")));
}

fn reserve(policy: &Policy, host: &str, port: u16) {
    policy.reserved.add(Endpoint {
        host: host.to_owned(),
        port,
    });
}

#[test]
fn reserved_socket_is_open_to_no_range_and_to_its_very_name() {
    let every = ["0.0.0.0/0", "::/0", "10.1.2.3/32"];
    let policy = opened(&every);
    reserve(&policy, "10.1.2.3", 6379);
    reserve(&policy, "203.0.114.9", 5432);
    for (address, port) in [("10.1.2.3", 6379), ("203.0.114.9", 5432)] {
        let judged = policy.judge_from_here(ip(address), port);
        assert!(
            judged
                .unwrap_err()
                .contains("a port of this host or one of its services"),
            "{address}"
        );
        assert!(policy.judge_from_here(ip(address), port + 1).is_ok());
    }
    let named = opened(&[&every[..], &["10.1.2.3:6379"]].concat());
    reserve(&named, "10.1.2.3", 6379);
    assert!(named.judge_from_here(ip("10.1.2.3"), 6379).is_ok());
}

#[test]
fn translator_leads_to_no_reserved_socket() {
    let policy = opened(&["0.0.0.0/0", "::/0"]);
    reserve(&policy, "10.1.2.3", 6379);
    for way in ["64:ff9b::10.1.2.3", "2002:a01:203::1", "::10.1.2.3"] {
        assert!(policy.judge_from_here(ip(way), 6379).is_err(), "{way}");
        assert!(policy.judge_from_here(ip(way), 6380).is_ok(), "{way}");
    }
}
