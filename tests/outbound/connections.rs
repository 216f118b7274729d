//! Which connections are opened, used again, shared, waited for and closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hearth::capability::outbound::{Config, GuestError, Resolver};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::server::{Server, gone, read_head, text};
use super::{Bench, EVERYWHERE, get, ip, loopback, names, post, within};
use crate::harness::postgres::until;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn requests_after_each_other_share_a_connection() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let bench = Bench::new(loopback());
    for _ in 0..10 {
        assert_eq!(bench.get(&server.url()).await.unwrap().body, b"ok");
    }
    assert_eq!(
        (server.accepted(), bench.opened(), bench.reused()),
        (1, 1, 9)
    );
}

#[tokio::test]
async fn connection_serves_one_destination_alone() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let bench = Bench::with(loopback(), names(|_| vec![ip("127.0.0.1")]));
    for host in [
        "a.example",
        "b.example",
        "127.0.0.1",
        "A.example.",
        "b.example",
    ] {
        let url = format!("http://{host}:{}/", server.port);
        bench.get(&url).await.unwrap();
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn connection_that_the_server_closed_costs_no_request() {
    let bodies = Arc::new(AtomicUsize::new(0));
    let counted = bodies.clone();
    // It closes after each answer, without a word.
    let server = Server::raw("127.0.0.1:0", move |mut stream| {
        let counted = counted.clone();
        async move {
            let head = read_head(&mut stream).await;
            counted.fetch_add(usize::from(head.starts_with("POST")), SeqCst);
            let _ = stream.write_all(OK).await;
        }
    });
    let server = server.await;
    let bench = Bench::new(loopback());
    for round in 1..=20 {
        let mut call = bench.call("acme", &EVERYWHERE);
        let sent = call.send(post(&server.url(), ""));
        assert_eq!(sent.await.unwrap().body, b"ok");
        assert_eq!(bodies.load(SeqCst), round);
        until(async || server.closed() == round).await;
        // As long as an idle connection takes to notice.
        let open = async || bench.metric("hearth_outbound_connections", "") <= 1;
        until(open).await;
    }
}

#[tokio::test]
async fn connection_with_more_on_it_than_the_answer_is_not_used_again() {
    let stray = [OK, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray"].concat();
    let server = Server::says(stray).await;
    let bench = Bench::new(loopback());
    for _ in 0..5 {
        assert_eq!(bench.get(&server.url()).await.unwrap().body, b"ok");
    }
    assert_eq!(server.accepted(), 5);
}

#[tokio::test]
async fn connection_grows_neither_too_old_nor_too_idle() {
    for config in [
        Config {
            connection_ms_max: 1,
            ..loopback()
        },
        Config {
            idle_ms_max: 1,
            ..loopback()
        },
        Config {
            idle_connections_max: 0,
            ..loopback()
        },
    ] {
        let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
        let bench = Bench::new(config);
        for _ in 0..3 {
            bench.get(&server.url()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(server.accepted(), 3);
    }
}

#[tokio::test]
async fn sweep_closes_what_nobody_used() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let bench = Bench::new(Config {
        idle_ms_max: 1,
        ..loopback()
    });
    bench.get(&server.url()).await.unwrap();
    let sweeping = tokio::spawn(bench.client.clone().sweep());
    until(async || server.closed() == 1).await;
    sweeping.abort();
}

#[tokio::test]
async fn longest_idle_connection_makes_room_for_another() {
    let servers = [
        Server::http("127.0.0.1:0", async |_| text("ok")).await,
        Server::http("127.0.0.1:0", async |_| text("ok")).await,
        Server::http("127.0.0.1:0", async |_| text("ok")).await,
    ];
    let bench = Bench::new(Config {
        idle_connections_max: 2,
        ..loopback()
    });
    for server in &servers {
        bench.get(&server.url()).await.unwrap();
    }
    until(async || servers[0].closed() == 1).await;
    for server in &servers[1..] {
        bench.get(&server.url()).await.unwrap();
        assert_eq!((server.accepted(), server.closed()), (1, 0));
    }
}

/// A server that holds every request until it is told to answer, and counts how
/// many it holds at once.
struct Slow {
    server: Server,
    held: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Slow {
    async fn start() -> Slow {
        let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let go = Arc::new(Semaphore::new(0));
        let all = (held.clone(), most.clone(), go.clone());
        let server = Server::http("127.0.0.1:0", move |_| {
            let (held, most, go) = all.clone();
            async move {
                let now = held.fetch_add(1, SeqCst) + 1;
                most.fetch_max(now, SeqCst);
                go.acquire().await.unwrap().forget();
                held.fetch_sub(1, SeqCst);
                text("ok")
            }
        });
        Slow {
            server: server.await,
            held,
            most,
            go,
        }
    }
}

fn spawn(bench: &Bench, customer: &'static str, url: &str) -> tokio::task::JoinHandle<bool> {
    let (bench, url) = (bench.clone(), url.to_owned());
    tokio::spawn(async move {
        let mut call = bench.call(customer, &EVERYWHERE);
        call.send(get(&url)).await.is_ok()
    })
}

#[tokio::test]
async fn customer_waits_for_its_own_requests_to_a_destination_and_no_other_does() {
    let slow = Slow::start().await;
    let bench = Bench::new(Config {
        destination_connections_max: 2,
        ..loopback()
    });
    let url = slow.server.url();
    let acme: Vec<_> = (0..6).map(|_| spawn(&bench, "acme", &url)).collect();
    until(async || slow.held.load(SeqCst) == 2).await;
    let globex = spawn(&bench, "globex", &url);
    until(async || slow.held.load(SeqCst) == 3).await;
    slow.go.add_permits(7);
    for call in acme.into_iter().chain([globex]) {
        assert!(call.await.unwrap());
    }
    assert_eq!(slow.most.load(SeqCst), 3);
}

#[tokio::test]
async fn connections_in_all_and_of_a_customer_are_bounded() {
    let servers = [
        Slow::start().await,
        Slow::start().await,
        Slow::start().await,
    ];
    let held = || -> usize { servers.iter().map(|slow| slow.held.load(SeqCst)).sum() };
    let bench = Bench::new(Config {
        connections_max: 3,
        customer_connections_max: 2,
        ..loopback()
    });
    let all = |customer| {
        let urls = servers.iter().map(|slow| slow.server.url());
        urls.map(|url| spawn(&bench, customer, &url))
            .collect::<Vec<_>>()
    };
    let acme = all("acme");
    until(async || held() == 2).await;
    let globex = all("globex");
    until(async || held() == 3).await;
    for slow in &servers {
        slow.go.add_permits(2);
    }
    for call in acme.into_iter().chain(globex) {
        assert!(call.await.unwrap());
    }
    let most: usize = servers
        .iter()
        .map(|slow| slow.most.load(SeqCst))
        .max()
        .unwrap();
    assert!(most <= 3);
}

#[tokio::test]
async fn call_that_waits_for_a_connection_gives_up_in_time_and_blames_nobody() {
    let slow = Slow::start().await;
    let mut config = loopback();
    config.destination_connections_max = 1;
    config.breaker.calls_min = 1;
    let bench = Bench::new(config);
    let url = slow.server.url();
    let holding = spawn(&bench, "acme", &url);
    until(async || slow.held.load(SeqCst) == 1).await;
    for _ in 0..5 {
        let mut call = bench.call("acme", &EVERYWHERE);
        let sent = call.send_within(get(&url), within(30)).await;
        assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    }
    slow.go.add_permits(2);
    assert!(holding.await.unwrap());
    assert!(bench.get(&url).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_names_of_one_customer_leave_look_ups_to_others() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let looking = Arc::new(AtomicUsize::new(0));
    let counted = looking.clone();
    let resolver = Resolver::Given(Arc::new(move |name: &str| {
        if name.starts_with("slow") {
            counted.fetch_add(1, SeqCst);
            // Until the test ends.
            let _ = held.lock().unwrap().recv();
        }
        Ok(vec![ip("127.0.0.1")])
    }));
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let config = Config {
        lookups_max: 4,
        customer_lookups_max: 2,
        ..loopback()
    };
    let bench = Bench::with(config, resolver);
    let slow: Vec<_> = (0..8)
        .map(|n| spawn(&bench, "acme", &format!("http://slow{n}.example/")))
        .collect();
    until(async || looking.load(SeqCst) == 2).await;
    let quick = |name: &str| format!("http://{name}.example:{}/", server.port);
    assert!(
        bench
            .call("globex", &EVERYWHERE)
            .send(get(&quick("one")))
            .await
            .is_ok()
    );
    // Those who gave up have not freed the threads that still look.
    for call in slow {
        call.abort();
    }
    let mut call = bench.call("acme", &EVERYWHERE);
    let sent = call.send_within(get(&quick("two")), within(100)).await;
    assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    assert_eq!(looking.load(SeqCst), 2);
    drop(release);
    until(async || bench.get(&quick("two")).await.is_ok()).await;
}

#[tokio::test]
async fn look_up_that_takes_too_long_is_told_as_one() {
    let resolver = Resolver::Given(Arc::new(|_: &str| {
        std::thread::sleep(Duration::from_millis(500));
        Ok(vec![ip("127.0.0.1")])
    }));
    let bench = Bench::with(
        Config {
            lookup_ms_max: 20,
            ..loopback()
        },
        resolver,
    );
    let sent = bench.get("http://slow.example/").await;
    assert!(matches!(sent, Err(GuestError::Dns(_))), "{sent:?}");
}

#[tokio::test]
async fn next_address_is_tried_where_one_refuses() {
    let server = Server::http("127.0.0.3:0", async |_| text("third")).await;
    let several = |_: &str| vec![ip("::1"), ip("127.0.0.1"), ip("127.0.0.2"), ip("127.0.0.3")];
    let bench = Bench::with(loopback(), names(several));
    let url = format!("http://several.example:{}/", server.port);
    assert_eq!(bench.get(&url).await.unwrap().body, b"third");
    let fewer = Config {
        addresses_max: 3,
        ..loopback()
    };
    let bench = Bench::with(fewer, names(several));
    let sent = bench.get(&url).await;
    assert!(matches!(sent, Err(GuestError::Connect(_))), "{sent:?}");
}

#[tokio::test]
async fn answer_that_comes_before_the_request_is_taken_closes_the_connection() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        let _ = stream.write_all(OK).await;
        gone(&mut stream).await;
    });
    let server = server.await;
    let bench = Bench::new(loopback());
    let body = "a".repeat(4 << 20);
    for _ in 0..2 {
        let sent = bench
            .call("acme", &EVERYWHERE)
            .send(post(&server.url(), &body))
            .await;
        // Either is right: it is an answer, though to nothing that was read.
        if let Ok(answer) = sent {
            assert_eq!(answer.body, b"ok");
        }
    }
    until(async || server.closed() == server.accepted()).await;
}
