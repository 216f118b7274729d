//! Endpoints: made, changed, listed, taken away; and what is refused.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{GRANTS, Webhooks};
use super::receiver::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_is_made_changed_and_deleted() {
    let webhooks = Webhooks::start();
    let more = json!({"description": "Books", "event_types": ["b", "a", "b"],
        "headers": {"X-A": "1", "X-B": "2"}, "metadata": {"team": 7}, "rate_per_second": 5});
    let made = webhooks.created("https://example.com/hooks", more).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let path = format!("/endpoints/{}", made["id"].as_str().unwrap());
    let mut shown = webhooks.get(&path).await;
    shown["secret"] = made["secret"].clone();
    assert_eq!(shown, made);
    assert_eq!(shown["event_types"], json!(["a", "b"]));
    let patch = json!({"description": null, "event_types": null, "headers": {"x-a": null, "x-c": "3"},
        "rate_per_second": null, "ordered": true});
    let (status, changed) = webhooks.ask(Method::PATCH, &path, patch).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["version"], 2);
    assert_eq!(changed["header_names"], json!(["x-b", "x-c"]));
    for (name, value) in [
        ("description", Value::Null),
        ("event_types", json!([])),
        ("rate_per_second", Value::Null),
        ("ordered", json!(true)),
        ("metadata", json!({"team": 7})),
    ] {
        assert_eq!(changed[name], value, "{name}");
    }
    let stale = webhooks
        .host
        .request(Method::PATCH, &format!("/webhooks{path}"), &webhooks.key);
    let stale = stale
        .header("if-match", "\"1\"")
        .json(&json!({"ordered": false}));
    assert_eq!(
        stale.send().await.unwrap().status(),
        StatusCode::PRECONDITION_FAILED
    );
    let (status, _) = webhooks.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for (method, more) in [
        (Method::GET, ""),
        (Method::GET, "/secret"),
        (Method::DELETE, ""),
    ] {
        let (status, _) = webhooks
            .ask(method, &[&path, more].concat(), Value::Null)
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(webhooks.get("/endpoints").await["endpoints"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_get_404_for_each_others_endpoints_everywhere() {
    let webhooks = Webhooks::start();
    let id = webhooks.endpoint("https://example.com/", Value::Null).await;
    let event = webhooks.event("a").await;
    let other = webhooks.host.key("other", &[]);
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    for (method, path, body) in [
        (Method::GET, String::new(), None),
        (Method::PATCH, String::new(), Some(json!({"ordered": true}))),
        (Method::DELETE, String::new(), None),
        (Method::POST, "/enable".into(), None),
        (Method::POST, "/disable".into(), None),
        (Method::POST, "/test".into(), None),
        (Method::POST, "/recover".into(), Some(since.clone())),
        (Method::POST, "/replay-missing".into(), Some(since)),
        (Method::GET, "/secret".into(), None),
        (Method::POST, "/secret/rotate".into(), None),
        (Method::GET, "/stats".into(), None),
        (Method::GET, "/attempts".into(), None),
    ] {
        let path = format!("/webhooks/endpoints/{id}{path}");
        let request = webhooks.host.request(method.clone(), &path, &other);
        let request = body
            .iter()
            .fold(request, |request, body| request.json(body));
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let resend = format!("/webhooks/events/{event}/endpoints/{id}/resend");
    let resend = webhooks.host.post(&resend, &other).send().await.unwrap();
    assert_eq!(resend.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        webhooks.get("/endpoints").await["endpoints"][0]["enabled"],
        json!(true)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_new_endpoint_is_named_at_once() {
    let webhooks = Webhooks::start();
    let body = json!({"url": "ftp://x", "description": 1, "event_types": ["a b"], "ordered": "yes",
        "rate_per_second": 0, "headers": {"host": "x", "a b": "x", "cookie": "x"}, "metadata": [],
        "signature": "v2", "secret": "hunter2", "colour": "red", "enabled": 1});
    let errors = refused(&webhooks, Method::POST, "/endpoints", body).await;
    let mut named: Vec<_> = errors.iter().map(|error| &error["pointer"]).collect();
    named.sort_unstable_by_key(|pointer| pointer.as_str());
    named.dedup();
    let expected = [
        "/colour",
        "/description",
        "/enabled",
        "/event_types",
        "/headers",
        "/metadata",
        "/ordered",
        "/rate_per_second",
        "/secret",
        "/signature",
        "/url",
    ];
    assert_eq!(named, expected);
    let of_headers = errors.iter().filter(|error| error["pointer"] == "/headers");
    let details: Vec<_> = of_headers
        .map(|error| error["detail"].as_str().unwrap())
        .collect();
    assert_eq!(details.len(), 3, "{details:?}");
    for name in ["host: ", "a b: ", "cookie: "] {
        assert!(
            details.iter().any(|detail| detail.starts_with(name)),
            "{name} {details:?}"
        );
    }
    let unfit = json!({"url": "https://example.com/", "signature": "v1a",
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let errors = refused(&webhooks, Method::POST, "/endpoints", unfit).await;
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["pointer"], "/secret");
}

/// What is wrong with each field, where a request is refused for that.
async fn refused(webhooks: &Webhooks, method: Method, path: &str, body: Value) -> Vec<Value> {
    let (status, told) = webhooks.ask(method, path, body.clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {told}");
    told["errors"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urls_that_no_delivery_may_reach_are_refused_with_the_reason() {
    let webhooks = Webhooks::start();
    let made = webhooks.created("https://example.com/", Value::Null).await;
    let endpoint = format!("/endpoints/{}", made["id"].as_str().unwrap());
    // 127.0.0.0/8 is allowed here, but not in a spelling that hides it.
    for (url, code, reason) in [
        ("ftp://example.com/", "invalid_url", "https://"),
        ("https://user:secret@example.com/", "invalid_url", "a user"),
        ("https://0x7f000001/", "invalid_url", "four decimal numbers"),
        ("https://2130706433/", "invalid_url", "four decimal numbers"),
        ("https://127.0.0.1#@example.com/", "invalid_url", "fragment"),
        ("http://10.0.0.1/", "blocked_address", "10.0.0.1: private"),
        ("https://0.0.0.0/", "blocked_address", "this network"),
        (
            "https://169.254.169.254/latest",
            "blocked_address",
            "metadata of AWS",
        ),
        (
            "https://168.63.129.16/",
            "blocked_address",
            "the platform address of Azure",
        ),
        ("https://192.88.99.1/", "blocked_address", "6to4 relays"),
        (
            "https://[3fff::1]/",
            "blocked_address",
            "[3fff::1]: documentation",
        ),
        (
            "https://[3fff:fff:ffff::1]/",
            "blocked_address",
            "documentation",
        ),
        ("https://[::1]/", "blocked_address", "loopback"),
    ] {
        for (method, path) in [
            (Method::POST, "/endpoints"),
            (Method::PATCH, endpoint.as_str()),
        ] {
            let errors = refused(&webhooks, method, path, json!({"url": url})).await;
            assert_eq!(errors.len(), 1, "{url}: {errors:?}");
            let (error, detail) = (&errors[0], errors[0]["detail"].as_str().unwrap());
            assert_eq!(
                (&error["pointer"], &error["code"]),
                (&json!("/url"), &json!(code))
            );
            assert!(detail.contains(reason), "{url}: {detail}");
            assert!(!detail.contains("secret"), "{detail}");
            if code == "blocked_address" {
                assert!(detail.contains("outbound.allow_addresses"), "{detail}");
            }
        }
    }
    assert_eq!(webhooks.get(&endpoint).await["url"], "https://example.com/");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_that_the_host_would_refuse_on_every_delivery_is_refused_with_its_name() {
    let webhooks = Webhooks::start();
    let made = webhooks.created("https://example.com/", Value::Null).await;
    let endpoint = format!("/endpoints/{}", made["id"].as_str().unwrap());
    for name in [
        "HTTP2-Settings",
        "Keep-Alive",
        "TE",
        "Transfer-Encoding",
        "Host",
        "x y",
    ] {
        let url = json!({"url": "https://example.com/", "headers": {name: "x", "x-a": "1"}});
        let patch = json!({"headers": {name: "x", "x-a": "1"}});
        for (method, path, body) in [
            (Method::POST, "/endpoints", url),
            (Method::PATCH, endpoint.as_str(), patch),
        ] {
            let errors = refused(&webhooks, method, path, body).await;
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0]["pointer"], "/headers");
            let detail = errors[0]["detail"].as_str().unwrap();
            assert!(
                detail.starts_with(&format!("{}: ", name.to_lowercase())),
                "{detail}"
            );
        }
    }
    assert_eq!(webhooks.get(&endpoint).await["header_names"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_merged_at_every_depth_within_its_bound() {
    let webhooks = Webhooks::start();
    let metadata = json!({"a": {"b": 1}, "c": "x".repeat(3_000)});
    let more = json!({"metadata": metadata});
    let made = webhooks.created("https://example.com/hooks", more).await;
    let path = format!("/endpoints/{}", made["id"].as_str().unwrap());
    let patch = json!({"metadata": {"a": {"d": 2}, "e": null}});
    let (status, changed) = webhooks.ask(Method::PATCH, &path, patch).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["metadata"]["a"], json!({"b": 1, "d": 2}));
    let patch = json!({"metadata": {"f": "x".repeat(3_000)}});
    let errors = refused(&webhooks, Method::PATCH, &path, patch).await;
    assert_eq!(errors[0]["pointer"], "/metadata");
    let patch = json!({"metadata": {"c": null, "f": "x".repeat(3_000)}});
    let (status, changed) = webhooks.ask(Method::PATCH, &path, patch).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let (_, cleared) = webhooks
        .ask(Method::PATCH, &path, json!({"metadata": null}))
        .await;
    assert_eq!(cleared["metadata"], json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_whose_address_was_closed_since_says_so_and_can_be_changed() {
    let (mut webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let made = webhooks.created(&receiver.url, Value::Null).await;
    assert_eq!(codes(&made), ["plain_http"]);
    webhooks.host.stop();
    let elsewhere = ("HEARTH_OUTBOUND_ALLOW_ADDRESSES", "192.0.2.0/24");
    webhooks.host.restart_with(elsewhere.0, elsewhere.1);
    let path = format!("/endpoints/{}", made["id"].as_str().unwrap());
    let shown = webhooks.get(&path).await;
    assert_eq!(codes(&shown), ["plain_http", "blocked_address"]);
    let patch = json!({"description": "closed", "headers": {"x-a": "1"}});
    let (status, changed) = webhooks.ask(Method::PATCH, &path, patch).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let event = webhooks.event("a").await;
    let id = made["id"].as_str().unwrap();
    webhooks.until_attempts(&event, id, 1).await;
    let attempt = &webhooks.attempts(&event).await[0];
    assert_eq!(attempt["outcome"], "blocked_address", "{attempt}");
    assert!(receiver.seen().is_empty());
}

fn codes(endpoint: &Value) -> Vec<&str> {
    let warnings = endpoint["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_goes_where_the_operator_grants_it_alone() {
    let (plain, grants) = GRANTS.split_last().unwrap();
    assert_eq!(*plain, "outbound:http://*:*");
    let (webhooks, receiver) = (Webhooks::start_with(grants), Receiver::start().await);
    let url = json!({"url": receiver.url});
    let errors = refused(&webhooks, Method::POST, "/endpoints", url).await;
    assert_eq!(errors[0]["code"], "denied");
    let detail = errors[0]["detail"].as_str().unwrap();
    assert!(detail.contains("outbound:http://127.0.0.1:"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_deleted_or_disabled_endpoint_is_not_sent() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Status(500));
    let mut tried = Vec::new();
    for path in ["/deleted", "/disabled"] {
        let endpoint = webhooks
            .endpoint(&[&receiver.url, path].concat(), Value::Null)
            .await;
        tried.push(endpoint);
    }
    let event = webhooks.event("a").await;
    for endpoint in &tried {
        webhooks.until_attempts(&event, endpoint, 1).await;
    }
    let path = format!("/endpoints/{}", tried[0]);
    webhooks.ask(Method::DELETE, &path, Value::Null).await;
    webhooks
        .post(&format!("/endpoints/{}/disable", tried[1]), Value::Null)
        .await;
    for endpoint in &tried {
        webhooks.until_status(&event, endpoint, "stopped").await;
    }
    assert_eq!(receiver.seen().len(), 2, "one attempt each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_on_behind_their_cursors() {
    let webhooks = Webhooks::start();
    for number in 0..5 {
        webhooks
            .endpoint(
                &format!("https://example.com/{number}"),
                json!({"enabled": false}),
            )
            .await;
        webhooks.event(["a", "b"][number % 2]).await;
    }
    for (path, name, count) in [
        ("/endpoints?limit=2", "endpoints", 5),
        ("/events?limit=2", "events", 5),
        ("/events?limit=1&type=b", "events", 2),
    ] {
        let (mut next, mut ids) = (Some(path.to_string()), Vec::new());
        while let Some(this) = next.take() {
            let page = webhooks.get(&this).await;
            let items = page[name].as_array().unwrap().iter();
            ids.extend(items.map(|item| item["id"].as_str().unwrap().to_string()));
            let cursor = page["next_cursor"].as_str();
            next = cursor.map(|cursor| format!("{path}&cursor={cursor}"));
            assert_eq!(page["has_more"], json!(next.is_some()));
        }
        let mut once = ids.clone();
        once.dedup();
        assert_eq!((ids.len(), once.len()), (count, count), "{path}");
    }
}
