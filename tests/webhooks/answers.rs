//! Answers that do not come whole: the status counts when it has arrived.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::fixture::Webhooks;
use crate::outbound::server::{Server, gone, read_head};

/// Answers by the path, and ends when the other side goes.
async fn answer(mut stream: TcpStream) {
    let head = read_head(&mut stream).await;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let status = if path == "/gone" {
        "410 Gone"
    } else {
        "200 OK"
    };
    let many: String = (0..120).map(|n| format!("x-{n}: y\r\n")).collect();
    let (fields, body) = match path {
        "/cut" | "/slow" => ("content-length: 100\r\n".to_string(), "abc".to_string()),
        "/many" => (format!("content-length: 0\r\n{many}"), String::new()),
        _ => ("content-length: 3145728\r\n".into(), "x".repeat(3 << 20)),
    };
    let said = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{fields}\r\n{body}");
    // Who reads no further may have gone.
    let _ = stream.write_all(said.as_bytes()).await;
    if path == "/cut" {
        let _ = stream.shutdown().await;
    }
    gone(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_counts_when_it_has_arrived_whatever_becomes_of_the_rest() {
    let webhooks = Webhooks::start();
    let receiver = Server::raw("127.0.0.1:0", answer).await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", receiver.port);
    let mut endpoints = Vec::new();
    for path in ["/cut", "/slow", "/long", "/many", "/gone"] {
        endpoints.push((path, webhooks.endpoint(&url(path), Value::Null).await));
    }
    let event = webhooks.event("a").await;
    for (path, endpoint) in &endpoints {
        let ends = if *path == "/gone" {
            "stopped"
        } else {
            "delivered"
        };
        webhooks.until_status(&event, endpoint, ends).await;
    }
    for (path, endpoint) in &endpoints {
        let page = webhooks
            .get(&format!("/endpoints/{endpoint}/attempts"))
            .await;
        let attempts = page["attempts"].as_array().unwrap();
        // The others are told of the endpoint that is gone.
        let own: Vec<_> = attempts
            .iter()
            .filter(|one| one["event_id"] == event)
            .collect();
        assert_eq!(own.len(), 1, "{path} got it once: {page}");
        let is_gone = *path == "/gone";
        assert_eq!(own[0]["status"], if is_gone { 410 } else { 200 }, "{path}");
        let outcome = if is_gone { "status" } else { "delivered" };
        assert_eq!(own[0]["outcome"], outcome, "{path}");
        assert!(own[0]["note"].is_string(), "{path}: {}", own[0]);
        let shown = webhooks.get(&format!("/endpoints/{endpoint}")).await;
        assert_eq!(shown["enabled"], !is_gone, "{path}");
    }
}
