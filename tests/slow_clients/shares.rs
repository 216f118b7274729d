//! What one customer, or one address, may have of the listener: its part, and no more.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{drip, ended};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;
use crate::harness::raw::{connect, exchange, rest, statuses};

/// Sends the head of a POST and the beginning of its body, which never ends.
fn begin_post(host: &Host, key: &str, announced: usize, sent: usize) -> TcpStream {
    let mut stream = connect(host);
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A host that refuses early reads no more.
    let _ = stream.write_all(&vec![b'a'; sent]);
    stream
}

/// Waits until large bodies take so many bytes.
async fn bodies_take(host: &Host, bytes: f64) {
    let size = "size=\"large\"";
    until(async || host.metric("hearth_bodies_bytes", &[size]).await >= bytes).await;
}

/// What a host says to a request that it ends.
fn answer(stream: &mut TcpStream) -> String {
    String::from_utf8(rest(stream)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_one_customer_take_its_share_and_no_other_s() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nbodies_bytes_max = 1_048_576\nbody_bytes_per_second_min = 0\nbody_idle_ms_max = 60_000\nbody_ms_max = 120_000")
        .start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let _held = begin_post(&host, &acme, 200_000, 199_999);
    bodies_take(&host, 196_608.0).await;
    let refused = answer(&mut begin_post(&host, &acme, 200_000, 199_999));
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("urn:hearth:problem:too-many-body-bytes"));
    assert!(refused.to_lowercase().contains("retry-after"), "{refused}");
    for (key, bytes) in [(&globex, 200_000), (&globex, 10), (&acme, 10)] {
        let post = host.post("/echo", key).body(vec![b'a'; bytes]);
        assert_eq!(post.send().await.unwrap().status(), 200, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_find_room_while_large_ones_take_all_of_theirs() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nbodies_bytes_max = 1_048_576\nbody_bytes_per_second_min = 0\nbody_idle_ms_max = 60_000\nbody_ms_max = 120_000")
        .start();
    let keys = ["a", "b", "c", "d"].map(|customer| host.key(customer, &[]));
    let held = keys.map(|key| begin_post(&host, &key, 262_000, 261_999));
    bodies_take(&host, 1_048_576.0).await;
    let key = host.key("globex", &[]);
    let large = answer(&mut begin_post(&host, &key, 262_000, 261_999));
    assert!(large.starts_with("HTTP/1.1 503"), "{large}");
    assert!(large.contains("cannot take a body of this size"), "{large}");
    let small = host.post("/echo", &key).body(vec![b'a'; 16 << 10]);
    assert_eq!(small.send().await.unwrap().status(), 200);
    drop(held);
}

#[tokio::test]
async fn large_body_keeps_its_pace_and_a_small_one_has_its_time() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nbody_rate_window_ms = 500\nbody_ms_max = 3_000")
        .start();
    let key = host.key("acme", &[]);
    let mut start = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 100000\r\n\r\n"
    );
    let small = drip(&host, &start);
    assert!(small.contains("did not arrive in time"), "{small}");
    start.push_str(&"a".repeat(20_000));
    let large = drip(&host, &start);
    assert_eq!(statuses(&large), [408], "{large}");
    assert!(large.contains("at least 8192 bytes a second"), "{large}");
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_has_so_many_requests_under_way_and_its_neighbour_has_its_own() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nrequests_max = 8\nbody_idle_ms_max = 60_000\nbody_ms_max = 120_000")
        .start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let held = [
        begin_post(&host, &acme, 10, 1),
        begin_post(&host, &acme, 10, 1),
    ];
    until(async || host.metric("hearth_requests_under_way", &[]).await >= 2.0).await;
    let refused = host.get("/echo", &acme).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let problem = refused.text().await.unwrap();
    assert!(
        problem.contains("too-many-concurrent-requests"),
        "{problem}"
    );
    assert_eq!(
        host.get("/echo", &globex).send().await.unwrap().status(),
        200
    );
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_that_leaves_its_answers_unread_gets_no_more_of_them() {
    let host = Setup::new()
        .guest(
            "echo",
            &[],
            "[plugins.echo.limits]\ncpu_ms_max = 60_000\nwall_ms_max = 60_000",
        )
        .config("[server]\nanswers_bytes_max = 16_777_216")
        .start();
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let mut unread = connect(&host);
    let request =
        format!("GET /echo/large/8388608 HTTP/1.1\r\nHost: a\r\nX-API-Key: {acme}\r\n\r\n");
    unread.write_all(request.as_bytes()).unwrap();
    // Its first byte shows that the answer is there.
    assert_eq!(unread.read(&mut [0; 1]).unwrap(), 1);
    let refused = host.get("/echo", &acme).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let problem = refused.text().await.unwrap();
    assert!(problem.contains("too-many-answer-bytes"), "{problem}");
    assert_eq!(
        host.get("/echo", &globex).send().await.unwrap().status(),
        200
    );
    drop(unread);
    until(async || host.get("/echo", &acme).send().await.unwrap().status() == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_give_way_to_newcomers() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nconnections_max = 20")
        .start();
    let key = host.key("acme", &[]);
    let get = format!("GET /echo HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let mut neighbour = connect(&host);
    let mut ask = || {
        neighbour.write_all(get.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let bytes = neighbour.read(&mut answer).unwrap();
        assert!(answer[..bytes].starts_with(b"HTTP/1.1 200"));
    };
    ask();
    // Silent ones, and ones that dribble a head: none of them has a key.
    let silent: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = connect(&host);
            let head = if number % 2 == 0 { "" } else { "GET /echo HT" };
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..10 {
        ask();
        let newcomer = exchange(
            &host,
            get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert_eq!(statuses(&newcomer), [200], "{newcomer}");
    }
    assert!(ended(&host, "evicted").await >= 80.0);
    assert_eq!(ended(&host, "too_many").await, 0.0);
    drop(silent);
}
