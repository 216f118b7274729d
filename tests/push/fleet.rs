//! Several hosts, many listeners, and a Postgres that becomes unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ends::key_ids;
use super::events::{Events, Next, asking, client, listen, publish, try_publish};
use super::{streams, with};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;
use crate::harness::raw::address;

/// What an idle stream may take of a host's memory, the number.
const STREAM_BYTES_MAX: u64 = 40 << 10;

/// A listener that costs the test little: a socket, and what it read.
struct Thin {
    socket: TcpStream,
    text: String,
}

impl Thin {
    async fn open(host: &Host, key: &str) -> Thin {
        let mut socket = TcpStream::connect(address(host)).await.unwrap();
        let request = format!(
            "GET /push/stream?channels=inbox HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut thin = Thin {
            socket,
            text: String::new(),
        };
        thin.until("id: psh_").await;
        thin
    }

    /// Until the last chunk, which is empty.
    async fn ended(&mut self) {
        self.until("\r\n0\r\n\r\n").await;
    }

    async fn until(&mut self, wanted: &str) {
        let mut part = [0; 4096];
        while !self.text.contains(wanted) {
            let read = tokio::time::timeout(Duration::from_secs(60), self.socket.read(&mut part));
            let bytes = read.await.expect("nothing came").unwrap();
            assert_ne!(bytes, 0, "it ended: {}", self.text);
            self.text.push_str(str::from_utf8(&part[..bytes]).unwrap());
        }
    }
}

/// A socket is an open file: this process, and what it starts, may have so many.
fn allow_files(files: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = files.or(maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

#[tokio::test]
async fn host_lets_itself_open_as_many_files_as_the_system_does() {
    allow_files(Some(512));
    let host = Setup::new().start();
    allow_files(None);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{limits}");
    assert_ne!(numbers[0], "512");
}

async fn open(host: &Host, key: &str, count: usize) -> Vec<Thin> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = (0..50.min(count - all.len())).map(|_| Thin::open(host, key));
        all.extend(join_all(some).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_publish_reaches_all_its_listeners_on_both_hosts_and_each_costs_little_memory() {
    allow_files(None);
    let each = runs(1_000, 10_000) / 2;
    let limits = format!("customer_streams_max = {}", each + 1);
    let fleet = Fleet::start().await;
    let hosts = [
        fleet.host(|setup| with(setup, &limits)),
        fleet.host(|setup| with(setup, &limits)),
    ];
    let (acme, globex) = (hosts[0].key("acme", &[]), hosts[0].key("globex", &[]));
    let mut all = Vec::new();
    let mut strangers = Vec::new();
    for host in &hosts {
        // What the first streams bring with them is not the streams'.
        drop(open(host, &acme, 100).await);
        until(async || streams(host).await == 0.0).await;
        strangers.extend(open(host, &globex, 5).await);
        let before = host.resident_bytes();
        all.extend(open(host, &acme, each).await);
        assert_eq!(streams(host).await, each as f64 + 5.0);
        let stream_bytes = host.resident_bytes().saturating_sub(before) / each as u64;
        println!("{stream_bytes} bytes of memory for each of {each} streams");
        assert!(stream_bytes < STREAM_BYTES_MAX, "{stream_bytes}");
    }
    publish(&hosts[0], &acme, "inbox", "to everyone").await;
    for thin in &mut all {
        thin.until("data: to everyone\n\n").await;
    }
    for host in &hosts {
        publish(host, &globex, "inbox", "to strangers").await;
    }
    for thin in &mut strangers {
        thin.until("data: to strangers\n\n").await;
        assert!(!thin.text.contains("to everyone"));
    }
    for thin in &all {
        assert_eq!(thin.text.matches("data: ").count(), 1);
    }
    let id = key_ids(&hosts[0], "acme").remove(0);
    assert!(hosts[0].cli(&["keys", "revoke", &id]).status.success());
    let revoked = Instant::now();
    for thin in &mut all {
        thin.ended().await;
    }
    println!("all had ended {:?} after the revocation", revoked.elapsed());
    for host in &hosts {
        assert_eq!(streams(host).await, 5.0);
    }
}

/// Publishes from both hosts until it is told to stop; answers id and data of each.
async fn publish_on(
    hosts: &[Host; 2],
    key: &str,
    number: usize,
    stop: &AtomicBool,
) -> Vec<(String, String)> {
    let mut published = Vec::new();
    while !stop.load(Relaxed) {
        let data = format!("{number}/{}", published.len());
        let host = &hosts[(number + published.len()) % 2];
        published.push((publish(host, key, "inbox", &data).await, data));
    }
    published
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_is_cut_off_again_and_again_misses_nothing_and_gets_nothing_twice() {
    let fleet = Fleet::start().await;
    let small = "listener_events_max = 4\npage_events_max = 5\npoll_ms = 10_000";
    let hosts = Arc::new([
        fleet.host(|setup| with(setup, small)),
        fleet.host(|setup| with(setup, small)),
    ]);
    let key: Arc<str> = hosts[0].key("acme", &[]).into();
    let stop = Arc::new(AtomicBool::new(false));
    let mut first = Vec::new();
    for number in 0..6 {
        let mut stream = listen(&hosts[number % 2], &key, "inbox", "").await;
        first.push((number, stream.first_id().await));
    }
    let publishing: Vec<_> = (0..4)
        .map(|number| {
            let (hosts, key, stop) = (hosts.clone(), key.clone(), stop.clone());
            tokio::spawn(async move { publish_on(&hosts, &key, number, &stop).await })
        })
        .collect();
    let listening: Vec<_> = first
        .into_iter()
        .map(|(number, id)| {
            let (hosts, key) = (hosts.clone(), key.clone());
            tokio::spawn(async move { come_and_go(&hosts, &key, number, id).await })
        })
        .collect();
    let mut heard: Vec<Vec<(String, String)>> = Vec::new();
    for listening in listening {
        heard.push(listening.await.unwrap());
    }
    stop.store(true, Relaxed);
    let mut published = Vec::new();
    for publishing in publishing {
        published.extend(publishing.await.unwrap());
    }
    published.sort();
    for heard in heard {
        assert!(!heard.is_empty());
        assert_eq!(heard, published[..heard.len()]);
    }
}

/// Reads a few events at a time, from either host, each time from where it was.
async fn come_and_go(
    hosts: &[Host; 2],
    key: &str,
    number: usize,
    mut id: String,
) -> Vec<(String, String)> {
    let (client, mut heard) = (client(), Vec::new());
    for round in 0..runs(40, 2_000) {
        let host = &hosts[(number + round / 3) % 2];
        let asked = asking(&client, host, key, "inbox", "").header("last-event-id", &id);
        let mut stream = Events::open(asked).await;
        let events = rand::rng().random_range(0..8);
        for _ in 0..events {
            let event = stream.event().await;
            assert_eq!(event.kind, "", "{event:?}");
            heard.push((event.id, event.data));
        }
        if !stream.last_id.is_empty() {
            id = stream.last_id.clone();
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_live_through_a_restart_of_postgres_and_miss_nothing() {
    let mut fleet = Fleet::start().await;
    let push = "heartbeat_ms = 200";
    let hosts = [
        fleet.host(|setup| with(setup, push)),
        fleet.host(|setup| with(setup, push)),
    ];
    let key = hosts[0].key("acme", &[]);
    let mut open = [
        listen(&hosts[0], &key, "inbox", "").await,
        listen(&hosts[1], &key, "inbox", "").await,
    ];
    publish(&hosts[0], &key, "inbox", "before").await;
    for stream in &mut open {
        assert_eq!(stream.data().await, "before");
    }
    let mut published = Vec::new();
    for round in 0..runs(2, 20) {
        fleet.cluster.pause().await;
        // A stream of this moment is behind, and catches up later.
        let late = asking(&client(), &hosts[1], &key, "inbox", "");
        let mut late = Events::open(late.header("last-event-id", &open[0].last_id)).await;
        let answer = try_publish(&hosts[0], &key, "inbox", "lost").await;
        assert!(answer.status().is_server_error());
        fleet.cluster.resume().await;
        let data = format!("round {round}");
        until(async || {
            let answer = try_publish(&hosts[1], &key, "inbox", &data).await;
            answer.status().is_success()
        })
        .await;
        published.push(data.clone());
        for stream in open.iter_mut().chain([&mut late]) {
            assert_eq!(stream.data().await, data);
        }
    }
    let mut again = Events::open(
        asking(&client(), &hosts[0], &key, "inbox", "")
            .header("last-event-id", "psh_0000000000000000"),
    )
    .await;
    assert_eq!(again.data().await, "before");
    for data in published {
        assert_eq!(again.data().await, data);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_stood_still_tells_its_listeners_where_the_log_no_longer_reaches() {
    let fleet = Fleet::start().await;
    let push = "log_events_max = 10\nsweep_ms = 50";
    let hosts = [
        fleet.host(|setup| with(setup, push)),
        fleet.host(|setup| with(setup, push)),
    ];
    let key = hosts[0].key("acme", &[]);
    let mut stream = listen(&hosts[0], &key, "inbox", "").await;
    publish(&hosts[1], &key, "inbox", "first").await;
    assert_eq!(stream.data().await, "first");
    hosts[0].signal(libc::SIGSTOP);
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(publish(&hosts[1], &key, "inbox", &number.to_string()).await);
    }
    until(async || {
        let asked = asking(&client(), &hosts[1], &key, "inbox", "");
        let mut other = Events::open(asked.header("last-event-id", &ids[30])).await;
        other.event().await.kind == "reset"
    })
    .await;
    hosts[0].signal(libc::SIGCONT);
    let Next::Event(event) = stream.next().await else {
        panic!("it ended");
    };
    assert_eq!(event.kind, "reset");
    publish(&hosts[1], &key, "inbox", "next").await;
    assert_eq!(stream.data().await, "next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_live_through_a_postgres_that_stands_still() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| with(setup, "read_ms_max = 300\npublish_ms_max = 300"));
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    publish(&host, &key, "inbox", "before").await;
    assert_eq!(stream.data().await, "before");
    let frozen = fleet.cluster.freeze();
    until(async || host.log().contains("the log of push events cannot be read")).await;
    // It may yet be appended, once Postgres goes on.
    let answer = try_publish(&host, &key, "inbox", "meanwhile").await;
    assert_eq!(answer.status().as_u16(), 503);
    drop(frozen);
    until(async || {
        let answer = try_publish(&host, &key, "inbox", "after").await;
        answer.status().is_success()
    })
    .await;
    while stream.data().await != "after" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_acknowledged_is_heard_although_it_was_killed_then() {
    let fleet = Fleet::start().await;
    let listening = fleet.host(|setup| with(setup, ""));
    let mut killed = fleet.host(|setup| with(setup, ""));
    let key = listening.key("acme", &[]);
    let mut stream = listen(&listening, &key, "inbox", "").await;
    for round in 0..runs(3, 50) {
        let count = Arc::new(AtomicUsize::new(0));
        let publishing: Vec<_> = (0..8)
            .map(|number| {
                let (url, key, count) = (killed.url.clone(), key.clone(), count.clone());
                tokio::spawn(until_it_dies(url, key, number, count))
            })
            .collect();
        until(async || count.load(Relaxed) > 8 * (1 + round % 10)).await;
        killed.kill();
        let mut acknowledged = Vec::new();
        for publishing in publishing {
            acknowledged.extend(publishing.await.unwrap());
        }
        acknowledged.sort();
        let last = acknowledged.last().unwrap().clone();
        let mut heard = vec![stream.event().await.id];
        while *heard.last().unwrap() < last {
            heard.push(stream.event().await.id);
        }
        acknowledged.retain(|id| heard.binary_search(id).is_err());
        assert!(acknowledged.is_empty(), "{acknowledged:?}");
        killed.restart();
        let end = publish(&killed, &key, "inbox", "end of the round").await;
        while stream.event().await.id != end {}
    }
}

async fn until_it_dies(
    url: String,
    key: String,
    number: usize,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let (client, mut acknowledged) = (client(), Vec::new());
    loop {
        let request = client.post(format!("{url}/push/publish/inbox"));
        let request = request.header("x-api-key", &key).body(number.to_string());
        let Ok(answer) = request.send().await else {
            return acknowledged;
        };
        let Ok(id) = answer.error_for_status().unwrap().text().await else {
            return acknowledged;
        };
        acknowledged.push(id);
        count.fetch_add(1, Relaxed);
    }
}
