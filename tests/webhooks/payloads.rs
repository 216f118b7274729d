//! What a sender wrote: it is passed on as it is, and has one meaning.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::Receiver;

/// Sends a body as it is written; answers the status and the text that comes back.
async fn send(webhooks: &Webhooks, method: Method, path: &str, body: &str) -> (StatusCode, String) {
    let path = format!("/webhooks{path}");
    let request = webhooks.host.request(method, &path, &webhooks.key);
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// What a text shows, also where it would be rounded.
async fn shown(webhooks: &Webhooks, path: &str) -> String {
    let (status, text) = send(webhooks, Method::GET, path, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_arrives_byte_for_byte() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let payload = "{\"z\": 18446744073709551616,\n \"a\" : [0.30000000000000004441, 1.50, 1E5, -0],\
                   \"\\u00e4\\/\":{\"$serde_json::private::Number\":\"1\"} }";
    let body = format!("{{\"type\":\"a\", \"payload\": {payload}}}");
    let (status, told) = send(&webhooks, Method::POST, "/events", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let event = told["id"].as_str().unwrap();
    webhooks.until_status(event, &endpoint, "delivered").await;
    let seen = String::from_utf8(receiver.seen()[0].body.to_vec()).unwrap();
    assert!(seen.ends_with(&format!("\"data\":{payload}}}")), "{seen}");
    let text = shown(&webhooks, &format!("/events/{event}")).await;
    assert!(text.contains(payload), "{text}");
    // Told again in other words it is the same.
    let again = format!("{{\"id\":\"{event}\",\"type\":\"a\",\"payload\":{payload}}}");
    let (status, _) = send(&webhooks, Method::POST, "/events", &again).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let other = again.replace("551616", "551617");
    let (status, _) = send(&webhooks, Method::POST, "/events", &other).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_examples_and_metadata_keep_every_digit() {
    let webhooks = Webhooks::start();
    let body = r#"{"schema": {"properties": {"n": {"maximum": 18446744073709551616}}},
        "example": {"n": 0.30000000000000004441}}"#;
    let (status, told) = send(&webhooks, Method::PUT, "/event-types/a", body).await;
    assert_eq!(status, StatusCode::CREATED, "{told}");
    let text = shown(&webhooks, "/event-types/a").await;
    for digits in ["18446744073709551616", "0.30000000000000004441"] {
        assert!(text.contains(digits), "{text}");
    }
    for (number, expected) in [
        ("18446744073709551616", StatusCode::ACCEPTED),
        (
            "18446744073709551616.000000001",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let event = format!(r#"{{"type": "a", "payload": {{"n": {number}}}}}"#);
        let (status, told) = send(&webhooks, Method::POST, "/events", &event).await;
        assert_eq!(status, expected, "{told}");
    }
    let body =
        r#"{"url": "https://example.com", "metadata": {"n": 123456789012345678901234567890}}"#;
    let (status, told) = send(&webhooks, Method::POST, "/endpoints", body).await;
    assert_eq!(status, StatusCode::CREATED, "{told}");
    let text = shown(&webhooks, "/endpoints").await;
    assert!(text.contains("123456789012345678901234567890"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_that_an_object_has_twice_is_refused_wherever_it_is() {
    let webhooks = Webhooks::start();
    for (method, path, body) in [
        (
            Method::POST,
            "/events",
            r#"{"type":"a","type":"b","payload":{}}"#,
        ),
        (
            Method::POST,
            "/events",
            r#"{"type":"a","payload":{"x":[{"n":1,"\u006e":1}]}}"#,
        ),
        (
            Method::PUT,
            "/event-types/a",
            r#"{"schema":{"type":"object","type":"array"}}"#,
        ),
        (
            Method::POST,
            "/endpoints",
            r#"{"url":"https://example.com","metadata":{"a":1,"a":1}}"#,
        ),
    ] {
        let (status, told) = send(&webhooks, method, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {told}");
        assert!(told.contains("twice"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_told_twice_with_the_sender_s_own_id_is_delivered_once() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, Value::Null).await;
    let body = json!({"event_id": "order 7 / paid", "type": "a", "payload": {"n": 1}});
    let first = webhooks.post("/events", body.clone()).await;
    let event = first["id"].as_str().unwrap();
    assert_eq!(first["event_id"], "order 7 / paid");
    for _ in 0..2 {
        assert_eq!(webhooks.post("/events", body.clone()).await, first);
    }
    for other in [
        json!({"event_id": "order 7 / paid", "type": "a", "payload": {"n": 2}}),
        json!({"event_id": "order 7 / paid", "type": "b", "payload": {"n": 1}}),
        json!({"event_id": "order 8 / paid", "id": event, "type": "a", "payload": {"n": 1}}),
    ] {
        let (status, _) = webhooks.ask(Method::POST, "/events", other).await;
        assert_eq!(status, StatusCode::CONFLICT);
    }
    webhooks.until_status(event, &endpoint, "delivered").await;
    let last = webhooks.event("b").await;
    webhooks.until_status(&last, &endpoint, "delivered").await;
    assert_eq!(receiver.ids(), [event, &last]);
    let shown = webhooks.get(&format!("/events/{event}")).await;
    assert_eq!(shown["event_id"], "order 7 / paid");
    let page = webhooks.get("/events").await;
    let ids: Vec<_> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["event_id"])
        .collect();
    assert_eq!(ids, [&Value::Null, &json!("order 7 / paid")]);
    // Another customer has ids of its own.
    let other = webhooks.host.key("other", &[]);
    let theirs = webhooks.host.post("/webhooks/events", &other).json(&body);
    assert_eq!(theirs.send().await.unwrap().status(), StatusCode::ACCEPTED);
}
