//! Answers that come before the end of the request's body: each arrives, and a client is
//! told whether the connection goes on (RFC 9112, sections 9.3 and 9.6).

use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::host::{Host, Setup};
use crate::harness::raw::{connect, exchange, rest, statuses};

const LIMITS: &str = "[server]\nunread_ms_max = 300\nlinger_bytes_max = 16_777_216";
const LAST: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn host() -> Host {
    Setup::new()
        .guest("echo", &[], "limits = { body_bytes_max = 1000 }")
        .config(LIMITS)
        .start()
}

fn post(path: &str, fields: &str, announced: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {announced}\r\n\r\n")
}

/// How many answers say that the connection ends.
fn closes(answers: &str) -> usize {
    answers.to_lowercase().matches("connection: close").count()
}

fn assert_is_last_401(answers: &str) {
    let seen = (statuses(answers), closes(answers));
    assert_eq!(seen, (vec![401], 1), "{answers}");
}

#[tokio::test]
async fn small_rest_of_a_body_is_read_and_the_connection_goes_on() {
    let host = host();
    let key = format!("X-API-Key: {}\r\n", host.key("acme", &[]));
    let encoded = format!("{key}Content-Encoding: br\r\n");
    for (path, fields, status) in [
        ("/echo", "", 401),
        ("/nowhere", "", 404),
        ("/echo", &encoded, 415),
        ("/healthz", "", 405),
    ] {
        let whole = post(path, fields, 200_000) + &"a".repeat(200_000) + LAST;
        let answers = exchange(&host, whole.as_bytes());
        assert_eq!(statuses(&answers), [status, 200], "{answers}");
        assert_eq!(closes(&answers), 1, "{answers}");
    }
    let chunked = "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = format!("{chunked}5\r\nhello\r\n0\r\n\r\n{LAST}");
    assert_eq!(statuses(&exchange(&host, whole.as_bytes())), [404, 200]);
}

#[tokio::test]
async fn answer_before_a_large_body_says_close_and_is_not_lost_in_a_reset() {
    let host = host();
    let key = format!("X-API-Key: {}\r\n", host.key("acme", &[]));
    let encoded = format!("{key}Content-Encoding: br\r\n");
    for (path, fields, status) in [
        ("/echo", "", 401),
        ("/nowhere", "", 404),
        ("/echo", &encoded, 415),
        ("/echo", &key, 413),
    ] {
        let whole = post(path, fields, 9_500_000) + &"a".repeat(9_500_000);
        let answer = exchange(&host, whole.as_bytes());
        assert_eq!(statuses(&answer), [status], "{answer}");
        assert_eq!(closes(&answer), 1, "{answer}");
        assert!(answer.ends_with('}'), "it came whole: {answer}");
    }
}

#[tokio::test]
async fn client_that_waits_for_a_word_to_go_on_is_answered_without_its_body() {
    let host = host();
    let head = post("/echo", "Expect: 100-continue\r\n", 10);
    let answer = exchange(&host, head.as_bytes());
    assert_is_last_401(&answer);
}

#[tokio::test]
async fn rest_that_does_not_come_is_waited_for_no_longer_than_it_may() {
    let host = host();
    let answer = exchange(&host, post("/echo", "", 10).as_bytes());
    assert_is_last_401(&answer);
}

#[tokio::test]
async fn client_that_sends_on_behind_the_last_answer_is_let_go() {
    let host = host();
    let mut stream = connect(&host);
    stream
        .write_all(post("/echo", "", 1 << 40).as_bytes())
        .unwrap();
    let answer = String::from_utf8(rest(&mut stream)).unwrap();
    assert_is_last_401(&answer);
    let until = Instant::now() + Duration::from_secs(60);
    let more = vec![b'a'; 1 << 20];
    let mut sent = 0;
    while stream.write_all(&more).is_ok() {
        sent += 1;
        assert!(Instant::now() < until, "{sent} MiB were taken");
    }
    assert!(sent >= 15, "{sent} MiB were taken");
}
