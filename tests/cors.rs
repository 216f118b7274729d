//! Requests of browsers from other origins.

use reqwest::{Method, Response};

use crate::harness::host::{Host, Setup};

const APP: &str = "https://app.example";

fn host(cors: &str) -> Host {
    let cors = format!("[cors]\n{cors}");
    Setup::new().guest("echo", &[], "").config(&cors).start()
}

async fn preflight(host: &Host, origin: &str) -> Response {
    let request = host
        .client
        .request(Method::OPTIONS, format!("{}/echo", host.url));
    let request = request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-api-key");
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let value = answer.headers().get(name);
    value.map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn preflight_of_a_named_origin_needs_no_key() {
    let host = host(&format!("origins = [{APP:?}]\nmax_age_s = 77"));
    let answer = preflight(&host, APP).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(APP));
    assert_eq!(header(&answer, "access-control-max-age"), Some("77"));
    assert_eq!(header(&answer, "vary"), Some("origin"));
    assert!(
        header(&answer, "access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    assert!(
        header(&answer, "access-control-allow-headers")
            .unwrap()
            .contains("x-api-key")
    );
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn other_origins_are_told_nothing_and_refusals_can_be_read_by_the_named_one() {
    let host = host(&format!("origins = [{APP:?}]"));
    let key = host.key("acme", &[]);
    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "http://app.example",
        "null",
    ] {
        let answer = preflight(&host, origin).await;
        assert_eq!(
            header(&answer, "access-control-allow-origin"),
            None,
            "{origin}"
        );
        assert_eq!(
            header(&answer, "access-control-allow-methods"),
            None,
            "{origin}"
        );
        assert_eq!(header(&answer, "vary"), Some("origin"));
        let asked = host.get("/echo", &key).header("origin", origin);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "access-control-allow-origin"), None);
    }
    for key in [key.as_str(), "wrong"] {
        let answer = host
            .get("/echo", key)
            .header("origin", APP)
            .send()
            .await
            .unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(APP));
        assert!(
            header(&answer, "access-control-expose-headers")
                .unwrap()
                .contains("etag")
        );
    }
}

#[tokio::test]
async fn every_origin_is_allowed_without_credentials_only() {
    let open = host("origins = [\"*\"]");
    let answer = preflight(&open, "https://anyone.example").await;
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    let both = Setup::new().config("[cors]\norigins = [\"*\"]\ncredentials = true");
    let refused = both.refused();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("cors.credentials"), "{told}");
}

#[tokio::test]
async fn without_the_section_a_preflight_is_a_request_like_any_other() {
    let host = Setup::new().guest("echo", &[], "").start();
    let answer = preflight(&host, APP).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    assert_eq!(header(&answer, "vary"), None);
}
