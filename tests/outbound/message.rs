//! What is sent, with which head, and what a guest is told of the answer.

use hearth::capability::outbound::{GuestError, GuestRequest};

use super::server::{Asked, Server, gone, text};
use super::{Bench, EVERYWHERE, get, header, loopback, post};
use crate::harness::postgres::until;

/// What it was sent, as text.
async fn echo(asked: Asked) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let head = asked.head;
    let mut lines = vec![format!("{} {}", head.method, head.uri)];
    lines.extend(
        head.headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))),
    );
    lines.push(String::from_utf8_lossy(&asked.body).into_owned());
    text(lines.join("\n"))
}

fn body(answer: &hearth::capability::outbound::GuestResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn request_is_sent_as_it_was_given_with_the_hosts_own_head() {
    let server = Server::http("127.0.0.1:0", echo).await;
    let bench = Bench::new(loopback());
    let url = format!("http://127.0.0.1:{}/a/%C3%BC?b=c%20d#e", server.port);
    let request = GuestRequest {
        method: "PATCH".into(),
        headers: vec![
            ("X-Thing".into(), b"one".to_vec()),
            ("x-thing".into(), "zwei \u{fc}".into()),
            ("cookie".into(), b"a=b".to_vec()),
        ],
        ..post(&url, "the body")
    };
    let answer = bench.call("acme", &EVERYWHERE).send(request).await.unwrap();
    let seen = body(&answer);
    for line in [
        "PATCH /a/%C3%BC?b=c%20d",
        "x-thing: one",
        "x-thing: zwei \u{fc}",
        "cookie: a=b",
        &format!("host: 127.0.0.1:{}", server.port),
        "content-length: 8",
        concat!("user-agent: hearth/", env!("CARGO_PKG_VERSION")),
        "the body",
    ] {
        assert!(seen.lines().any(|own| own == line), "{line}\n{seen}");
    }
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn guest_may_name_itself() {
    let server = Server::http("127.0.0.1:0", echo).await;
    let mut call = Bench::new(loopback()).call("acme", &EVERYWHERE);
    let request = GuestRequest {
        headers: vec![("user-agent".into(), b"Own/1.0".to_vec())],
        ..get(&server.url())
    };
    let seen = body(&call.send(request).await.unwrap());
    assert!(seen.contains("user-agent: Own/1.0"), "{seen}");
    assert!(!seen.contains("hearth/"), "{seen}");
}

#[tokio::test]
async fn nothing_that_would_break_a_head_is_sent() {
    let server = Server::http("127.0.0.1:0", echo).await;
    let bench = Bench::new(loopback());
    let url = server.url();
    let with = |name: &str, value: &[u8]| GuestRequest {
        headers: vec![(name.into(), value.to_vec())],
        ..get(&url)
    };
    let method = |method: &str| GuestRequest {
        method: method.into(),
        ..get(&url)
    };
    let mut requests = vec![
        with("x-a", b"1\r\nx-b: 2"),
        with("x-a", b"1\nx-b: 2"),
        with("x-a", b"1\rx"),
        with("x-a", b"1\0"),
        with("x-a", b"1\r\n\r\nGET /admin HTTP/1.1\r\n"),
        with("x-a: 1\r\nx-b", b"2"),
        with("x a", b"1"),
        with("", b"1"),
        with(":authority", b"example.com"),
        with("x-\u{fc}", b"1"),
        method("GET / HTTP/1.1\r\nx: y\r\n\r\nGET"),
        method("GET\r\n"),
        method("G T"),
        method(""),
        method("CONNECT"),
        method(&"M".repeat(33)),
        get(&format!("{url}a b")),
        get(&format!("{url} HTTP/1.1\r\nx-b: 2\r\n")),
    ];
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-connection",
        "Proxy-Authorization",
        "http2-settings",
    ] {
        requests.push(with(name, b"1"));
    }
    let many: Vec<_> = (0..101).map(|n| (format!("x-{n}"), vec![])).collect();
    requests.push(GuestRequest {
        headers: many,
        ..get(&url)
    });
    requests.push(with("x-large", &vec![b'a'; 33 << 10]));
    requests.push(post(&url, &"a".repeat((4 << 20) + 1)));
    for request in requests {
        let shown = format!("{:?} {:?}", request.method, request.headers.first());
        let sent = bench.call("acme", &EVERYWHERE).send(request).await;
        assert!(
            matches!(sent, Err(GuestError::Invalid(_))),
            "{shown}: {sent:?}"
        );
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn answer_is_told_without_what_belongs_to_the_connection() {
    let server = Server::says(
        "HTTP/1.1 200 OK\r\nX-One: 1\r\nx-one: 2\r\nKeep-Alive: timeout=5\r\n\
         Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    let server = server.await;
    let answer = Bench::new(loopback()).get(&server.url()).await.unwrap();
    assert_eq!(answer.body, b"abc");
    let expected = [("x-one", b"1"), ("x-one", b"2")];
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect();
    assert_eq!(answer.headers, expected);
}

#[tokio::test]
async fn compressed_body_comes_as_it_was_sent() {
    // Ten bytes that would be ten megabytes.
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n".to_vec();
    bytes.extend_from_slice(gzip);
    let server = Server::says(bytes).await;
    let answer = Bench::new(loopback()).get(&server.url()).await.unwrap();
    assert_eq!(answer.body, gzip);
    assert_eq!(header(&answer, "content-encoding"), Some(&b"gzip"[..]));
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    for (method, head) in [
        ("HEAD", "200 OK\r\ncontent-length: 100000000000"),
        ("GET", "204 No Content"),
        ("GET", "304 Not Modified\r\ncontent-length: 5"),
        (
            "POST",
            "100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0",
        ),
    ] {
        let server = Server::says(format!("HTTP/1.1 {head}\r\n\r\n")).await;
        let bench = Bench::new(loopback());
        let request = GuestRequest {
            method: method.into(),
            ..get(&server.url())
        };
        let answer = bench.call("acme", &EVERYWHERE).send(request).await.unwrap();
        assert_eq!(answer.body, b"", "{head}");
    }
}

#[tokio::test]
async fn thirty_third_request_of_a_call_is_denied() {
    let server = Server::http("127.0.0.1:0", echo).await;
    let bench = Bench::new(loopback());
    let mut call = bench.call("acme", &EVERYWHERE);
    for _ in 0..31 {
        call.send(get(&server.url())).await.unwrap();
    }
    // One that comes to nothing counts as well.
    let blocked = call.send(get("http://10.0.0.1/")).await;
    assert!(matches!(blocked, Err(GuestError::BlockedAddress)));
    let sent = call.send(get(&server.url())).await;
    let Err(GuestError::Denied(reason)) = sent else {
        panic!("{sent:?}");
    };
    assert!(
        reason.contains("at most 32 (outbound.request_calls_max)"),
        "{reason}"
    );
    assert!(
        bench.get(&server.url()).await.is_ok(),
        "another call has its own"
    );
}

#[tokio::test]
async fn nobody_home_and_no_such_name_are_told_apart() {
    let closed = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let url = closed.url();
    drop(closed);
    let bench = Bench::new(loopback());
    // The task that listened goes when it is polled next.
    let refused = async || matches!(bench.get(&url).await, Err(GuestError::Connect(_)));
    until(refused).await;
    let unknown = bench.get("http://no-such-name.invalid/").await;
    assert!(matches!(unknown, Err(GuestError::Dns(_))), "{unknown:?}");
}
