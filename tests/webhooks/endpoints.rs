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
async fn urls_that_no_delivery_may_reach_are_refused_or_warned_of() {
    let webhooks = Webhooks::start();
    for url in [
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://127.0.0.1#@example.com/",
    ] {
        let (status, told) = webhooks
            .ask(Method::POST, "/endpoints", json!({"url": url}))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        assert_eq!(told["errors"][0]["pointer"], "/url");
    }
    let made = webhooks.created("http://10.0.0.1/", Value::Null).await;
    let codes: Vec<_> = made["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["code"])
        .collect();
    assert_eq!(codes, ["plain_http", "blocked_address"]);
    // The host does not connect, whatever the endpoint says; 127.0.0.0/8 is allowed here.
    let id = made["id"].as_str().unwrap();
    let event = webhooks.event("a").await;
    webhooks.until_attempts(&event, id, 1).await;
    let attempt = &webhooks.attempts(&event).await[0];
    assert_eq!(attempt["outcome"], "blocked_address", "{attempt}");
    assert_eq!(attempt["status"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_goes_where_the_operator_grants_it_alone() {
    let (plain, grants) = GRANTS.split_last().unwrap();
    assert_eq!(*plain, "outbound:http://*:*");
    let (webhooks, receiver) = (Webhooks::start_with(grants), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let event = webhooks.event("a").await;
    webhooks.until_attempts(&event, &endpoint, 1).await;
    assert_eq!(webhooks.attempts(&event).await[0]["outcome"], "denied");
    assert!(receiver.seen().is_empty());
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
