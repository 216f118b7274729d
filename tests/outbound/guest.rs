//! The capability as a component uses it, on a real host.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::server::{Asked, Server, gone, read_head, text};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

const GRANTS: [&str; 2] = ["outbound:http://*:*", "outbound:https://*:*"];
const LOOPBACK: &str = "[outbound]\nallow_addresses = [\"127.0.0.0/8\"]\n";

fn setup(limits: &str) -> Setup {
    Setup::new().guest("outbound", &GRANTS, limits)
}

fn told(url: &str) -> Value {
    json!({ "method": "GET", "url": url })
}

async fn send(host: &Host, key: &str, told: &Value) -> Value {
    let sent = host.post("/outbound/send", key).json(told).send().await;
    sent.unwrap().json().await.unwrap()
}

async fn silent() -> Server {
    Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_sends_and_is_told_what_came_back() {
    let server = Server::http("127.0.0.1:0", async |asked: Asked| {
        let thing = asked.head.headers["x-thing"].to_str().unwrap().to_owned();
        let body = String::from_utf8(asked.body.to_vec()).unwrap();
        text(format!(
            "{} {} {thing} {body}",
            asked.head.method, asked.head.uri
        ))
    });
    let server = server.await;
    let host = setup("").config(LOOPBACK).start();
    let key = host.key("acme", &[]);
    let told = json!({
        "method": "POST",
        "url": format!("{}hook?secret=hunter2", server.url()),
        "headers": [["x-thing", "one"]],
        "body": "the body",
        "times": 3,
    });
    let one = json!({ "status": 200, "body": "POST /hook?secret=hunter2 one the body" });
    assert_eq!(send(&host, &key, &told).await, json!([one, one, one]));
    assert_eq!(server.accepted(), 1);
    let calls = host.metric(
        "hearth_outbound_calls_total",
        &["plugin=\"outbound\"", "answered\""],
    );
    assert_eq!(calls.await, 3.0);
    assert_eq!(host.metric("hearth_outbound_seconds_count", &[]).await, 3.0);
    // What a URL says stays between the guest and its receiver.
    let page = host
        .client
        .get(format!("{}/metrics", host.admin))
        .send()
        .await;
    let page = page.unwrap().text().await.unwrap();
    for kept in [page, host.log()] {
        let port = server.port.to_string();
        assert!(!kept.contains("hunter2"), "{kept}");
        assert!(!kept.contains(&port), "{port}: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loopback_is_closed_until_the_operator_opens_it() {
    let listener = silent().await;
    let host = setup("").start();
    let key = host.key("acme", &[]);
    let port = listener.port;
    for of in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "0",
    ] {
        let answer = send(&host, &key, &told(&format!("http://{of}:{port}/"))).await;
        assert_eq!(answer, json!([{ "error": "BlockedAddress" }]), "{of}");
    }
    // Where the host's own parts listen is closed as well.
    for own in [&host.url, &host.admin] {
        let answer = send(&host, &key, &told(own)).await;
        assert_eq!(answer, json!([{ "error": "BlockedAddress" }]), "{own}");
    }
    assert_eq!(listener.accepted(), 0);
    assert!(
        host.log().contains("127.0.0.1"),
        "it is told: {}",
        host.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_opens_addresses_aloud_and_its_proxies_are_not_used() {
    let proxy = silent().await;
    let server = Server::http("127.0.0.1:0", async |_| text("direct")).await;
    let mut setup = setup("").env("HEARTH_OUTBOUND_ALLOW_ADDRESSES", "127.0.0.1/32, ::1/128");
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        setup = setup.env(name, &proxy.url());
    }
    let host = setup.start();
    let log = host.log();
    assert!(log.contains("PLUGINS MAY REACH"), "{log}");
    assert!(log.contains("127.0.0.1/32, ::1/128"), "{log}");
    let key = host.key("acme", &[]);
    let answer = send(&host, &key, &told(&server.url())).await;
    assert_eq!(answer, json!([{ "status": 200, "body": "direct" }]));
    let elsewhere = send(&host, &key, &told("http://127.0.0.2/")).await;
    assert_eq!(elsewhere, json!([{ "error": "BlockedAddress" }]));
    assert_eq!(proxy.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_that_is_none_keeps_the_host_from_starting() {
    let refused = setup("")
        .env("HEARTH_OUTBOUND_ALLOW_ADDRESSES", "localhost")
        .refused();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("HEARTH_OUTBOUND_ALLOW_ADDRESSES"), "{told}");
    let config = "[outbound]\nallow_addresses = [\"127.0.0.1/99\"]\nconnections_max = 0\n";
    let refused = setup("").config(config).refused();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("a range of addresses, for example"), "{told}");
    assert!(told.contains("127.0.0.1:9000"), "{told}");
    assert!(told.contains("outbound.connections_max"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugin_without_all_its_grants_is_refused() {
    let refused = Setup::new().guest("outbound", &GRANTS[..1], "").refused();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("outbound:https://*:*"), "{told}");
    let wrong = ["outbound:https://*/path"];
    let refused = Setup::new().guest("outbound", &wrong, "").refused();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("it must not have a path"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_may_send_thirty_two_requests() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let host = setup("").config(LOOPBACK).start();
    let key = host.key("acme", &[]);
    let mut many = told(&server.url());
    many["times"] = json!(33);
    for _ in 0..2 {
        let sent = send(&host, &key, &many).await;
        let sent = sent.as_array().unwrap();
        assert!(
            sent[..32].iter().all(|one| one["status"] == 200),
            "{sent:?}"
        );
        let last = sent[32]["error"].as_str().unwrap();
        assert!(last.starts_with("Denied"), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_ends_when_the_client_goes_away() {
    let server = silent().await;
    let host = setup("").config(LOOPBACK).start();
    let key = host.key("acme", &[]);
    let told = told(&server.url());
    let request = host.post("/outbound/send", &key).json(&told).send();
    let client = tokio::spawn(request);
    until(async || server.accepted() == 1).await;
    assert_eq!(server.closed(), 0);
    client.abort();
    until(async || server.closed() == 1).await;
    until(async || host.metric("hearth_outbound_connections", &[]).await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_ends_with_the_calls_deadline() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head).await.unwrap();
        gone(&mut stream).await;
    });
    let server = server.await;
    let limits = "[plugins.outbound.limits]\nwall_ms_max = 500";
    let host = setup(limits).config(LOOPBACK).start();
    let key = host.key("acme", &[]);
    let answer = host.request(Method::POST, "/outbound/send", &key);
    let answer = answer.json(&told(&server.url())).send().await.unwrap();
    // The guest may be told in time, or be over: its request is, anyway.
    match answer.status() {
        StatusCode::GATEWAY_TIMEOUT => {}
        StatusCode::OK => {
            let sent: Value = answer.json().await.unwrap();
            assert_eq!(sent, json!([{ "error": "Timeout" }]));
        }
        other => panic!("{other}"),
    }
    until(async || server.closed() == 1).await;
}
