//! ETags and conditional requests, as RFC 9110 has them.

use reqwest::{Method, Response, StatusCode};

use crate::harness::host::{Host, Setup};

fn host() -> Host {
    Setup::new().guest("cached", &["cache"], "").start()
}

async fn ask(
    host: &Host,
    key: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let mut request = host.request(method, path, key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header(answer: &Response, name: &str) -> Option<String> {
    let value = answer.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn host_makes_a_strong_etag_where_the_plugin_has_none() {
    let host = host();
    let key = host.key("acme", &[]);
    let get = async |headers: &[(&str, &str)]| {
        ask(&host, &key, Method::GET, "/cached/plain", headers).await
    };
    let first = get(&[]).await;
    let etag = header(&first, "etag").unwrap();
    assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
    assert_eq!(header(&get(&[]).await, "etag"), Some(etag.clone()));
    let known = get(&[("if-none-match", &etag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&known, "etag"), Some(etag.clone()));
    assert_eq!(header(&known, "content-type"), None);
    assert_eq!(known.text().await.unwrap(), "");
    let listed = format!("\"a, b\", W/{etag}");
    let weak = get(&[("if-none-match", &listed)]).await;
    assert_eq!(
        weak.status(),
        StatusCode::NOT_MODIFIED,
        "it compares weakly"
    );
    let any = get(&[("if-none-match", "*")]).await;
    assert_eq!(any.status(), StatusCode::NOT_MODIFIED);
    let other = get(&[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    let nothing = ask(&host, &key, Method::GET, "/cached/none", &[]).await;
    assert_eq!(header(&nothing, "etag"), None, "only for 200");
}

#[tokio::test]
async fn etag_of_the_plugin_wins() {
    let host = host();
    let key = host.key("acme", &[]);
    let get = async |headers: &[(&str, &str)]| {
        ask(&host, &key, Method::GET, "/cached/own", headers).await
    };
    assert_eq!(header(&get(&[]).await, "etag").unwrap(), "W/\"7\"");
    let known = get(&[("if-none-match", "\"7\"")]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&known, "x-own").unwrap(), "kept");
}

#[tokio::test]
async fn if_match_on_reading_compares_strongly_and_comes_first() {
    let host = host();
    let key = host.key("acme", &[]);
    let etag = header(
        &ask(&host, &key, Method::GET, "/cached/plain", &[]).await,
        "etag",
    )
    .unwrap();
    let cases = [
        ("/cached/plain", etag.as_str(), StatusCode::OK),
        ("/cached/plain", "*", StatusCode::OK),
        (
            "/cached/plain",
            "\"other\"",
            StatusCode::PRECONDITION_FAILED,
        ),
        ("/cached/own", "W/\"7\"", StatusCode::PRECONDITION_FAILED),
    ];
    for (path, wanted, status) in cases {
        let answer = ask(&host, &key, Method::GET, path, &[("if-match", wanted)]).await;
        assert_eq!(answer.status(), status, "{path} {wanted}");
    }
    let both = [("if-match", "\"other\""), ("if-none-match", &*etag)];
    let failed = ask(&host, &key, Method::GET, "/cached/plain", &both).await;
    assert_eq!(failed.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        header(&failed, "content-type").unwrap(),
        "application/problem+json"
    );
}

#[tokio::test]
async fn if_match_on_a_change_is_for_the_plugin_to_judge() {
    let host = host();
    let key = host.key("acme", &[]);
    // It knows its versions, and not in which coding the host sent one.
    for wanted in ["\"other\"", "\"other--gzip\""] {
        let wanted = [("if-match", wanted)];
        let answer = ask(&host, &key, Method::PUT, "/cached/own", &wanted).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "etag"), None);
        assert_eq!(answer.json::<String>().await.unwrap(), "\"other\"");
    }
}

#[tokio::test]
async fn head_says_what_get_would_without_its_body() {
    let host = host();
    let key = host.key("acme", &[]);
    for path in ["/cached/plain", "/cached/own", "/cached/things/a"] {
        let get = ask(&host, &key, Method::GET, path, &[]).await;
        let head = ask(&host, &key, Method::HEAD, path, &[]).await;
        assert_eq!(head.status(), get.status());
        for name in ["etag", "content-type", "content-length"] {
            assert_eq!(header(&head, name), header(&get, name), "{path} {name}");
        }
        assert_eq!(head.text().await.unwrap(), "");
    }
    let etag = [("if-none-match", "W/\"7\"")];
    let known = ask(&host, &key, Method::HEAD, "/cached/own", &etag).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn kept_answer_is_judged_as_one_just_made() {
    let host = host();
    let key = host.key("acme", &[]);
    let path = "/cached/things/a";
    let made = ask(&host, &key, Method::GET, path, &[]).await;
    let etag = header(&made, "etag").unwrap();
    let kept = ask(&host, &key, Method::GET, path, &[("if-none-match", &etag)]).await;
    assert_eq!(kept.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&kept, "x-cache").unwrap(), "HIT");
}
