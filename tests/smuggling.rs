//! What a client sends behind one request is never taken for another request by
//! two readers in two ways (CWE-444, RFC 9112 section 11.2).
//!
//! Each attack carries a whole second request in the place where a lenient reader
//! would find one. It goes to the real binary over a socket, whole and byte by byte.

use std::io::Write;

use crate::harness::host::{Host, Setup, runs};
use crate::harness::raw::{connect, exchange, rest, statuses};

const SMUGGLED: &str = "GET /echo/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn host() -> Host {
    Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nheader_ms_max = 30_000")
        .start()
}

/// Exactly one answer, 400, and the connection is closed behind it.
fn is_refused(host: &Host, attack: &str) {
    let attack = format!("{attack}{SMUGGLED}");
    let answers = exchange(host, attack.as_bytes());
    assert_eq!(statuses(&answers), [400], "{attack:?}\n{answers}");
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

#[tokio::test]
async fn ambiguous_length_is_refused_and_what_follows_is_never_a_request() {
    let host = host();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",
        "X: a\r\n\tfolded\r\n",
        " X: a\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\rTransfer-Encoding: chunked\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "X Y: a\r\n",
        "no colon\r\n",
        ": no name\r\n",
    ] {
        is_refused(&host, &post(fields, "0\r\n\r\n"));
    }
    is_refused(
        &host,
        &format!("POST /echo HTTP/1.0\r\nHost: a\r\n{chunked}\r\n0\r\n\r\n"),
    );
    assert_eq!(
        host.metric("hearth_requests_total", &["plugin=\"echo\""])
            .await,
        0.0
    );
}

#[tokio::test]
async fn lines_and_hosts_have_one_reading() {
    let host = host();
    for head in [
        "GET /echo HTTP/1.1\nHost: a\n\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\n\n",
        "GET /echo\r\n",
        "GET /echo\r\n\r\n",
        "GET /echo HTTP/0.9\r\n\r\n",
        "GET /echo HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /echo HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /echo HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /echo\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "GET echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET /echo HTTP/1.1\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://u@a/echo HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        is_refused(&host, head);
    }
    assert_eq!(
        host.metric("hearth_requests_total", &["plugin=\"echo\""])
            .await,
        0.0
    );
}

#[tokio::test]
async fn broken_chunks_end_the_connection_after_one_answer() {
    let host = host();
    let key = host.key("acme", &[]);
    let fields = format!("X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n");
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(20_000));
    let trailers = format!("0\r\n{}\r\n", "X: aaaaaaaaaaaaaaaa\r\n".repeat(2_000));
    for body in [
        "g\r\n\r\n",
        "\r\n",
        "-1\r\na\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "1 \r\na\r\n",
        "1\na\n0\n\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\na\r\n",
        "FFFFFFFFFFFFFFFFF\r\na\r\n",
        "1;a\0\r\na\r\n0\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n\n",
        &long,
        &trailers,
    ] {
        is_refused(&host, &post(&fields, body));
    }
}

#[tokio::test]
async fn plain_pipelined_requests_are_all_answered_in_order() {
    let host = host();
    let key = host.key("acme", &[]);
    let fields = format!("X-API-Key: {key}\r\n");
    let chunked = format!("{fields}Transfer-Encoding: chunked\r\n");
    let all = [
        post(&format!("{fields}Content-Length: 5\r\n"), "one\r\n"),
        post(
            &chunked,
            "3;ignored=\"b\"\r\ntwo\r\n0\r\nX-Trailer: a\r\n\r\n",
        ),
        format!("GET http://A/echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
        format!("\r\nGET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"),
    ]
    .concat();
    for piece in [all.len(), 7, 1] {
        let mut stream = connect(&host);
        for bytes in all.as_bytes().chunks(piece) {
            stream.write_all(bytes).unwrap();
        }
        let answers = String::from_utf8(rest(&mut stream)).unwrap();
        assert_eq!(statuses(&answers), [200, 200, 200, 200], "{answers}");
        assert!(answers.find("one").unwrap() < answers.find("two").unwrap());
    }
}

#[tokio::test]
async fn attack_in_pieces_is_refused_like_the_whole() {
    let host = host();
    let fields = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let attack = post(fields, "0\r\n\r\n") + SMUGGLED;
    for _ in 0..runs(3, 100) {
        let mut stream = connect(&host);
        for byte in attack.as_bytes().chunks(1) {
            // The host may have closed already.
            if stream.write_all(byte).is_err() {
                break;
            }
        }
        let answers = String::from_utf8(rest(&mut stream)).unwrap();
        assert!(
            statuses(&answers).iter().all(|status| *status == 400),
            "{answers}"
        );
        assert!(answers.matches("HTTP/1.1").count() <= 1, "{answers}");
    }
}

#[tokio::test]
async fn body_that_is_still_owed_is_never_the_next_request() {
    let host = host();
    // Refused before its body is read: 401, and the body holds a request.
    let attack = post(&format!("Content-Length: {}\r\n", SMUGGLED.len()), SMUGGLED);
    let last = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = exchange(&host, format!("{attack}{last}").as_bytes());
    let statuses = statuses(&answers);
    assert!(statuses == [401] || statuses == [401, 200], "{answers}");
    assert!(!answers.contains("smuggled"), "{answers}");
}
