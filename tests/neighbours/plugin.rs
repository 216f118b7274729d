//! A plugin, and a webhook, to which all of loopback is open.

use std::net::SocketAddr;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::sockets::Sockets;
use crate::harness::dynamodb::Private;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::free_port;
use crate::webhooks::fixture::{GRANTS, Webhooks};

const OPENED: &str = "127.0.0.0/8,::1/128,0.0.0.0/8";
const ANYWHERE: [&str; 2] = ["outbound:http://*:*", "outbound:https://*:*"];

/// Every spelling of a way to a port of this machine.
fn authorities(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    hosts.map(|host| format!("{host}:{port}")).to_vec()
}

fn setup() -> Setup {
    Setup::new()
        .guest("outbound", &ANYWHERE, "")
        .guest("wasihttp", &ANYWHERE[..1], "")
        .env("HEARTH_OUTBOUND_ALLOW_ADDRESSES", OPENED)
}

async fn send(host: &Host, key: &str, scheme: &str, authority: &str) -> Value {
    let told = json!({ "method": "GET", "url": format!("{scheme}://{authority}/metrics") });
    let sent = host.post("/outbound/send", key).json(&told).send().await;
    sent.unwrap().json().await.unwrap()
}

async fn send_by_wasi(host: &Host, key: &str, authority: &str) -> Value {
    let told = json!({
        "method": "GET", "scheme": "http", "authority": authority, "path": "/metrics",
    });
    let sent = host.post("/wasihttp/send", key).json(&told).send().await;
    sent.unwrap().json().await.unwrap()
}

/// Something of the test's own that listens where plugins may go.
async fn receiver() -> (Private, u16) {
    let private = Private::start().await;
    let port = private.url().rsplit(':').next().unwrap().parse().unwrap();
    (private, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugin_reaches_loopback_and_no_socket_of_the_host() {
    let host = setup().start();
    let key = host.key("acme", &[]);
    let sockets: Vec<SocketAddr> = Sockets::of(&host).tcp;
    assert_eq!(sockets.len(), 2);
    for socket in sockets {
        for authority in authorities(socket.port()) {
            for scheme in ["http", "https"] {
                let answer = send(&host, &key, scheme, &authority).await;
                assert_eq!(
                    answer,
                    json!([{ "error": "BlockedAddress" }]),
                    "{authority}"
                );
            }
            let answer = send_by_wasi(&host, &key, &authority).await;
            let error = answer[0]["error"].as_str().unwrap_or_default();
            let prohibited = error.contains("DestinationIpProhibited");
            assert!(prohibited, "{authority}: {answer}");
        }
    }
    assert!(
        host.log()
            .contains("a port of this host or one of its services"),
        "{}",
        host.log()
    );
    // Nothing listens at that port: it is tried, so loopback is open.
    let closed = format!("127.0.0.1:{}", free_port());
    let answer = send(&host, &key, "http", &closed).await;
    let error = answer[0]["error"].as_str().unwrap();
    assert!(error.starts_with("Connect"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugin_reaches_no_service_that_the_host_is_configured_with() {
    let (private, port) = receiver().await;
    let dynamodb =
        format!("[dynamodb]\nendpoint_url = \"http://localhost:{port}\"\ncreate_tables = true");
    let host = setup()
        .config(&dynamodb)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .start();
    let key = host.key("acme", &[]);
    for authority in authorities(port) {
        let answer = send(&host, &key, "http", &authority).await;
        assert_eq!(
            answer,
            json!([{ "error": "BlockedAddress" }]),
            "{authority}"
        );
    }
    let log = host.log();
    assert!(
        log.contains("a port of this host or one of its services"),
        "{log}"
    );
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
    drop(private);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_opens_a_listener_by_its_very_address_and_port() {
    let (public, admin) = (free_port(), free_port());
    let host = setup()
        .env("HEARTH_LISTEN", &format!("127.0.0.1:{public}"))
        .env("HEARTH_ADMIN_LISTEN", &format!("127.0.0.1:{admin}"))
        .env(
            "HEARTH_OUTBOUND_ALLOW_ADDRESSES",
            &format!("{OPENED},127.0.0.1:{admin}"),
        )
        .start();
    let key = host.key("acme", &[]);
    let answer = send(&host, &key, "http", &format!("127.0.0.1:{admin}")).await;
    assert_eq!(answer[0]["status"], 200, "{answer}");
    for other in [
        format!("127.0.0.1:{public}"),
        format!("[::1]:{admin}"),
        format!("127.0.0.2:{admin}"),
    ] {
        let answer = send(&host, &key, "http", &other).await;
        assert_eq!(answer, json!([{ "error": "BlockedAddress" }]), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_is_not_made_that_would_reach_a_socket_of_the_host() {
    let webhooks = Webhooks::start_with(&GRANTS);
    let sockets = Sockets::of(&webhooks.host).tcp;
    assert_eq!(sockets.len(), 2);
    for socket in sockets {
        for host in ["127.0.0.1", "127.1.2.3", "localhost"] {
            let url = format!("http://{host}:{}/metrics", socket.port());
            let endpoint = json!({ "url": url });
            let (status, told) = webhooks.ask(Method::POST, "/endpoints", endpoint).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {told}");
            assert_eq!(told["errors"][0]["code"], "blocked_address", "{told}");
        }
    }
}

/// The endpoint was made before the host listened there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_that_was_made_before_reaches_no_socket_of_the_host() {
    let mut webhooks = Webhooks::start_with(&GRANTS);
    for listens in ["HEARTH_LISTEN", "HEARTH_ADMIN_LISTEN"] {
        let own = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{own}/metrics");
        let endpoint = webhooks.endpoint(&url, Value::Null).await;
        webhooks.host.stop();
        webhooks.host.restart_with(listens, &own);
        let ports = Sockets::of(&webhooks.host).tcp;
        assert!(ports.contains(&own.parse().unwrap()), "{own}: {ports:?}");
        let event = webhooks.event("a").await;
        webhooks.until_attempts(&event, &endpoint, 1).await;
        let attempts = webhooks.attempts(&event).await;
        let attempt = attempts.iter().find(|one| one["endpoint_id"] == endpoint);
        let attempt = attempt.unwrap_or_else(|| panic!("{url}: {attempts:?}"));
        assert_eq!(attempt["outcome"], "blocked_address", "{url}: {attempt}");
        assert_eq!(attempt["status"], Value::Null, "{url}: {attempt}");
    }
}
