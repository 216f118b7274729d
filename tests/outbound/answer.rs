//! What no server can do: say too much, too slowly, or without end.

use std::time::Duration;

use hearth::capability::outbound::{Config, GuestError, GuestPartial, Options};
use tokio::io::AsyncWriteExt;

use super::server::{Server, read_head, text};
use super::{Bench, EVERYWHERE, ample, get, loopback, within};
use crate::harness::postgres::until;

#[tokio::test]
async fn slow_body_ends_with_the_time_and_so_does_its_connection() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let server = server.await;
    let bench = Bench::new(loopback());
    let mut call = bench.call("acme", &EVERYWHERE);
    let sent = call.send_within(get(&server.url()), within(200)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    until(async || server.closed() == 1).await;
}

#[tokio::test]
async fn silence_ends_with_the_time_wherever_it_begins() {
    for said in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nx: y\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12",
    ] {
        let server = Server::says(said).await;
        let bench = Bench::new(loopback());
        let mut call = bench.call("acme", &EVERYWHERE);
        let sent = call.send_within(get(&server.url()), within(100)).await;
        assert!(matches!(sent, Err(GuestError::Timeout)), "{said}: {sent:?}");
        until(async || server.closed() == 1).await;
    }
}

#[tokio::test]
async fn no_time_is_no_request() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let bench = Bench::new(loopback());
    let mut call = bench.call("acme", &EVERYWHERE);
    let sent = call.send_within(get(&server.url()), within(0)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
}

#[tokio::test]
async fn request_ends_with_the_call_however_long_it_may_take() {
    let server = Server::says("").await;
    let bench = Bench::new(loopback());
    let mut call = bench.call("acme", &EVERYWHERE);
    let soon = tokio::time::Instant::now() + Duration::from_millis(100);
    call.call.deadline = soon;
    let sent = call.send_within(get(&server.url()), within(u64::MAX)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    let bounded = Bench::new(Config {
        timeout_ms_max: 100,
        ..loopback()
    });
    let mut call = bounded.call("acme", &EVERYWHERE);
    let sent = call.send_within(get(&server.url()), within(u64::MAX)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    until(async || server.closed() == 2).await;
}

#[tokio::test]
async fn body_that_is_too_large_is_not_read_to_its_end() {
    let endless = async |chunked: bool| {
        Server::raw("127.0.0.1:0", move |mut stream| async move {
            read_head(&mut stream).await;
            let framing = if chunked {
                "transfer-encoding: chunked\r\n"
            } else {
                ""
            };
            let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let piece = format!("400\r\n{}\r\n", "a".repeat(0x400));
            while stream.write_all(piece.as_bytes()).await.is_ok() {}
        })
        .await
    };
    let bench = Bench::new(loopback());
    for chunked in [true, false] {
        let server = endless(chunked).await;
        let sent = bench.get(&server.url()).await;
        assert!(matches!(sent, Err(GuestError::TooLarge)), "{sent:?}");
        until(async || server.closed() == 1).await;
    }
}

#[tokio::test]
async fn body_may_have_as_many_bytes_as_were_asked_for_and_not_one_more() {
    let server = Server::http("127.0.0.1:0", async |_| text("0123456789")).await;
    let bench = Bench::new(loopback());
    let mut call = bench.call("acme", &EVERYWHERE);
    let most = |max_response_bytes| Options {
        max_response_bytes,
        ..ample()
    };
    let exact = call.send_within(get(&server.url()), most(10)).await;
    assert_eq!(exact.unwrap().body, b"0123456789");
    let more = call.send_within(get(&server.url()), most(9)).await;
    assert!(matches!(more, Err(GuestError::TooLarge)), "{more:?}");
    // An announced length is believed before anything is read.
    let announced = Server::says("HTTP/1.1 200 OK\r\ncontent-length: 8388609\r\n\r\n").await;
    let sent = call
        .send_within(get(&announced.url()), most(u64::MAX))
        .await;
    assert!(matches!(sent, Err(GuestError::TooLarge)), "{sent:?}");
    until(async || announced.closed() == 1).await;
}

#[tokio::test]
async fn head_that_is_too_large_is_not_read_to_its_end() {
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x-large: {}\r\n", "a".repeat(64 << 10));
    for fields in [many, large] {
        let server = Server::says(format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await;
        let sent = Bench::new(loopback()).get(&server.url()).await;
        assert!(matches!(sent, Err(GuestError::TooLarge)), "{sent:?}");
        until(async || server.closed() == 1).await;
    }
}

#[tokio::test]
async fn heads_without_end_end_with_the_time() {
    for piece in ["HTTP/1.1 103 Early Hints\r\n\r\n", "x-a: b\r\n"] {
        let server = Server::raw("127.0.0.1:0", move |mut stream| async move {
            read_head(&mut stream).await;
            while stream.write_all(piece.as_bytes()).await.is_ok() {}
        });
        let server = server.await;
        let bench = Bench::new(loopback());
        let mut call = bench.call("acme", &EVERYWHERE);
        let sent = call.send_within(get(&server.url()), within(300)).await;
        assert!(sent.is_err());
        until(async || server.closed() == 1).await;
    }
}

#[tokio::test]
async fn answer_that_breaks_http_is_an_error_of_the_protocol() {
    for said in [
        "SMTP ready\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nx\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let server = Server::says(said).await;
        let sent = Bench::new(loopback()).get(&server.url()).await;
        assert!(
            matches!(sent, Err(GuestError::Protocol(_))),
            "{said:?}: {sent:?}"
        );
        until(async || server.closed() == 1).await;
    }
}

#[tokio::test]
async fn connection_that_ends_early_is_an_error_of_the_protocol() {
    for said in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12",
    ] {
        let server = Server::raw("127.0.0.1:0", move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(said.as_bytes()).await.unwrap();
        });
        let server = server.await;
        let sent = Bench::new(loopback()).get(&server.url()).await;
        assert!(
            matches!(sent, Err(GuestError::Protocol(_))),
            "{said:?}: {sent:?}"
        );
    }
}

/// What whoever asked for the status gets of an answer.
async fn partial(server: &Server, body_ms: u64) -> Result<GuestPartial, GuestError> {
    let mut call = Bench::new(loopback()).call("acme", &EVERYWHERE);
    let options = Options {
        max_response_bytes: 10,
        ..ample()
    };
    call.send_partial(get(&server.url()), options, body_ms)
        .await
}

#[tokio::test]
async fn status_counts_though_the_body_is_cut_slow_or_too_large() {
    let long = format!(
        "HTTP/1.1 410 Gone\r\ncontent-length: 20\r\n\r\n{}",
        "x".repeat(20)
    );
    for (said, status, body, why) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12",
            200,
            "12",
            "Timeout",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345",
            200,
            "12345",
            "",
        ),
        (&*long, 410, "xxxxxxxxxx", "TooLarge"),
    ] {
        let server = Server::says(said.to_owned()).await;
        let answer = partial(&server, 100).await.unwrap();
        assert_eq!(answer.response.status, status, "{said}");
        assert_eq!(answer.response.body, body.as_bytes(), "{said}");
        let cut = answer.cut.map(|error| format!("{error:?}"));
        assert!(cut.unwrap_or_default().contains(why), "{said}");
    }
    let cut = Server::raw("127.0.0.1:0", async |mut stream| {
        read_head(&mut stream).await;
        let said = b"HTTP/1.1 503 Away\r\ncontent-length: 5\r\n\r\n12";
        stream.write_all(said).await.unwrap();
    });
    let answer = partial(&cut.await, u64::MAX).await.unwrap();
    assert_eq!(answer.response.status, 503);
    assert!(matches!(answer.cut, Some(GuestError::Protocol(_))));
}

#[tokio::test]
async fn status_counts_though_there_are_more_headers_than_a_plugin_takes() {
    let fields = |count: usize| {
        let fields: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        Server::says(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{fields}\r\n"
        ))
    };
    let answer = partial(&fields(500).await, 1_000).await.unwrap();
    assert_eq!(answer.response.status, 200);
    assert_eq!(answer.response.headers.len(), 100);
    assert!(matches!(answer.cut, Some(GuestError::TooLarge)));
    let none = partial(&fields(1_001).await, 1_000).await;
    assert!(matches!(none, Err(GuestError::TooLarge)), "{none:?}");
}

#[tokio::test]
async fn answer_without_a_head_is_an_error_also_for_whoever_wants_the_status_alone() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
    });
    let sent = partial(&server.await, 1_000).await;
    assert!(matches!(sent, Err(GuestError::Protocol(_))), "{sent:?}");
}

#[tokio::test]
async fn call_that_is_dropped_closes_its_connection() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12"] {
        let server = Server::says(said).await;
        let bench = Bench::new(loopback());
        let (other, url) = (bench.clone(), server.url());
        let call = tokio::spawn(async move { other.get(&url).await });
        until(async || server.accepted() == 1).await;
        assert_eq!(server.closed(), 0);
        call.abort();
        until(async || server.closed() == 1).await;
        let open = async || bench.metric("hearth_outbound_connections", "") == 0;
        until(open).await;
    }
}
