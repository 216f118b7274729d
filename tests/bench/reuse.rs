//! What it costs that instances belong to customers: against the same plugin whose
//! instances are shared, as all were once, and against a fresh instance for each call.
//! The three take turns in one run, so that a busy machine is busy for all of them; and
//! what the host computes for a request is told beside the rate, for others that want
//! the machine too change that less.

use std::time::Instant;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::fleet::Fleet;
use crate::harness::host::Host;
use crate::harness::raw::address;
use crate::reuse::fixture::{self, Customer};

const KINDS: [&str; 3] = ["shared", "serial", "fresh"];
const CUSTOMERS: usize = 100;
const ROUNDS: usize = 9;
const CONNECTIONS: usize = 16;
/// Of each connection in each round.
const REQUESTS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn instances_of_customers_against_shared_ones() {
    let fleet = Fleet::start().await;
    let folder = tempfile::tempdir().unwrap();
    let host = fleet.host(|setup| {
        KINDS.iter().fold(setup, |setup, kind| {
            let file = folder.path().join(format!("{kind}.wasm"));
            std::fs::write(&file, packed(kind)).unwrap();
            let queue = format!("consume:{kind}-secrets");
            let grants = ["queue:secrets", &queue, "reuse:shared"];
            setup.plugin(kind, &file, &grants, "")
        })
    });
    let customers = fixture::made(&fleet, &host, CUSTOMERS).await;
    for hot in [1, CUSTOMERS] {
        compare(&host, &customers[..hot]).await;
    }
}

/// The guest under a name, a mount and a queue of its own.
fn packed(kind: &str) -> Vec<u8> {
    fixture::repacked(|manifest| {
        manifest
            .replace("\"serial\"", &format!("{kind:?}"))
            .replace("\"keeper\"", &format!("{kind:?}"))
            .replace("\"/keeper\"", &format!("\"/{kind}\""))
            .replace("name = \"secrets\"", &format!("name = \"{kind}-secrets\""))
    })
}

async fn compare(host: &Host, customers: &[Customer]) {
    for kind in KINDS {
        drive(host, kind, customers).await;
    }
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut of_round = [Driven::default(); KINDS.len()];
        for turn in 0..KINDS.len() {
            let place = (round + turn) % KINDS.len();
            of_round[place] = drive(host, KINDS[place], customers).await;
        }
        rounds.push(of_round);
    }
    let hot = customers.len();
    for (place, kind) in KINDS.iter().enumerate() {
        let of = |measure: fn(&Driven) -> f64| {
            let one = median(rounds.iter().map(|round| measure(&round[place])));
            let of_shared = |round: &[Driven; 3]| measure(&round[place]) / measure(&round[0]);
            (one, median(rounds.iter().map(of_shared)))
        };
        let (rate, ratio) = of(|driven| driven.rate);
        let (cpu, cpu_ratio) = of(|driven| driven.cpu_us);
        println!(
            "{hot} customers, {kind}: {rate:.0} req/s, {ratio:.2} of shared; \
             {cpu:.0} us of the host's CPU each, {cpu_ratio:.2} of shared"
        );
    }
}

/// What came of one turn.
#[derive(Clone, Copy, Default)]
struct Driven {
    rate: f64,
    /// Of the host, for one request.
    cpu_us: f64,
}

/// CPU time of a process until now. Linux counts it in hundredths of a second.
fn cpu_us(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks * 10_000.0
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Requests over connections that stay open.
async fn drive(host: &Host, plugin: &str, customers: &[Customer]) -> Driven {
    let requests: Vec<Vec<u8>> = customers.iter().map(|of| request(plugin, of)).collect();
    let (began, cpu) = (Instant::now(), cpu_us(host.pid()));
    join_all((0..CONNECTIONS).map(|first| connection(host, &requests, first))).await;
    let count = (CONNECTIONS * REQUESTS) as f64;
    Driven {
        rate: count / began.elapsed().as_secs_f64(),
        cpu_us: (cpu_us(host.pid()) - cpu) / count,
    }
}

fn request(plugin: &str, customer: &Customer) -> Vec<u8> {
    let key = customer.key.as_deref().unwrap_or_default();
    format!(
        "POST /{plugin} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 4\r\n\r\nkept"
    )
    .into_bytes()
}

/// Each customer in turn, each connection beginning with another one.
async fn connection(host: &Host, requests: &[Vec<u8>], first: usize) {
    let mut stream = TcpStream::connect(address(host)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let begin = first * requests.len() / CONNECTIONS;
    for number in begin..begin + REQUESTS {
        let request = &requests[number % requests.len()];
        stream.write_all(request).await.unwrap();
        answer(&mut stream).await;
    }
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream) {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "no reset");
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{text}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return;
        }
    }
}
