//! Streams that are not opened.

use reqwest::StatusCode;
use serde_json::Value;

use super::events::{asking, client, listen};
use super::{host, streams};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

async fn bad_hold(host: &Host, request: reqwest::RequestBuilder, why: &str) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{why}");
    assert!(!answer.headers().contains_key("grip-hold"));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], "urn:hearth:problem:guest-bad-hold");
    assert_eq!(problem["blame"], "guest");
    until(async || {
        let log = host.log();
        let line = log.lines().find(|line| line.contains(why));
        line.is_some_and(|line| line.contains("blame") && line.contains("guest"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_without_the_grant_is_the_guests_fault() {
    let host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let dressed = || host.get("/echo/dressed/3", &key);
    let held = dressed()
        .header("answer-grip-hold", "stream")
        .header("answer-grip-channel", "inbox");
    bad_hold(&host, held, "no grant `push`").await;
    // Without a hold the other header means nothing, and goes nowhere.
    let answer = dressed()
        .header("answer-grip-channel", "inbox")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("grip-channel"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_that_is_none_is_the_guests_fault() {
    let host = host("channels_max = 2");
    let key = host.key("acme", &[]);
    let raw = |query: &str| host.get(&format!("/push/raw?{query}"), &key);
    bad_hold(
        &host,
        raw("hold=response&channel=a"),
        "`Grip-Hold: response`",
    )
    .await;
    bad_hold(&host, raw("hold=stream"), "1 to 2 headers").await;
    bad_hold(
        &host,
        raw("hold=stream&channel=a&status=201"),
        "not with 201",
    )
    .await;
    bad_hold(
        &host,
        raw("hold=stream&channel=a,%20b"),
        "`Grip-Channel: a, b`",
    )
    .await;
    bad_hold(&host, raw("hold=stream&channel=a;filter=x"), "a;filter=x").await;
    bad_hold(
        &host,
        host.get("/push/stream?channels=a,b,c", &key),
        "1 to 2 headers",
    )
    .await;
    bad_hold(
        &host,
        host.post("/push/stream?channels=a", &key),
        "not the answer to POST",
    )
    .await;
    assert_eq!(streams(&host).await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_and_host_have_so_many_streams_and_get_their_places_back() {
    let host = host("streams_max = 3\ncustomer_streams_max = 2");
    let (acme, globex) = (host.key("acme", &[]), host.key("globex", &[]));
    let status = async |key: &str| {
        let asked = asking(&client(), &host, key, "inbox", "")
            .send()
            .await
            .unwrap();
        let kind = match asked.status() {
            StatusCode::OK => "opened".to_owned(),
            _ => {
                assert!(asked.headers().contains_key("retry-after"));
                asked.json::<Value>().await.unwrap()["type"].to_string()
            }
        };
        kind.rsplit(':')
            .next()
            .unwrap()
            .trim_matches('"')
            .to_owned()
    };
    let mut open = vec![
        listen(&host, &acme, "inbox", "").await,
        listen(&host, &acme, "inbox", "").await,
    ];
    assert_eq!(status(&acme).await, "too-many-streams");
    open.push(listen(&host, &globex, "inbox", "").await);
    assert_eq!(status(&globex).await, "overloaded");
    open.remove(0);
    until(async || streams(&host).await == 2.0).await;
    open.push(listen(&host, &acme, "inbox", "").await);
    let refused = host.metric("hearth_push_streams_refused_total", &[]).await;
    assert_eq!(refused, 2.0);
}
