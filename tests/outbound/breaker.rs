//! Destinations that fail are left alone for a while, and one customer's failures
//! are no other's.

use std::time::Duration;

use hearth::capability::outbound::{Config, GuestError};
use tokio::io::AsyncWriteExt;

use super::server::{Asked, Server, gone, read_head, text};
use super::{Bench, EVERYWHERE, get, ip, loopback, names, within};
use crate::harness::postgres::until;

/// Four calls decide, and two probes.
fn quick(open_ms: u64) -> Config {
    let mut config = loopback();
    config.breaker.calls_min = 4;
    config.breaker.open_ms = open_ms;
    config.breaker.probes = 2;
    config
}

async fn status(bench: &Bench, customer: &str, url: &str) -> Result<u16, GuestError> {
    let mut call = bench.call(customer, &EVERYWHERE);
    call.send(get(url)).await.map(|answer| answer.status)
}

async fn is_open(bench: &Bench, customer: &str, url: &str) -> bool {
    matches!(
        status(bench, customer, url).await,
        Err(GuestError::BreakerOpen(_))
    )
}

async fn refuses(bench: &Bench, url: &str) -> bool {
    matches!(
        status(bench, "acme", url).await,
        Err(GuestError::Connect(_))
    )
}

#[tokio::test]
async fn destination_that_takes_no_connection_is_left_alone_for_a_while() {
    let gone = Server::http("127.0.0.1:0", async |_| text("")).await;
    let url = gone.url();
    drop(gone);
    let bench = Bench::new(quick(60_000));
    for _ in 0..4 {
        assert!(refuses(&bench, &url).await);
    }
    let Err(GuestError::BreakerOpen(left)) = status(&bench, "acme", &url).await else {
        panic!("it is still asked");
    };
    assert!((1..=60_000).contains(&left), "{left}");
    // The caller's own, and the one that all share.
    assert_eq!(bench.metric("hearth_outbound_breakers_open", ""), 2);
    assert_eq!(
        bench.metric("hearth_outbound_calls_total", "breaker_open"),
        1
    );
    // Another port is another matter.
    let other = Server::http("127.0.0.1:0", async |_| text("")).await;
    assert!(matches!(
        status(&bench, "acme", &other.url()).await,
        Ok(200)
    ));
}

#[tokio::test]
async fn probes_close_it_again_or_keep_it_open() {
    let gone = Server::http("127.0.0.1:0", async |_| text("")).await;
    let (url, port) = (gone.url(), gone.port);
    drop(gone);
    let bench = Bench::new(quick(30));
    for _ in 0..4 {
        assert!(refuses(&bench, &url).await);
    }
    assert!(is_open(&bench, "acme", &url).await);
    // Two probes that fail open it anew.
    until(async || !is_open(&bench, "acme", &url).await).await;
    assert!(refuses(&bench, &url).await);
    assert!(is_open(&bench, "acme", &url).await);
    let back = Server::http(format!("127.0.0.1:{port}"), async |_| text("")).await;
    until(async || !is_open(&bench, "acme", &url).await).await;
    for _ in 0..10 {
        assert!(matches!(status(&bench, "acme", &url).await, Ok(200)));
    }
    assert_eq!(bench.metric("hearth_outbound_breakers_open", ""), 0);
    assert!(back.accepted() > 0);
}

#[tokio::test]
async fn whatever_is_answered_is_no_failure_of_the_destination() {
    let server = Server::http("127.0.0.1:0", async |asked: Asked| {
        let mut answer = text("");
        *answer.status_mut() = asked.head.uri.path()[1..].parse().unwrap();
        answer
    });
    let server = server.await;
    let bench = Bench::new(quick(60_000));
    for answered in [200, 302, 404, 410, 429, 500, 502, 503, 504] {
        for _ in 0..5 {
            let url = format!("{}{answered}", server.url());
            assert_eq!(status(&bench, "acme", &url).await.unwrap(), answered);
        }
    }
}

#[tokio::test]
async fn path_that_hangs_or_breaks_off_shuts_no_other_of_its_host() {
    let server = Server::raw("127.0.0.1:0", async |mut stream| {
        let head = read_head(&mut stream).await;
        if head.contains("/hangs") {
            gone(&mut stream).await;
        } else if head.contains("/good") {
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let server = server.await;
    let bench = Bench::new(quick(60_000));
    for _ in 0..8 {
        let mut call = bench.call("acme", &EVERYWHERE);
        let hangs = get(&format!("{}hangs", server.url()));
        let sent = call.send_within(hangs, within(20)).await;
        assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
        let broken = status(&bench, "acme", &format!("{}broken", server.url())).await;
        assert!(matches!(broken, Err(GuestError::Protocol(_))), "{broken:?}");
    }
    let good = status(&bench, "acme", &format!("{}good", server.url())).await;
    assert!(matches!(good, Ok(204)), "{good:?}");
}

#[tokio::test]
async fn customer_who_does_not_wait_shuts_nobody_elses_destination() {
    let slow = names(|_| {
        std::thread::sleep(Duration::from_millis(300));
        vec![ip("127.0.0.1")]
    });
    let bench = Bench::with(quick(60_000), slow);
    let impatient = async |customer: &str| {
        let mut call = bench.call(customer, &EVERYWHERE);
        call.send_within(get("http://slow.example/"), within(20))
            .await
    };
    for _ in 0..4 {
        let sent = impatient("acme").await;
        assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    }
    let shut = impatient("acme").await;
    assert!(matches!(shut, Err(GuestError::BreakerOpen(_))), "{shut:?}");
    for _ in 0..3 {
        let sent = impatient("globex").await;
        assert!(matches!(sent, Err(GuestError::Timeout)), "{sent:?}");
    }
}

#[tokio::test]
async fn destination_that_takes_no_connection_is_found_out_once_for_all() {
    let gone = Server::http("127.0.0.1:0", async |_| text("")).await;
    let url = gone.url();
    drop(gone);
    let bench = Bench::new(quick(60_000));
    for customer in ["acme", "globex", "initech", "hooli", "umbrella", "soylent"] {
        let _ = status(&bench, customer, &url).await;
    }
    let late = status(&bench, "tyrell", &url).await;
    assert!(matches!(late, Err(GuestError::BreakerOpen(_))), "{late:?}");
}

#[tokio::test]
async fn what_was_not_sent_says_nothing() {
    let server = Server::http("127.0.0.1:0", async |_| text("")).await;
    let bench = Bench::new(quick(60_000));
    let port = server.port;
    for _ in 0..20 {
        // No grant, no request, no such address: the destination knows of none.
        let mut call = bench.call("acme", &[]);
        call.send(get(&server.url())).await.unwrap_err();
        bench
            .get(&format!("http://10.0.0.1:{port}/"))
            .await
            .unwrap_err();
        bench.get("nonsense").await.unwrap_err();
    }
    let blocked = bench.get(&format!("http://10.0.0.1:{port}/")).await;
    assert!(
        matches!(blocked, Err(GuestError::BlockedAddress)),
        "{blocked:?}"
    );
    assert!(matches!(
        status(&bench, "acme", &server.url()).await,
        Ok(200)
    ));
}
