//! What a plugin cannot reach, by whatever name or number: a listener on every
//! address of this machine sees nobody come.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hearth::capability::outbound::address::{CLOSED_V4, CLOSED_V6, METADATA_V4, METADATA_V6};
use hearth::capability::outbound::{Config, GuestError, Resolver};
use http::Response;

use super::server::{Server, gone, text};
use super::{Bench, EVERYWHERE, get, ip, loopback, names};
use crate::harness::host::runs;

/// It listens on every address of this machine, of both families, and so sees
/// whoever reaches it by whichever.
async fn everywhere() -> Server {
    Server::raw("[::]:0", async |mut stream| gone(&mut stream).await).await
}

/// Listens on loopback of both families, at a port where others may listen on
/// 127.0.0.2.
struct Inside {
    v4: Server,
    v6: Server,
}

impl Inside {
    async fn start() -> Inside {
        let v4 = async |mut stream| gone(&mut stream).await;
        let v4 = Server::raw("127.0.0.1:0", v4).await;
        let v6 = async |mut stream| gone(&mut stream).await;
        let v6 = Server::raw(format!("[::1]:{}", v4.port), v6).await;
        Inside { v4, v6 }
    }

    fn accepted(&self) -> usize {
        self.v4.accepted() + self.v6.accepted()
    }
}

/// The first and the last address of every range that is closed.
fn closed() -> Vec<IpAddr> {
    let v4 = CLOSED_V4.iter().chain(&METADATA_V4);
    let v4 = v4.flat_map(|range| [range.net.network(), range.net.broadcast()]);
    let v6 = CLOSED_V6.iter().chain(&METADATA_V6);
    let v6 = v6.flat_map(|range| [range.net.network(), range.net.broadcast()]);
    let more = [
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "10.0.0.1",
        "4000::1",
    ];
    let own = more.into_iter().map(ip);
    v4.map(IpAddr::from)
        .chain(v6.map(IpAddr::from))
        .chain(own)
        .collect()
}

/// Every way to write an IPv4 address into a URL.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let number = address.to_bits();
    let [a, b, c, d] = address.octets();
    let (low24, low16) = (number & 0xff_ffff, number & 0xffff);
    let [high, low] = [number >> 16, low16];
    vec![
        format!("{address}"),
        format!("{address}."),
        format!("{number}"),
        format!("{number:#x}"),
        format!("{number:#X}").replace("0X", "0x0"),
        format!("0{number:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.{b}.{c:#x}.{d}"),
        format!("{a}.{low24}"),
        format!("{a}.{b}.{low16}"),
        format!("{a:#x}.{low24:#x}."),
        format!("{address}").replace('.', "。"),
        format!("[::ffff:{address}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{address}]"),
        format!("[::{address}]"),
        format!("[::ffff:0:{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[64:ff9b:1::{address}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001::{:x}:{:x}]", !high & 0xffff, !low & 0xffff),
    ]
}

#[tokio::test]
async fn no_spelling_of_a_closed_address_connects() {
    let listener = everywhere().await;
    let bench = Bench::new(Config::default());
    let mut urls = Vec::new();
    for address in closed() {
        let hosts = match address {
            IpAddr::V4(v4) => spellings(v4),
            IpAddr::V6(v6) => vec![format!("[{v6}]")],
        };
        urls.extend(
            hosts
                .iter()
                .map(|host| format!("http://{host}:{}/", listener.port)),
        );
    }
    assert!(urls.len() > 1_000);
    for url in &urls {
        let sent = bench.get(url).await;
        assert!(
            matches!(sent, Err(GuestError::BlockedAddress)),
            "{url}: {sent:?}"
        );
    }
    let blocked = bench.metric("hearth_outbound_calls_total", "blocked_address");
    assert_eq!(blocked, urls.len() as u64);
    assert_eq!((listener.accepted(), bench.opened()), (0, 0));
}

/// The test above would see a connection: opened, the same spellings reach it.
#[tokio::test]
async fn the_same_spellings_connect_where_the_operator_opened_loopback() {
    let answer = async |_| text("here");
    let listener = Server::http("[::]:0", answer).await;
    let bench = Bench::new(loopback());
    let mut connected = 0;
    let reach = spellings(Ipv4Addr::LOCALHOST);
    // What stands for an IPv4 address elsewhere stays closed.
    let (direct, translated) = reach.split_at(16);
    let v6 = format!("[{}]", Ipv6Addr::LOCALHOST);
    for host in direct.iter().chain([&v6]) {
        let answer = bench
            .get(&format!("http://{host}:{}/", listener.port))
            .await;
        assert_eq!(answer.unwrap().body, b"here", "{host}");
        connected = listener.accepted();
    }
    assert!(connected > 0);
    for host in translated {
        let sent = bench
            .get(&format!("http://{host}:{}/", listener.port))
            .await;
        assert!(
            matches!(sent, Err(GuestError::BlockedAddress)),
            "{host}: {sent:?}"
        );
    }
    assert_eq!(listener.accepted(), connected);
}

#[tokio::test]
async fn no_name_that_leads_to_a_closed_address_connects() {
    let listener = everywhere().await;
    let mut known = HashMap::new();
    for (index, address) in closed().into_iter().enumerate() {
        known.insert(format!("n{index}.example"), vec![address]);
        if let IpAddr::V4(v4) = address {
            let mapped = v4.to_ipv6_mapped().into();
            known.insert(format!("m{index}.example"), vec![mapped]);
        }
    }
    let all: Vec<String> = known.keys().cloned().collect();
    let bench = Bench::with(Config::default(), names(move |name| known[name].clone()));
    for name in &all {
        for host in [name.clone(), format!("{}.", name.to_uppercase())] {
            let sent = bench
                .get(&format!("http://{host}:{}/", listener.port))
                .await;
            assert!(
                matches!(sent, Err(GuestError::BlockedAddress)),
                "{host}: {sent:?}"
            );
        }
    }
    assert_eq!((listener.accepted(), bench.opened()), (0, 0));
}

/// By the system's own look-up.
#[tokio::test]
async fn localhost_is_closed() {
    let listener = everywhere().await;
    let bench = Bench::new(Config::default());
    for host in ["localhost", "LOCALHOST", "localhost."] {
        let sent = bench
            .get(&format!("http://{host}:{}/", listener.port))
            .await;
        assert!(
            matches!(sent, Err(GuestError::BlockedAddress)),
            "{host}: {sent:?}"
        );
    }
    assert_eq!(listener.accepted(), 0);
}

#[tokio::test]
async fn url_with_two_readings_connects_by_neither() {
    let listener = everywhere().await;
    let bench = Bench::with(loopback(), names(|_| vec![ip("127.0.0.1")]));
    let port = listener.port;
    for url in [
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://user:pw@127.0.0.1:{port}/"),
        format!("http://example.com@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}@example.com/"),
        format!("http://example.com\\@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}\\@example.com/"),
        format!("http://127.0.0.1:{port}#@example.com:{port}/\t"),
        format!("http:127.0.0.1:{port}/"),
        format!("http:/127.0.0.1:{port}/"),
        format!("http:///127.0.0.1:{port}/"),
        format!("http://%31%32%37.0.0.1:{port}/"),
        format!("http://[::1%25lo]:{port}/"),
        format!("http://127.0.0.1..:{port}/"),
        format!("http://12 7.0.0.1:{port}/"),
    ] {
        let sent = bench.get(&url).await;
        assert!(
            matches!(sent, Err(GuestError::Invalid(_))),
            "{url}: {sent:?}"
        );
    }
    assert_eq!(listener.accepted(), 0);
}

#[tokio::test]
async fn name_that_changes_its_address_is_connected_to_at_the_one_that_was_judged() {
    let inside = Inside::start().await;
    let outside = Server::http(format!("127.0.0.2:{}", inside.v4.port), async |_| {
        // Closed afterwards, so that the next request looks the name up again.
        let mut answer = text("outside");
        answer
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
        answer
    });
    let outside = outside.await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Each look-up answers differently than the one before.
    let changing = move |_: &str| match counted.fetch_add(1, SeqCst) % 2 {
        0 => vec![ip("127.0.0.2")],
        _ => vec![ip("127.0.0.1")],
    };
    let config = Config {
        allow_addresses: vec!["127.0.0.2/32".parse().unwrap()],
        ..Config::default()
    };
    let bench = Bench::with(config, names(changing));
    let url = format!("http://rebinding.example:{}/", inside.v4.port);
    let rounds = runs(20, 1_000);
    for round in 1..=rounds {
        // One look-up: what it said is judged, and connected to.
        assert_eq!(bench.get(&url).await.unwrap().body, b"outside");
        let sent = bench.get(&url).await;
        assert!(matches!(sent, Err(GuestError::BlockedAddress)), "{sent:?}");
        assert_eq!(asked.load(SeqCst), 2 * round);
    }
    assert_eq!((outside.accepted(), inside.accepted()), (rounds, 0));
}

#[tokio::test]
async fn of_mixed_addresses_only_the_open_ones_are_tried() {
    let inside = Inside::start().await;
    let outside = Server::http(format!("127.0.0.2:{}", inside.v4.port), async |_| {
        text("outside")
    });
    let outside = outside.await;
    let config = Config {
        allow_addresses: vec!["127.0.0.2/32".parse().unwrap()],
        idle_connections_max: 0,
        ..Config::default()
    };
    let mixed = |name: &str| match name {
        "first.example" => vec![ip("127.0.0.1"), ip("127.0.0.2"), ip("::1")],
        _ => vec![ip("127.0.0.2"), ip("::1"), ip("127.0.0.1"), ip("0.0.0.0")],
    };
    let bench = Bench::with(config, names(mixed));
    for name in ["first.example", "last.example"] {
        let url = format!("http://{name}:{}/", inside.v4.port);
        assert_eq!(bench.get(&url).await.unwrap().body, b"outside");
    }
    assert_eq!((outside.accepted(), inside.accepted()), (2, 0));
}

#[tokio::test]
async fn redirect_is_an_answer_and_not_followed() {
    let inside = everywhere().await;
    let location = format!("http://127.0.0.1:{}/", inside.port);
    let config = Config {
        allow_addresses: vec!["127.0.0.2/32".parse().unwrap()],
        ..Config::default()
    };
    let bench = Bench::new(config);
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let outside = Server::http("127.0.0.2:0", move |_| {
            let answer = Response::builder()
                .status(status)
                .header("location", &location);
            std::future::ready(answer.body("".into()).unwrap())
        });
        let outside = outside.await;
        let url = format!("http://127.0.0.2:{}/", outside.port);
        let answer = bench.get(&url).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(
            super::header(&answer, "location"),
            Some(location_of(&inside).as_bytes())
        );
        assert_eq!(outside.accepted(), 1);
    }
    assert_eq!(inside.accepted(), 0);
}

fn location_of(server: &Server) -> String {
    format!("http://127.0.0.1:{}/", server.port)
}

#[tokio::test]
async fn missing_grant_looks_nothing_up_and_connects_to_nothing() {
    let listener = everywhere().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let counting = Resolver::Given(Arc::new(move |_: &str| {
        counted.fetch_add(1, SeqCst);
        Ok(vec![ip("127.0.0.1")])
    }));
    let bench = Bench::with(loopback(), counting);
    let port = listener.port;
    for (grants, url) in [
        (
            &["https://*:*"][..],
            format!("http://granted.example:{port}/"),
        ),
        (
            &["http://granted.example"],
            format!("http://granted.example:{port}/"),
        ),
        (
            &["http://*.granted.example:*"],
            format!("http://granted.example:{port}/"),
        ),
        (
            &["http://granted.example:*"],
            format!("http://other.example:{port}/"),
        ),
        (
            &["http://granted.example:*"],
            format!("http://127.0.0.1:{port}/"),
        ),
        (&[], format!("http://granted.example:{port}/")),
    ] {
        let sent = bench.call("acme", grants).send(get(&url)).await;
        assert!(
            matches!(sent, Err(GuestError::Denied(_))),
            "{grants:?} {url}: {sent:?}"
        );
    }
    assert_eq!((asked.load(SeqCst), listener.accepted()), (0, 0));
    let url = format!("http://granted.example:{port}/");
    let mut call = bench.call("acme", &EVERYWHERE);
    let options = super::within(200);
    let sent = call.send_within(get(&url), options).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    assert_eq!((asked.load(SeqCst), listener.accepted()), (1, 1));
}
