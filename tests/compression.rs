//! Answers made smaller, where both sides want it and nothing is given away.

use async_compression::tokio::write::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use reqwest::{Method, Response};
use tokio::io::AsyncWriteExt;

use crate::harness::host::{Host, Setup};

fn host() -> Host {
    Setup::new().guest("echo", &[], "").start()
}

async fn get(host: &Host, key: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers
        .iter()
        .fold(host.get(path, key), |request, (name, value)| {
            request.header(*name, *value)
        });
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

fn coding(answer: &Response) -> Option<String> {
    let value = answer.headers().get("content-encoding")?;
    Some(value.to_str().unwrap().to_owned())
}

async fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    macro_rules! decode {
        ($decoder:ident) => {{
            let mut decoder = $decoder::new(Vec::new());
            decoder.write_all(bytes).await.unwrap();
            decoder.shutdown().await.unwrap();
            decoder.into_inner()
        }};
    }
    match coding {
        "gzip" => decode!(GzipDecoder),
        "br" => decode!(BrotliDecoder),
        "zstd" => decode!(ZstdDecoder),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn answer_comes_in_the_coding_that_the_client_likes_most() {
    let host = host();
    let key = host.key("acme", &[]);
    for (accept, expected) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip;q=0.9, br;q=1.0", "br"),
        ("gzip, zstd;q=0, br;q=0.1", "gzip"),
    ] {
        // On the request's own thread, and on another.
        for bytes in [2_000, 500_000] {
            let path = format!("/echo/dressed/{bytes}");
            let answer = get(&host, &key, &path, &[("accept-encoding", accept)]).await;
            assert_eq!(coding(&answer).as_deref(), Some(expected), "{accept}");
            assert_eq!(answer.headers()["vary"], "accept-encoding");
            let small = answer.bytes().await.unwrap();
            assert!(small.len() < bytes / 2);
            assert_eq!(decoded(expected, &small).await, vec![b'a'; bytes]);
        }
    }
}

#[tokio::test]
async fn answer_stays_as_it_is_where_compression_would_not_do() {
    let host = host();
    let key = host.key("acme", &[]);
    let gzip = ("accept-encoding", "gzip");
    let path = "/echo/dressed/5000";
    for header in [
        ("answer-cache-control", "private, no-transform"),
        ("answer-cache-control", "no-store"),
        ("answer-content-type", "image/png"),
        ("answer-content-type", "text/event-stream"),
        ("answer-set-cookie", "a=b"),
    ] {
        let answer = get(&host, &key, path, &[gzip, header]).await;
        assert_eq!(coding(&answer), None, "{header:?}");
        assert_eq!(answer.bytes().await.unwrap().len(), 5000);
    }
    let own = get(
        &host,
        &key,
        path,
        &[gzip, ("answer-content-encoding", "x-own")],
    )
    .await;
    assert_eq!(coding(&own).as_deref(), Some("x-own"));
    let small = get(&host, &key, "/echo/dressed/500", &[gzip]).await;
    assert_eq!(coding(&small), None);
    assert!(!small.headers().contains_key("vary"));
    for accept in ["identity", "gzip;q=0", "deflate", "gzip;q=0.1, identity"] {
        let plain = get(&host, &key, path, &[("accept-encoding", accept)]).await;
        assert_eq!(coding(&plain), None, "{accept}");
        assert_eq!(
            plain.headers()["vary"],
            "accept-encoding",
            "caches must know"
        );
    }
    let head = host
        .request(Method::HEAD, "/healthz", &key)
        .send()
        .await
        .unwrap();
    assert_eq!(coding(&head), None);
}

#[tokio::test]
async fn strong_validator_names_its_coding_and_vary_is_added_to() {
    let host = host();
    let key = host.key("acme", &[]);
    let path = "/echo/dressed/5000";
    let etag = ("answer-etag", "\"v1\"");
    let vary = ("answer-vary", "x-tenant");
    for coding in ["gzip", "br", "zstd"] {
        let small = get(
            &host,
            &key,
            path,
            &[("accept-encoding", coding), etag, vary],
        )
        .await;
        assert_eq!(small.headers()["etag"], format!("\"v1--{coding}\""));
        let varies: Vec<_> = small.headers().get_all("vary").iter().collect();
        assert_eq!(varies, ["x-tenant", "accept-encoding"]);
    }
    let plain = get(&host, &key, path, &[etag]).await;
    assert_eq!(plain.headers()["etag"], "\"v1\"");
    let weak = [("accept-encoding", "br"), ("answer-etag", "W/\"v1\"")];
    let weak = get(&host, &key, path, &weak).await;
    assert_eq!(weak.headers()["etag"], "W/\"v1\"");
}

#[tokio::test]
async fn tag_of_a_compressed_answer_is_known_again_in_conditions() {
    let host = host();
    let key = host.key("acme", &[]);
    let ask = async |coding: &str, condition: (&str, &str)| {
        let request = host.get("/echo/dressed/5000", &key);
        let request = request.header("answer-etag", "\"v1\"");
        let request = request.header("accept-encoding", coding);
        let answer = request.header(condition.0, condition.1).send().await;
        let answer = answer.unwrap();
        let tag = answer.headers().get("etag").cloned();
        (
            answer.status().as_u16(),
            tag.map(|tag| tag.to_str().unwrap().to_owned()),
        )
    };
    let tagged = |status, tag: &str| (status, Some(format!("\"{tag}\"")));
    for (coding, condition, expected) in [
        ("br", ("if-none-match", "\"v1--br\""), tagged(304, "v1--br")),
        (
            "br",
            ("if-none-match", "\"v0\", W/\"v1--br\""),
            tagged(304, "v1--br"),
        ),
        ("br", ("if-none-match", "\"v1\""), tagged(304, "v1")),
        // What the client has is encoded in a way that it takes no more.
        (
            "gzip",
            ("if-none-match", "\"v1--br\""),
            tagged(200, "v1--gzip"),
        ),
        ("br", ("if-match", "\"v1--br\""), tagged(200, "v1--br")),
        ("identity", ("if-match", "\"v1--br\""), tagged(200, "v1")),
        ("br", ("if-match", "\"v2--br\""), (412, None)),
    ] {
        assert_eq!(
            ask(coding, condition).await,
            expected,
            "{coding} {condition:?}"
        );
    }
}

#[tokio::test]
async fn encoded_request_body_is_415_and_says_what_would_do_and_identity_is_none() {
    let host = host();
    let key = host.key("acme", &[]);
    let request = host.post("/echo", &key).header("content-encoding", "gzip");
    let answer = request.body(vec![0; 100]).send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert_eq!(answer.headers()["accept-encoding"], "identity");
    for (coding, status) in [
        ("identity", 200),
        (" Identity , ", 200),
        ("identity, br", 415),
    ] {
        let request = host.post("/echo", &key).header("content-encoding", coding);
        let answer = request.body("plain").send().await.unwrap();
        assert_eq!(answer.status(), status, "{coding}");
    }
}
