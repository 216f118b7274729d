//! The capability `push`: who hears what, in which order, and how a stream ends.

pub mod ends;
pub mod events;
mod fleet;
mod log;
mod publish;
mod refusals;
mod spaces;

use std::io::{Read, Write};
use std::time::Duration;

use reqwest::{Client, StatusCode, Version};

use self::events::{Event, Events, Next, asking, client, listen, publish};
use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;
use crate::harness::raw::connect;

/// A host with the guest `push`, and what section `[push]` shall say.
fn host(push: &str) -> Host {
    with(Setup::new(), push).start()
}

fn with(setup: Setup, push: &str) -> Setup {
    let setup = setup.guest("push", &["push"], "");
    setup.config(&format!("[push]\n{push}"))
}

async fn streams(host: &Host) -> f64 {
    host.metric("hearth_push_streams", &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_reaches_the_listeners_of_its_channel_over_each_version_of_http() {
    let host = host("");
    let key = host.key("acme", &[]);
    let mut one = listen(&host, &key, "inbox", "").await;
    let two = Client::builder().http2_prior_knowledge().build().unwrap();
    let mut two = Events::open(asking(&two, &host, &key, "other,inbox", "")).await;
    let mut old = connect(&host);
    let request = format!("GET /push/stream?channels=inbox HTTP/1.0\r\nX-API-Key: {key}\r\n\r\n");
    old.write_all(request.as_bytes()).unwrap();
    until(async || streams(&host).await == 3.0).await;

    let path = "/push/publish/inbox?kind=greeting";
    let request = host.post(path, &key).body("hello\nworld");
    let id = request.send().await.unwrap().text().await.unwrap();
    let expected = Event {
        id,
        kind: "greeting".to_owned(),
        data: "hello\nworld".to_owned(),
    };
    assert_eq!(one.event().await, expected);
    assert_eq!(two.event().await, expected);
    let mut text = String::new();
    let mut part = [0; 1024];
    while !text.contains("world") {
        let bytes = old.read(&mut part).unwrap();
        text.push_str(str::from_utf8(&part[..bytes]).unwrap());
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert!(body.contains("event: greeting\ndata: hello\ndata: world\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_came_back_opens_streams_from_its_first_request_on() {
    let mut host = host("");
    let key = host.key("acme", &[]);
    for _ in 0..runs(5, 50) {
        host.kill();
        host.restart();
        let mut stream = listen(&host, &key, "inbox", "").await;
        publish(&host, &key, "inbox", "hello").await;
        assert_eq!(stream.event().await.data, "hello");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_of_a_stream_is_nobodys_to_keep_and_shows_nothing_of_grip() {
    let host = host("");
    let key = host.key("acme", &[]);
    let asked = asking(&client(), &host, &key, "inbox", "").header("if-none-match", "\"1\"");
    let stream = Events::open(asked.header("accept-encoding", "gzip, br")).await;
    assert_eq!(stream.head["cache-control"], "no-store");
    assert!(
        stream.head["hearth-plugin"]
            .to_str()
            .unwrap()
            .starts_with("push@")
    );
    for gone in [
        "etag",
        "grip-hold",
        "grip-channel",
        "content-length",
        "content-encoding",
    ] {
        assert!(!stream.head.contains_key(gone), "{gone}");
    }
    let head = host.request(reqwest::Method::HEAD, "/push/stream?channels=inbox", &key);
    let head = head.send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    assert_eq!(streams(&host).await, 1.0);
    drop(stream);
    until(async || streams(&host).await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_of_other_channels_and_other_customers() {
    let host = host("");
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let mut inbox = listen(&host, &acme, "inbox", "").await;
    let mut other = listen(&host, &acme, "other", "").await;
    let mut stranger = listen(&host, &globex, "inbox", "").await;
    for number in 0..10 {
        publish(&host, &acme, "inbox", &number.to_string()).await;
    }
    publish(&host, &acme, "other", "for other").await;
    publish(&host, &globex, "inbox", "for globex").await;
    assert_eq!(other.data().await, "for other");
    assert_eq!(stranger.data().await, "for globex");
    for number in 0..10 {
        assert_eq!(inbox.data().await, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_text_comes_first_and_nothing_falls_between_handler_and_stream() {
    let host = host("");
    let key = host.key("acme", &[]);
    publish(&host, &key, "inbox", "before").await;
    let running = ["plugin=\"push\""];
    let asked = asking(
        &client(),
        &host,
        &key,
        "inbox",
        "&pause_ms=2000&first=data:%20hello",
    );
    let stream = tokio::spawn(Events::open(asked));
    until(async || host.metric("hearth_instances_in_flight", &running).await == 1.0).await;
    publish(&host, &key, "inbox", "meanwhile").await;
    let mut stream = stream.await.unwrap();
    publish(&host, &key, "inbox", "after").await;
    // This host may not have read `before` when the handler was called.
    let mut heard = vec![stream.data().await];
    while heard.last().unwrap() != "after" {
        heard.push(stream.data().await);
    }
    heard.retain(|data| data != "before");
    assert_eq!(heard, ["hello", "meanwhile", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_becomes_a_stream_is_never_kept() {
    let host = host("");
    let key = host.key("acme", &[]);
    let kept = || {
        client()
            .get(format!("{}/push/kept/inbox", host.url))
            .header("x-api-key", &key)
    };
    let head = host.request(reqwest::Method::HEAD, "/push/kept/inbox", &key);
    assert_eq!(head.send().await.unwrap().status(), StatusCode::OK);
    let (mut one, mut two) = (Events::open(kept()).await, Events::open(kept()).await);
    assert!(!one.head.contains_key("x-cache"));
    publish(&host, &key, "inbox", "both").await;
    assert_eq!(
        (one.data().await, two.data().await),
        ("both".into(), "both".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_stream_says_that_it_lives_and_moves_the_clients_id_on() {
    let host = host("heartbeat_ms = 100");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let first = stream.first_id().await;
    let elsewhere = publish(&host, &key, "other", "elsewhere").await;
    assert!(first < elsewhere);
    while stream.last_id < elsewhere {
        stream.last_id.clear();
        stream.first_id().await;
    }
    assert!(stream.comments >= 2);
    assert_eq!(stream.retry_ms, Some(2_000));
    // From there on nothing is missing.
    let asked =
        asking(&client(), &host, &key, "inbox", "").header("last-event-id", &stream.last_id);
    let id = publish(&host, &key, "inbox", "here").await;
    assert_eq!(Events::open(asked).await.event().await.id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_takes_no_place_of_a_call_and_outlives_a_swap() {
    let host = host("");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let running = ["plugin=\"push\""];
    assert_eq!(
        host.metric("hearth_instances_in_flight", &running).await,
        0.0
    );
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let deploy = host
        .client
        .post(format!("{}/deployments?approve=push", host.admin))
        .bearer_auth(token.trim())
        .body(std::fs::read(crate::harness::host::guest("push")).unwrap());
    let report = deploy.send().await.unwrap().text().await.unwrap();
    assert!(report.contains("push@1 has ended"), "{report}");
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);
    publish(&host, &key, "inbox", "from the new one").await;
    assert_eq!(stream.data().await, "from the new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_http2_connection_end_one_by_one() {
    let host = host("");
    let key = host.key("acme", &[]);
    let two = Client::builder().http2_prior_knowledge().build().unwrap();
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(Events::open(asking(&two, &host, &key, "inbox", "")).await);
    }
    assert_eq!(
        host.metric("hearth_connections", &[]).await,
        2.0,
        "and one for the metrics"
    );
    open.truncate(5);
    until(async || streams(&host).await == 5.0).await;
    publish(&host, &key, "inbox", "still here").await;
    for stream in &mut open {
        assert_eq!(stream.data().await, "still here");
    }
    let answer = two
        .get(format!("{}/healthz", host.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    tokio::time::timeout(Duration::from_millis(100), open[0].next())
        .await
        .expect_err("nothing more was published");
    assert_ne!(Next::Ended, Next::Broken);
}
