//! One customer does its worst, with everything at once; another notices nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::webhooks::fixture as webhooks;
use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;
use crate::harness::raw::address;

/// A body that the route takes, which is never sent to its end.
const BODY_BYTES: usize = (8 << 20) - 10;

fn host(more: &str) -> Host {
    let setup = webhooks::setup(Setup::new().tickets().notifications().forecasting());
    setup
        .guest("echo", &[], "[plugins.echo.limits]\ncpu_ms_max = 50")
        .guest("queued", &["sql", "queue:orders"], "")
        .guest(
            "cache",
            &["cache"],
            "[plugins.cache.limits]\ncpu_ms_max = 50",
        )
        .config("[plugin_defaults]\ncpu_ms_max = 2_000\nwall_ms_max = 30_000")
        .config(more)
        .start()
}

/// A socket is an open file, and there are many.
fn allow_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// The customer that does its worst. Dropped, it ends.
struct Attack {
    _tasks: JoinSet<()>,
    /// Of each way, how often it was begun.
    begun: Arc<[AtomicUsize; WAYS]>,
}

const WAYS: usize = 9;

#[derive(Clone)]
struct Attacker {
    address: SocketAddr,
    url: String,
    key: String,
    client: Client,
    begun: Arc<[AtomicUsize; WAYS]>,
}

impl Attack {
    fn start(host: &Host, key: &str, connections: usize, seed: u64) -> Attack {
        let begun: Arc<[AtomicUsize; WAYS]> = Arc::default();
        let attacker = Attacker {
            address: address(host).parse().unwrap(),
            url: host.url.clone(),
            key: key.to_owned(),
            client: Client::new(),
            begun: begun.clone(),
        };
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            tasks.spawn(attacker.clone().keep_connection(number));
        }
        for _ in 0..40 {
            tasks.spawn(attacker.clone().drip_bodies());
        }
        for _ in 0..runs(20, 1_100) {
            tasks.spawn(attacker.clone().keep_stream());
        }
        for number in 0..runs(4, 8) {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            tasks.spawn(attacker.clone().do_anything(rng));
        }
        Attack {
            _tasks: tasks,
            begun,
        }
    }

    fn begun(&self) -> usize {
        self.begun.iter().map(|way| way.load(Relaxed).min(1)).sum()
    }
}

impl Attacker {
    fn note(&self, way: usize) {
        self.begun[way].fetch_add(1, Relaxed);
    }

    fn head(&self, line: &str, more: &str) -> Vec<u8> {
        let key = &self.key;
        format!("{line} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n{more}\r\n").into_bytes()
    }

    /// Silent, or in the middle of a head, or after a request: again and again.
    async fn keep_connection(self, number: usize) {
        let beginning = match number % 3 {
            0 => Vec::new(),
            1 => b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Slow: ".to_vec(),
            _ => self.head("GET /healthz", ""),
        };
        loop {
            self.note(0);
            if let Ok(mut stream) = TcpStream::connect(self.address).await
                && stream.write_all(&beginning).await.is_ok()
            {
                read_to_end(&mut stream).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Nearly all of a large body at once, and the rest byte by byte.
    async fn drip_bodies(self) {
        let length =
            format!("Content-Type: application/x-ndjson\r\nContent-Length: {BODY_BYTES}\r\n");
        loop {
            self.note(1);
            if let Ok(mut stream) = TcpStream::connect(self.address).await {
                let _ = stream
                    .write_all(&self.head("POST /costs/records", &length))
                    .await;
                let _ = stream.write_all(&vec![b' '; BODY_BYTES - 100]).await;
                while stream.write_all(b" ").await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn keep_stream(self) {
        let head = self.head("GET /notifications/stream", "");
        loop {
            self.note(2);
            if let Ok(mut stream) = TcpStream::connect(self.address).await
                && stream.write_all(&head).await.is_ok()
            {
                read_to_end(&mut stream).await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn do_anything(self, mut rng: StdRng) {
        loop {
            let way = rng.random_range(3..WAYS);
            self.note(way);
            match way {
                3 => self.post("/queued/send-many/500", vec![b'x'; 1_000]).await,
                4 => self.keyed(&rng.random::<u64>().to_string()).await,
                5 => {
                    let key = rng.random_range(0..1_000);
                    let request = self.request(Method::PUT, &format!("/cache/keys/{key}"));
                    let _ = request.body(vec![b'x'; 500_000]).send().await;
                }
                6 => self.leave_unread().await,
                7 => self.post("/notifications", many_notifications()).await,
                _ => self.ask_at_once().await,
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.header("x-api-key", &self.key)
    }

    async fn post(&self, path: &str, body: Vec<u8>) {
        let request = self.request(Method::POST, path);
        let request = request.header("content-type", "application/json");
        let _ = request.body(body).send().await;
    }

    /// A write with an idempotency key that nobody uses again.
    async fn keyed(&self, key: &str) {
        let body = json!({"subject": "s", "description": "d"});
        let request = self.request(Method::POST, "/support/tickets").json(&body);
        let _ = request.header("idempotency-key", key).send().await;
    }

    /// Asks for a large answer and takes one byte of it.
    async fn leave_unread(&self) {
        if let Ok(mut stream) = TcpStream::connect(self.address).await {
            let _ = stream
                .write_all(&self.head("GET /echo/large/1048576", ""))
                .await;
            let _ = stream.read(&mut [0; 1]).await;
            tokio::spawn(async move {
                sleep(Duration::from_secs(5)).await;
                drop(stream);
            });
        }
    }

    async fn ask_at_once(&self) {
        let asked = (0..50).map(|_| self.request(Method::GET, "/echo").send());
        futures_util::future::join_all(asked).await;
    }
}

async fn read_to_end(stream: &mut TcpStream) {
    let mut part = [0; 1024];
    while stream.read(&mut part).await.is_ok_and(|bytes| bytes > 0) {}
}

fn many_notifications() -> Vec<u8> {
    let all: Vec<Value> = (0..50).map(|n| json!({"title": format!("t{n}")})).collect();
    json!({ "notifications": all }).to_string().into_bytes()
}

/// The customer beside it: small requests, one of each kind after the other.
struct Neighbour<'h> {
    host: &'h Host,
    key: String,
}

impl Neighbour<'_> {
    async fn ask(&self, kind: &str, request: RequestBuilder, expected: StatusCode) -> Value {
        let answer = request.send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, expected, "{kind}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn create(&self) -> String {
        let body = json!({"subject": "s", "description": "d"});
        let request = self.host.post("/support/tickets", &self.key).json(&body);
        let made = self.ask("create", request, StatusCode::CREATED).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn one_of_each(&self) {
        let id = self.create().await;
        let read = self.host.get(&format!("/support/tickets/{id}"), &self.key);
        self.ask("read", read, StatusCode::OK).await;
        let list = self.host.get("/support/tickets?limit=10", &self.key);
        self.ask("list", list, StatusCode::OK).await;
        let event = json!({"type": "order.paid", "payload": {"n": 1}});
        let event = self.host.post("/webhooks/events", &self.key).json(&event);
        self.ask("event", event, StatusCode::ACCEPTED).await;
        let title = json!({"title": "t"});
        let notification = self.host.post("/notifications", &self.key).json(&title);
        self.ask("notification", notification, StatusCode::CREATED)
            .await;
        let count = self.host.get("/notifications/count", &self.key);
        self.ask("count", count, StatusCode::OK).await;
        let stream = self.host.get("/notifications/stream", &self.key);
        let stream = stream.send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK, "stream");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_that_does_its_worst_costs_its_neighbour_no_request() {
    allow_files();
    let (rounds, connections) = (runs(100, 1_000), runs(400, 10_000));
    // More connections than find a place, whatever this machine lets a process open.
    let places = connections * 3 / 4;
    let host = host(&format!("[server]\nconnections_max = {places}"));
    let (worst, key) = (host.key("acme", &[]), host.key("globex", &[]));
    let seed = rand::random();
    println!("seed {seed}");
    let attack = Attack::start(&host, &worst, connections, seed);
    until(async || attack.begun() == WAYS).await;
    let neighbour = Neighbour { host: &host, key };
    for _ in 0..rounds {
        neighbour.one_of_each().await;
    }
    let refused = host
        .metric("hearth_requests_total", &["status=\"429\""])
        .await;
    assert!(refused > 0.0, "the attack met no limit");
    let evicted = host
        .metric("hearth_connections_ended_total", &["evicted"])
        .await;
    assert!(evicted > 0.0, "all connections found a place");
    drop(attack);
}
