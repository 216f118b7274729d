//! Destinations that fail are left alone for a while, and one customer's failures
//! are no other's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};

use hearth::capability::outbound::{Config, GuestError};
use http::StatusCode;

use super::server::{Server, gone, text};
use super::{Bench, EVERYWHERE, get, loopback, within};
use crate::harness::postgres::until;

/// Four calls decide, and two probes.
fn quick(open_ms: u64) -> Config {
    let mut config = loopback();
    config.breaker.calls_min = 4;
    config.breaker.open_ms = open_ms;
    config.breaker.probes = 2;
    config
}

/// A server that answers with the status it is told to.
struct Moody {
    server: Server,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Moody {
    async fn start(status: u16) -> Moody {
        let (status, asked) = (
            Arc::new(AtomicU16::new(status)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (told, counted) = (status.clone(), asked.clone());
        let server = Server::http("127.0.0.1:0", move |_| {
            counted.fetch_add(1, SeqCst);
            let mut answer = text("");
            *answer.status_mut() = StatusCode::from_u16(told.load(SeqCst)).unwrap();
            std::future::ready(answer)
        });
        Moody {
            server: server.await,
            status,
            asked,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
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

#[tokio::test]
async fn destination_that_is_not_there_is_left_alone_for_the_customer_who_found_out() {
    let moody = Moody::start(503).await;
    let bench = Bench::new(quick(60_000));
    let url = moody.server.url();
    for _ in 0..4 {
        assert!(matches!(status(&bench, "acme", &url).await, Ok(503)));
    }
    let Err(GuestError::BreakerOpen(left)) = status(&bench, "acme", &url).await else {
        panic!("it is still asked");
    };
    assert!((1..=60_000).contains(&left), "{left}");
    assert_eq!(moody.asked(), 4, "what is not sent is no attempt");
    assert_eq!(bench.metric("hearth_outbound_breakers_open", ""), 1);
    assert_eq!(
        bench.metric("hearth_outbound_calls_total", "breaker_open"),
        1
    );
    // Another customer, another plugin and another port are another matter.
    assert!(matches!(status(&bench, "globex", &url).await, Ok(503)));
    let other = Moody::start(200).await;
    assert!(matches!(
        status(&bench, "acme", &other.server.url()).await,
        Ok(200)
    ));
}

#[tokio::test]
async fn probes_close_it_again_or_keep_it_open() {
    let moody = Moody::start(502).await;
    let bench = Bench::new(quick(30));
    let url = moody.server.url();
    for _ in 0..4 {
        status(&bench, "acme", &url).await.unwrap();
    }
    assert!(is_open(&bench, "acme", &url).await);
    // Two probes that fail open it anew.
    until(async || !is_open(&bench, "acme", &url).await).await;
    assert!(matches!(status(&bench, "acme", &url).await, Ok(502)));
    assert!(is_open(&bench, "acme", &url).await);
    assert_eq!(moody.asked(), 6);
    moody.status.store(204, SeqCst);
    until(async || !is_open(&bench, "acme", &url).await).await;
    for _ in 0..10 {
        assert!(matches!(status(&bench, "acme", &url).await, Ok(204)));
    }
    assert_eq!(bench.metric("hearth_outbound_breakers_open", ""), 0);
}

#[tokio::test]
async fn answers_of_an_application_are_no_failures_of_the_destination() {
    for answered in [200, 302, 404, 410, 429, 500, 501] {
        let moody = Moody::start(answered).await;
        let bench = Bench::new(quick(60_000));
        for _ in 0..10 {
            let status = status(&bench, "acme", &moody.server.url()).await;
            assert_eq!(status.unwrap(), answered);
        }
    }
}

#[tokio::test]
async fn customer_who_does_not_wait_shuts_nobody_elses_destination() {
    let silent = Server::raw("127.0.0.1:0", async |mut stream| gone(&mut stream).await).await;
    let bench = Bench::new(quick(60_000));
    let url = silent.url();
    let impatient = async |customer: &str| {
        let mut call = bench.call(customer, &EVERYWHERE);
        call.send_within(get(&url), within(20)).await
    };
    for _ in 0..8 {
        let _ = impatient("acme").await;
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
    let moody = Moody::start(200).await;
    let bench = Bench::new(quick(60_000));
    let port = moody.server.port;
    for _ in 0..20 {
        // No grant, no request, no such address: the destination knows of none.
        let mut call = bench.call("acme", &[]);
        call.send(get(&moody.server.url())).await.unwrap_err();
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
        status(&bench, "acme", &moody.server.url()).await,
        Ok(200)
    ));
}
