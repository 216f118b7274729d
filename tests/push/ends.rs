//! How streams end: with the key, the plugin, the host, or for want of a reader.

use std::io::Write;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use super::events::{Next, client, listen, publish};
use super::{host, streams, with};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;
use crate::harness::raw::{connect, rest};

pub fn key_ids(host: &Host, customer: &str) -> Vec<String> {
    let listed = host.cli(&["keys", "list", "--json", "--customer", customer]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let keys = listed.as_array().cloned();
    let keys = keys.unwrap_or_else(|| listed["keys"].as_array().unwrap().clone());
    keys.iter()
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn ended(host: &Host, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    host.metric("hearth_push_streams_ended_total", &[&label])
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_revoked_key_end_on_every_host_and_no_others() {
    let fleet = Fleet::start().await;
    let hosts = [
        fleet.host(|setup| with(setup, "")),
        fleet.host(|setup| with(setup, "")),
    ];
    let revoked = hosts[0].key("acme", &[]);
    let id = key_ids(&hosts[0], "acme").remove(0);
    let other = hosts[0].key("acme", &[]);
    let (mut over, mut kept) = (Vec::new(), Vec::new());
    for host in &hosts {
        over.push(listen(host, &revoked, "inbox", "").await);
        over.push(listen(host, &revoked, "inbox", "").await);
        kept.push(listen(host, &other, "inbox", "").await);
    }
    let began = Instant::now();
    assert!(hosts[0].cli(&["keys", "revoke", &id]).status.success());
    for stream in &mut over {
        assert_eq!(stream.next().await, Next::Ended);
    }
    println!("ended {:?} after the command began", began.elapsed());
    publish(&hosts[1], &other, "inbox", "for the other key").await;
    for stream in &mut kept {
        assert_eq!(stream.data().await, "for the other key");
    }
    for host in &hosts {
        assert_eq!(ended(host, "key_ended").await, 2.0);
        assert_eq!(streams(host).await, 1.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_ends_when_its_key_expires_also_while_postgres_is_away() {
    let mut fleet = Fleet::start().await;
    let host = fleet.host(|setup| with(setup, ""));
    let (one, two) = (host.key("acme", &[]), host.key("globex", &[]));
    let mut streams = [
        listen(&host, &one, "inbox", "").await,
        listen(&host, &two, "inbox", "").await,
    ];
    let postgres = fleet.cluster.connect(None).await;
    let expire = |customer: &'static str, seconds: i32| {
        let text = format!(
            "UPDATE hearth.keys SET expires_at = now() + interval '{seconds} seconds'
             WHERE customer_id = (SELECT id FROM hearth.customers WHERE name = '{customer}')"
        );
        let postgres = &postgres;
        async move { postgres.batch_execute(&text).await.unwrap() }
    };
    expire("acme", 0).await;
    assert_eq!(streams[0].next().await, Next::Ended);
    expire("globex", 6).await;
    // The host looks four times a second, where its machine lets it.
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    fleet.cluster.pause().await;
    assert_eq!(streams[1].next().await, Next::Ended);
    fleet.cluster.resume().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_politely_when_the_host_stops() {
    let mut host = host("");
    let key = host.key("acme", &[]);
    let mut one = listen(&host, &key, "inbox", "").await;
    let two = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let asked = super::asking(&two, &host, &key, "inbox", "");
    let mut two = super::Events::open(asked).await;
    let began = Instant::now();
    host.signal(libc::SIGTERM);
    for stream in [&mut one, &mut two] {
        assert_eq!(stream.next().await, Next::Ended);
        let retry = stream.retry_ms.unwrap();
        assert!((2_000..=6_000).contains(&retry), "{retry}");
    }
    assert!(host.stop().success());
    // Not at the end of the drain's time, which is 45 s.
    assert!(
        !host.log().contains("still busy"),
        "{:?}: {}",
        began.elapsed(),
        host.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_their_plugin() {
    let host = Setup::new()
        .guest("push", &["push"], "")
        .guest("echo", &[], "")
        .start();
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let undeployed = host.cli(&["undeploy", "push", "--admin", &host.admin]);
    assert!(undeployed.status.success(), "{undeployed:?}");
    assert_eq!(stream.next().await, Next::Ended);
    assert_eq!(ended(&host, "gone").await, 1.0);
    let answer = super::asking(&client(), &host, &key, "inbox", "")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_does_not_read_is_cut_and_others_live() {
    let host = Setup::new()
        .guest("push", &["push"], "")
        .config(
            "[server]\nwrite_idle_ms_max = 1_000\n[push]\nslow_ms_max = 500\nheartbeat_ms = 500",
        )
        .start();
    let key = host.key("acme", &[]);
    let mut quick = listen(&host, &key, "inbox", "").await;
    let mut slow = connect(&host);
    let request =
        format!("GET /push/stream?channels=inbox HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    slow.write_all(request.as_bytes()).unwrap();
    until(async || streams(&host).await == 2.0).await;
    let before = host.resident_bytes();
    let large = "a".repeat(60_000);
    let cut = ["reason=\"slow_reader\""];
    let mut sent = 0;
    while host.metric("hearth_connections_ended_total", &cut).await == 0.0 {
        for _ in 0..20 {
            publish(&host, &key, "inbox", &large).await;
            assert_eq!(quick.data().await.len(), large.len());
            sent += 1;
        }
        assert!(sent < 10_000, "the slow listener was never cut");
    }
    until(async || streams(&host).await == 1.0).await;
    let grown = host.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {sent} events");
    assert!(rest(&mut slow).len() < sent * large.len());
    publish(&host, &key, "inbox", "still").await;
    assert_eq!(quick.data().await, "still");
}
