//! The standard's interface has the same policy behind it.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::server::{Asked, Server, gone, read_head, text};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

const GRANTS: [&str; 1] = ["outbound:http://*:*"];
const LOOPBACK: &str = "[outbound]\nallow_addresses = [\"127.0.0.0/8\"]\n";

fn opened() -> Host {
    Setup::new()
        .guest("wasihttp", &GRANTS, "")
        .config(LOOPBACK)
        .start()
}

fn told(authority: &str) -> Value {
    json!({ "method": "POST", "scheme": "http", "authority": authority, "path": "/a?b" })
}

fn with(authority: &str, key: &str, value: Value) -> Value {
    let mut told = told(authority);
    told[key] = value;
    told
}

fn authority(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port)
}

async fn send(host: &Host, key: &str, told: &Value) -> Value {
    let sent = host.post("/wasihttp/send", key).json(told).send().await;
    sent.unwrap().json().await.unwrap()
}

async fn error(host: &Host, key: &str, told: &Value) -> String {
    let sent = send(host, key, told).await;
    match sent[0]["error"].as_str() {
        Some(error) => error.to_owned(),
        None => panic!("{told}: {sent}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_of_the_standard_sends_where_it_was_granted_to() {
    let server = Server::http("127.0.0.1:0", async |asked: Asked| {
        let head = asked.head;
        let host = head.headers["host"].to_str().unwrap().to_owned();
        let thing = head.headers["x-thing"].to_str().unwrap().to_owned();
        let bytes = asked.body.len();
        text(format!(
            "{:?} {} {} {host} {thing} {bytes}",
            head.version, head.method, head.uri
        ))
    });
    let server = server.await;
    let host = opened();
    let key = host.key("acme", &[]);
    let mut told = told(&authority(&server));
    told["headers"] = json!([["x-thing", "one"]]);
    told["body"] = json!("a".repeat(100_000));
    told["times"] = json!(3);
    let body = format!("HTTP/1.1 POST /a?b 127.0.0.1:{} one 100000", server.port);
    let one = json!({ "status": 200, "body": body });
    assert_eq!(send(&host, &key, &told).await, json!([one, one, one]));
    assert_eq!(server.accepted(), 1, "the connection is used again");
    let calls = host.metric("hearth_outbound_calls_total", &["wasihttp", "answered"]);
    assert_eq!(calls.await, 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_address_is_closed_to_the_standard_too() {
    let listener = Server::raw("[::]:0", async |mut stream| gone(&mut stream).await).await;
    let host = Setup::new().guest("wasihttp", &GRANTS, "").start();
    let key = host.key("acme", &[]);
    let port = listener.port;
    for of in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0",
    ] {
        let error = error(&host, &key, &told(&format!("{of}:{port}"))).await;
        assert!(error.contains("DestinationIpProhibited"), "{of}: {error}");
    }
    for tricky in [
        format!("user@127.0.0.1:{port}"),
        format!("example.com@127.0.0.1:{port}"),
    ] {
        let error = error(&host, &key, &told(&tricky)).await;
        assert!(error.contains("HttpRequestUriInvalid"), "{tricky}: {error}");
    }
    assert_eq!(listener.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_is_linked_with_a_grant_alone() {
    let refused = Setup::new().guest("wasihttp", &[], "").refused();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("outbound:http://*:*"), "{told}");
    // Granted, and to nowhere else.
    let host = opened();
    let key = host.key("acme", &[]);
    let error = error(&host, &key, &with("127.0.0.1:1", "scheme", json!("https"))).await;
    assert!(error.contains("HttpRequestDenied"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_of_the_standard_cannot_break_a_head() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let host = opened();
    let key = host.key("acme", &[]);
    let authority = authority(&server);
    for header in [
        ["host", "example.com"],
        ["connection", "keep-alive"],
        ["transfer-encoding", "chunked"],
        ["te", "trailers"],
        ["expect", "100-continue"],
        ["upgrade", "websocket"],
        ["x-a", "1\r\nx-b: 2"],
        ["x-a: 1\r\nx-b", "2"],
    ] {
        let error = error(&host, &key, &with(&authority, "headers", json!([header]))).await;
        assert!(
            error.contains("Forbidden") || error.contains("Syntax"),
            "{header:?}: {error}"
        );
    }
    let connect = error(&host, &key, &with(&authority, "method", json!("CONNECT"))).await;
    assert!(connect.contains("Http"), "{connect}");
    for path in ["http://127.0.0.2/", "*", "a", "/a b", "/a\r\nx: y"] {
        let path = error(&host, &key, &with(&authority, "path", json!(path))).await;
        assert_eq!(path, "no path");
    }
    assert_eq!(server.accepted(), 0);
    // What it says of its body's length has to be true.
    let lies = json!([["content-length", "3"]]);
    let mut lying = with(&authority, "headers", lies);
    lying["body"] = json!("abcd");
    error(&host, &key, &lying).await;
    lying["body"] = json!("abc");
    let sent = send(&host, &key, &lying).await;
    assert_eq!(sent, json!([{ "status": 200, "body": "ok" }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_the_standard_are_bounded() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let piece = format!("400\r\n{}\r\n", "a".repeat(0x400));
        while stream.write_all(piece.as_bytes()).await.is_ok() {}
    });
    let server = server.await;
    let bounded = "[outbound]\nallow_addresses = [\"127.0.0.0/8\"]\nresponse_bytes_max = 100_000\n\
                   request_bytes_max = 50_000\n";
    let host = Setup::new()
        .guest("wasihttp", &GRANTS, "")
        .config(bounded)
        .start();
    let key = host.key("acme", &[]);
    let endless = error(&host, &key, &told(&authority(&server))).await;
    assert!(endless.contains("body size exceeds limit"), "{endless}");
    until(async || server.closed() == 1).await;
    let large = with(&authority(&server), "body", json!("a".repeat(200_000)));
    error(&host, &key, &large).await;
    until(async || server.closed() == server.accepted()).await;
    let silent = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let hasty = with(&authority(&silent), "first_byte_ms", json!(50));
    let timeout = error(&host, &key, &hasty).await;
    assert!(timeout.contains("HttpResponseTimeout"), "{timeout}");
    until(async || silent.closed() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_third_request_by_the_standard_is_denied() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let host = opened();
    let key = host.key("acme", &[]);
    let many = with(&authority(&server), "times", json!(33));
    let sent = send(&host, &key, &many).await;
    let sent = sent.as_array().unwrap();
    assert!(
        sent[..32].iter().all(|one| one["status"] == 200),
        "{sent:?}"
    );
    let last = sent[32]["error"].as_str().unwrap();
    assert!(last.contains("HttpRequestDenied"), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_of_the_standard_ends_when_the_client_goes_away() {
    let silent = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let host = opened();
    let key = host.key("acme", &[]);
    let told = told(&authority(&silent));
    let client = tokio::spawn(host.post("/wasihttp/send", &key).json(&told).send());
    until(async || silent.accepted() == 1).await;
    assert_eq!(silent.closed(), 0);
    client.abort();
    until(async || silent.closed() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_ends_when_the_guest_traps() {
    let silent = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let host = opened();
    let key = host.key("acme", &[]);
    let told = with(&authority(&silent), "trap_after_ms", json!(2_000));
    let trapping = tokio::spawn(host.post("/wasihttp/send", &key).json(&told).send());
    until(async || silent.accepted() == 1).await;
    let trapped = trapping.await.unwrap().unwrap();
    assert_eq!(trapped.status(), 500);
    until(async || silent.closed() == 1).await;
    until(async || host.metric("hearth_outbound_connections", &[]).await == 0.0).await;
}
