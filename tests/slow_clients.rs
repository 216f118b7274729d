//! Clients that do their part slowly, or not at all. Each loses its connection;
//! nobody beside it notices.

mod shares;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;
use crate::harness::raw::{address, connect, rest, statuses};
use crate::harness::tool::tool;

const LIMITS: &str = "[server]
header_ms_max = 1_000
idle_ms_max = 4_000
body_idle_ms_max = 1_000
body_ms_max = 2_000
write_idle_ms_max = 1_000
drain_ms_max = 1_000
";

fn host() -> Host {
    Setup::new().guest("echo", &[], "").config(LIMITS).start()
}

async fn ended(host: &Host, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    host.metric("hearth_connections_ended_total", &[&label])
        .await
}

/// Waits until the host has counted one: it does so a moment after it has closed.
async fn one_ended(host: &Host, reason: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while ended(host, reason).await < 1.0 {
        assert!(Instant::now() < until, "none ended for {reason}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes a byte now and then until the host closes, and reads what it said.
fn drip(host: &Host, start: &str) -> String {
    let mut stream = connect(host);
    stream.write_all(start.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while Instant::now() < until {
        let _ = stream.write_all(b"a");
        match stream.read(&mut part) {
            Ok(0) => return String::from_utf8(answer).unwrap(),
            Ok(bytes) => answer.extend_from_slice(&part[..bytes]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return String::from_utf8(answer).unwrap();
            }
            Err(_) => {}
        }
    }
    panic!("the host did not close");
}

/// Asks until there is an answer: a head that this machine was too busy to send in time
/// gets none.
fn answered(mut ask: impl FnMut() -> String) -> String {
    std::iter::repeat_with(&mut ask)
        .find(|answer| !answer.is_empty())
        .unwrap()
}

#[tokio::test]
async fn head_and_body_have_a_time_as_a_whole_however_steadily_they_drip() {
    let host = host();
    let key = host.key("acme", &[]);
    assert_eq!(drip(&host, "GET /echo HTTP/1.1\r\nX: "), "");
    one_ended(&host, "slow_head").await;
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n";
    let start = format!("{post}X-API-Key: {key}\r\n\r\n");
    let answer = answered(|| drip(&host, &start));
    assert_eq!(statuses(&answer), [408], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_newcomer_is_ended_for_its_head_and_who_has_asked_for_being_idle() {
    let host = host();
    assert_eq!(rest(&mut connect(&host)), b"");
    one_ended(&host, "slow_head").await;
    let answer = answered(|| {
        let mut kept = connect(&host);
        // Where the host closes first, there is no answer either.
        let _ = kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        String::from_utf8(rest(&mut kept)).unwrap()
    });
    assert_eq!(statuses(&answer), [200]);
    one_ended(&host, "idle").await;
}

#[tokio::test]
async fn client_that_does_not_read_its_answer_is_ended() {
    let host = host();
    let key = host.key("acme", &[]);
    let request =
        format!("GET /echo/large/8388608 HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let mut stream = connect(&host);
    stream.write_all(request.as_bytes()).unwrap();
    one_ended(&host, "slow_reader").await;
    // What waited in the sockets can still be read; it is not the whole.
    assert!(rest(&mut stream).len() < 8 << 20);
    // A client that reads gets all of it, unless this machine is too busy to read.
    until(async || {
        let answer = host.get("/echo/large/8388608", &key).send().await.unwrap();
        let read = answer.bytes().await;
        read.is_ok_and(|bytes| bytes.len() == 8 << 20)
    })
    .await;
}

#[tokio::test]
async fn peer_may_have_so_many_connections_and_no_more() {
    let host = Setup::new()
        .config("[server]\npeer_connections_max = 3")
        .start();
    let mut kept: Vec<_> = (0..3).map(|_| connect(&host)).collect();
    for stream in &mut kept {
        // An answer shows that the host has counted the connection.
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
    }
    assert_eq!(rest(&mut connect(&host)), b"");
    assert_eq!(ended(&host, "too_many_of_peer").await, 1.0);
    drop(kept);
    let until = Instant::now() + Duration::from_secs(60);
    while host
        .client
        .get(format!("{}/healthz", host.url))
        .send()
        .await
        .is_err()
    {
        assert!(Instant::now() < until, "places did not come back");
    }
}

/// A client that asks again and again, and for whom nothing may ever fail.
struct Neighbour {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    asking: tokio::task::JoinHandle<()>,
}

impl Neighbour {
    fn start(host: &Host, key: &str) -> Neighbour {
        let (stop, served) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stopping, counting) = (stop.clone(), served.clone());
        let (client, key) = (host.client.clone(), key.to_owned());
        let url = format!("{}/echo", host.url);
        let asking = tokio::spawn(async move {
            while !stopping.load(Relaxed) {
                let answer = client.get(&url).header("x-api-key", &key).send().await;
                assert_eq!(answer.unwrap().status(), 200);
                counting.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Neighbour {
            stop,
            served,
            asking,
        }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        self.asking.await.unwrap();
        self.served.load(Relaxed)
    }
}

/// slowhttptest with 1,000 connections, for a while, in each of its ways.
async fn slowhttptest(host: &Host, key: &str, way: &[&str]) {
    let seconds = runs(3, 60).to_string();
    let url = format!("http://{}/echo", address(host));
    // It has no option for a header, but puts a cookie in as it is.
    let cookie = format!("a=b\r\nX-API-Key: {key}");
    let mut command: Command = tool("slowhttptest");
    command.args(["-j", &cookie]);
    command.args(way).args([
        "-c", "1000", "-r", "1000", "-i", "1", "-p", "2", "-l", &seconds,
    ]);
    command
        .args(["-u", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        told.contains("Exit status"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn survives(way: &[&str]) -> Host {
    let host = host();
    let key = host.key("acme", &[]);
    host.get("/echo", &key).send().await.unwrap();
    let neighbour = Neighbour::start(&host, &key);
    let before = host.resident_bytes();
    slowhttptest(&host, &key, way).await;
    assert!(neighbour.end().await > 0);
    let grown = host.resident_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes more");
    // Every one of the thousand is gone within the limits, and none is kept.
    let until = Instant::now() + Duration::from_secs(60);
    while host.metric("hearth_connections", &[]).await > 2.0 {
        assert!(Instant::now() < until, "connections were left behind");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    host
}

#[tokio::test]
async fn thousand_slow_heads_do_not_touch_a_neighbour() {
    let host = survives(&["-H"]).await;
    assert!(ended(&host, "slow_head").await > 0.0);
}

#[tokio::test]
async fn thousand_slow_bodies_do_not_touch_a_neighbour() {
    let host = survives(&["-B", "-s", "8192"]).await;
    let refused = host.metric("hearth_requests_total", &["status=\"408\""]);
    assert!(refused.await > 0.0);
}

#[tokio::test]
async fn thousand_slow_readers_do_not_touch_a_neighbour() {
    survives(&["-X", "-w", "1", "-y", "8", "-n", "5", "-z", "1"]).await;
}
