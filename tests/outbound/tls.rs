//! TLS and HTTP/2 to the outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hearth::capability::outbound::{Config, GuestError};
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::server::{Asked, Certificate, Server, gone, text};
use super::{Bench, EVERYWHERE, get, ip, loopback, names, post, within};
use crate::harness::postgres::until;

type Reply = http::Response<http_body_util::Full<bytes::Bytes>>;

async fn version(asked: Asked) -> Reply {
    let authority = asked.head.uri.authority().map(ToString::to_string);
    let host = asked
        .head
        .headers
        .get("host")
        .map(|host| host.to_str().unwrap());
    text(format!("{:?} {authority:?} {host:?}", asked.head.version))
}

fn trusting(certificate: &Certificate) -> Bench {
    let config = Config {
        tls_root_file: Some(certificate.root_file()),
        ..loopback()
    };
    Bench::with(config, names(|_| vec![ip("127.0.0.1")]))
}

fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.port)
}

#[tokio::test]
async fn version_is_what_both_sides_speak() {
    let certificate = Certificate::of(&["hook.example"]);
    let bench = trusting(&certificate);
    for (protocols, expected) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let server = Server::https(&certificate, protocols, version).await;
        let answer = bench.get(&url(&server, "hook.example")).await.unwrap();
        let seen = String::from_utf8(answer.body).unwrap();
        assert!(seen.starts_with(&format!("{expected:?}")), "{seen}");
        assert!(
            seen.contains(&format!("hook.example:{}", server.port)),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn server_that_is_another_is_not_spoken_to() {
    let certificate = Certificate::of(&["hook.example", "127.0.0.1"]);
    let stranger = Certificate::of(&["hook.example"]);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let counting = move |_| {
        counted.fetch_add(1, SeqCst);
        std::future::ready(text("ok"))
    };
    let server = Server::https(&certificate, &["h2"], counting.clone()).await;
    let bench = trusting(&certificate);
    for host in [
        "other.example",
        "hook.example.evil.example",
        "127.0.0.2",
        "[::ffff:127.0.0.2]",
    ] {
        let sent = bench.get(&url(&server, host)).await;
        assert!(matches!(sent, Err(GuestError::Tls(_))), "{host}: {sent:?}");
    }
    let other = Server::https(&stranger, &["h2"], counting).await;
    let sent = bench.get(&url(&other, "hook.example")).await;
    assert!(matches!(sent, Err(GuestError::Tls(_))), "{sent:?}");
    assert_eq!(count.load(SeqCst), 0);
    // The name and the address that it does have.
    for host in ["hook.example", "HOOK.example.", "127.0.0.1"] {
        bench.get(&url(&server, host)).await.unwrap();
    }
    assert_eq!(count.load(SeqCst), 3);
}

#[tokio::test]
async fn server_without_tls_is_an_error_of_tls() {
    let plain = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let bench = Bench::with(loopback(), names(|_| vec![ip("127.0.0.1")]));
    let sent = bench.get(&url(&plain, "hook.example")).await;
    assert!(matches!(sent, Err(GuestError::Tls(_))), "{sent:?}");
    let silent = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let config = Config {
        handshake_ms_max: 50,
        ..loopback()
    };
    let bench = Bench::with(config, names(|_| vec![ip("127.0.0.1")]));
    let sent = bench.get(&url(&silent, "hook.example")).await;
    assert!(matches!(sent, Err(GuestError::Tls(_))), "{sent:?}");
    until(async || silent.closed() == 1).await;
}

#[tokio::test]
async fn requests_at_once_share_a_connection_of_http2() {
    let certificate = Certificate::of(&["hook.example"]);
    let go = Arc::new(Semaphore::new(1));
    let held = Arc::new(AtomicUsize::new(0));
    let (waiting, counted) = (go.clone(), held.clone());
    let server = Server::https(&certificate, &["h2"], move |_| {
        let (go, held) = (waiting.clone(), counted.clone());
        async move {
            held.fetch_add(1, SeqCst);
            go.acquire().await.unwrap().forget();
            text("ok")
        }
    });
    let server = server.await;
    let bench = trusting(&certificate);
    let url = url(&server, "hook.example");
    bench.get(&url).await.unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (bench, url) = (bench.clone(), url.clone());
            tokio::spawn(async move { bench.get(&url).await.unwrap().body })
        })
        .collect();
    until(async || held.load(SeqCst) == 21).await;
    go.add_permits(20);
    for call in calls {
        assert_eq!(call.await.unwrap(), b"ok");
    }
    assert_eq!(
        (server.accepted(), bench.opened(), bench.reused()),
        (1, 1, 20)
    );
}

#[tokio::test]
async fn call_that_times_out_on_http2_takes_no_other_with_it() {
    let certificate = Certificate::of(&["hook.example"]);
    let go = Arc::new(Semaphore::new(0));
    let held = Arc::new(AtomicUsize::new(0));
    let (waiting, counted) = (go.clone(), held.clone());
    let server = Server::https(&certificate, &["h2"], move |asked: Asked| {
        let (go, held) = (waiting.clone(), counted.clone());
        async move {
            if asked.head.method == "POST" {
                held.fetch_add(1, SeqCst);
                go.acquire().await.unwrap().forget();
            }
            text("ok")
        }
    });
    let server = server.await;
    let bench = trusting(&certificate);
    let url = url(&server, "hook.example");
    bench.get(&url).await.unwrap();
    let patient = {
        let (bench, url) = (bench.clone(), url.clone());
        tokio::spawn(async move { bench.call("acme", &EVERYWHERE).send(post(&url, "")).await })
    };
    until(async || held.load(SeqCst) == 1).await;
    let mut call = bench.call("acme", &EVERYWHERE);
    let sent = call.send_within(post(&url, ""), within(50)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    // Nobody knows whether that connection still lives, so the next has another.
    bench.get(&url).await.unwrap();
    assert_eq!(server.accepted(), 2);
    go.add_permits(2);
    assert_eq!(patient.await.unwrap().unwrap().body, b"ok");
    until(async || server.closed() == 1).await;
}

#[tokio::test]
async fn head_and_body_are_bounded_on_http2_too() {
    let certificate = Certificate::of(&["hook.example"]);
    let server = Server::https(&certificate, &["h2"], async |asked: Asked| {
        let mut answer = text("a".repeat(2 << 20));
        match asked.head.uri.path() {
            "/many" => {
                for n in 0..150 {
                    let name: http::HeaderName = format!("x-{n}").parse().unwrap();
                    answer.headers_mut().insert(name, "y".parse().unwrap());
                }
            }
            "/large" => {
                let value = "a".repeat(40 << 10).parse().unwrap();
                answer.headers_mut().insert("x-large", value);
            }
            _ => {}
        }
        answer
    });
    let server = server.await;
    let bench = trusting(&certificate);
    for (path, too_large) in [("body", true), ("many", true), ("large", false)] {
        let sent = bench
            .get(&format!("{}{path}", url(&server, "hook.example")))
            .await;
        let as_expected = match sent {
            Err(GuestError::TooLarge) => true,
            // It resets the stream while it reads the head.
            Err(GuestError::Protocol(_)) => !too_large,
            _ => false,
        };
        assert!(as_expected, "{path}");
    }
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_HEADERS: u8 = 4;

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    pages * 4_096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_end_end_with_the_time_and_leave_nothing_behind() {
    let certificate = Certificate::of(&["hook.example"]);
    let ok = frame(HEADERS, END_HEADERS, 1, b"\x88");
    // RFC 7541, 6.2.2: the status by its index and in letters.
    let early_hints = frame(HEADERS, END_HEADERS, 1, b"\x08\x03103");
    let empty_data = frame(DATA, 0, 1, b"");
    let ping = frame(PING, 0, 0, &[0; 8]);
    let settings = frame(SETTINGS, 0, 0, b"");
    for (first, endless) in [
        (vec![], early_hints),
        (ok.clone(), empty_data),
        (vec![], ping.clone()),
        (ok, ping),
        (vec![], settings.clone()),
    ] {
        let acceptor = certificate.acceptor(&["h2"]);
        let begin = [settings.clone(), first].concat();
        let many = endless.repeat(1_000);
        let server = Server::raw("127.0.0.1:0", move |stream| {
            let (acceptor, begin, many) = (acceptor.clone(), begin.clone(), many.clone());
            async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                // The preface, and the request behind it.
                let mut part = [0; 4_096];
                let mut read = 0;
                while read < 100 {
                    read += stream.read(&mut part).await.unwrap();
                }
                stream.write_all(&begin).await.unwrap();
                while stream.write_all(&many).await.is_ok() {}
            }
        });
        let server = server.await;
        let bench = trusting(&certificate);
        let mut call = bench.call("acme", &EVERYWHERE);
        let before = resident_bytes();
        let sent = call.send_within(get(&url(&server, "hook.example")), within(1_000));
        let sent = sent.await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(sent.is_err(), "{sent:?}");
        assert!(grown < 64 << 20, "{grown} bytes");
        until(async || server.closed() == 1).await;
    }
}

#[test]
fn file_that_holds_no_authority_is_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _on = runtime.enter();
    let folder = tempfile::tempdir().unwrap();
    let metrics = hearth::telemetry::HostMetrics::new(&hearth::telemetry::Metrics::new(
        &hearth::telemetry::Config::default(),
    ));
    for (name, text) in [
        ("empty.pem", ""),
        ("none.pem", "no certificate"),
        ("missing.pem", ""),
    ] {
        let path = folder.path().join(name);
        if name != "missing.pem" {
            std::fs::write(&path, text).unwrap();
        }
        let config = Config {
            tls_root_file: Some(path),
            ..Config::default()
        };
        let opened = hearth::capability::outbound::Client::open(
            &config,
            hearth::capability::outbound::Resolver::System,
            &metrics,
        );
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("outbound.tls_root_file"), "{error}");
    }
}
