//! What is refused, with every mistake, and what it costs the others: nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Inbox, id};

/// The pointers of what is wrong.
fn wrong(problem: &Value) -> Vec<String> {
    let errors = problem["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{problem}"));
    let mut all: Vec<_> = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap_or_default().to_string())
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_notification_is_named_at_once() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let body = json!({
        "title": "", "body": 7, "category": "Not Small", "recipient": "a b", "critical": "yes",
        "action_url": "javascript:alert(1)", "data": [1], "digest_key": "", "colour": "red",
    });
    let (status, problem) = customer.ask(Method::POST, "", body.clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut expected: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(|name| format!("/{name}"))
        .collect();
    expected.sort();
    assert_eq!(wrong(&problem), expected);
    for body in [
        json!({}),
        json!({"body": "without a title"}),
        json!({"title": null}),
    ] {
        let (status, problem) = customer.ask(Method::POST, "", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(wrong(&problem).contains(&"/title".to_string()), "{problem}");
    }
    assert_eq!(customer.list("").await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_that_a_browser_reads_as_another_host_is_refused() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    for link in [
        "//evil.example/x",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\\\\evil.example",
        "https://",
        "https:///x",
        "https:/evil.example",
        "https://example.com@evil.example/",
        "https://example.com\\@evil.example/",
    ] {
        for (method, path) in [(Method::POST, ""), (Method::PUT, "/templates/t")] {
            let body = json!({"title": "t", "action_url": link});
            let (status, problem) = customer.ask(method, path, body).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{link:?}");
            assert_eq!(wrong(&problem), ["/action_url"]);
        }
    }
    // A place without data makes no link to another host either.
    let template = json!({"title": "t", "action_url": "/{{a}}/evil.example"});
    customer.done(Method::PUT, "/templates/t", template).await;
    let made = customer.post(json!({"template": "t", "data": {}})).await;
    assert_eq!(made["action_url"], Value::Null);
    let made = customer
        .post(json!({"template": "t", "data": {"a": "b"}}))
        .await;
    assert_eq!(made["action_url"], "/b/evil.example");
    for link in ["/invoices/7?next=//a", "https://example.com:8443/a#b"] {
        let made = customer
            .post(json!({"title": "t", "action_url": link}))
            .await;
        assert_eq!(made["action_url"], link);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_of_some_are_told_by_index_and_stop_no_other() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let all = [
        json!({"title": "a"}),
        json!({"title": ""}),
        json!({"title": "b", "recipient": "ada"}),
        json!(7),
        json!({"title": "c", "template": "none"}),
        json!({"title": "d", "category": "X"}),
        json!({"title": "e"}),
    ];
    let (status, told) = customer
        .ask(Method::POST, "", json!({"notifications": all}))
        .await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert_eq!(
        (&told["succeeded"], &told["failed"]),
        (&json!(3), &json!(4)),
        "{told}"
    );
    let results = told["results"].as_array().unwrap();
    for (place, result) in results.iter().enumerate() {
        let is_right = [0, 2, 6].contains(&place);
        assert_eq!(result["index"], place);
        assert_eq!(
            result["status"],
            if is_right { 201 } else { 422 },
            "{result}"
        );
        assert_eq!(result["problem"].is_object(), !is_right, "{result}");
    }
    assert_eq!(customer.ids("").await, [id(&results[6]), id(&results[0])]);
    assert_eq!(customer.ids("&recipient=ada").await, [id(&results[2])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_taken_and_one_more_is_refused() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let many = |count: usize| json!({"notifications": vec![json!({"title": "t"}); count]});
    for count in [0, 1_001] {
        let (status, problem) = customer.ask(Method::POST, "", many(count)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(wrong(&problem), ["/notifications"]);
    }
    assert_eq!(customer.unread("").await, 0);
    // As large as one has them, so that a request is near the bytes it may have.
    let many = |count: usize| {
        let data = json!({"invoice": {"number": 17, "amount": "12.50"}, "text": "x".repeat(200)});
        let one = json!({"title": "Invoice 17 is due", "body": "b".repeat(400), "data": data});
        json!({"notifications": vec![one; count]})
    };
    let (status, told) = customer.ask(Method::POST, "", many(1_000)).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert_eq!(told["succeeded"], 1_000);
    assert_eq!(customer.unread("").await, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_and_data_have_their_longest() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let data = |bytes: usize| json!({"text": "x".repeat(bytes - "{\"text\":\"\"}".len())});
    let longest = json!({
        "title": "\u{1f525}".repeat(255), "body": "\u{e4}".repeat(4_000), "data": data(20_000),
        "action_url": format!("/{}", "a".repeat(2_047)), "category": "c".repeat(64),
        "recipient": "r".repeat(100),
    });
    let made = customer.post(longest.clone()).await;
    for (name, value) in longest.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    for (name, value) in [
        ("title", json!("t".repeat(256))),
        ("body", json!("b".repeat(4_001))),
        ("data", data(20_001)),
        ("action_url", json!(format!("/{}", "a".repeat(2_048)))),
        ("category", json!("c".repeat(65))),
        ("recipient", json!("r".repeat(101))),
        ("digest_key", json!("k".repeat(129))),
        ("title", json!("nul \u{0}")),
    ] {
        let mut body = json!({"title": "t"});
        body[name] = value;
        let (status, problem) = customer.ask(Method::POST, "", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(wrong(&problem), [format!("/{name}")]);
    }
    // A whole request of the largest is still stored, or refused as a whole.
    let (status, _) = customer
        .ask(
            Method::POST,
            "",
            json!({"notifications": vec![longest; 100]}),
        )
        .await;
    let ok = [StatusCode::MULTI_STATUS, StatusCode::PAYLOAD_TOO_LARGE];
    assert!(ok.contains(&status), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_queries_paths_and_bodies_are_refused() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let made = customer.titled("t").await;
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?unread=maybe",
        "?archived=1",
        "?category=A",
        "?recipient=a%20b",
        "?recipient=",
        "?cursor=forged",
        "?colour=red",
        "?page=1",
        "?unread=true&unread=false",
    ] {
        let (status, problem) = customer.ask(Method::GET, query, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem}");
    }
    for path in [
        "/ntf_1",
        "/x",
        "/ntf_0199f3a6-5c1e-7a31-9d0e-3f4b6a1c2d5e",
        "/ntf_../../x",
    ] {
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PATCH, json!({"read": true})),
            (Method::DELETE, Value::Null),
        ] {
            let (status, problem) = customer.ask(method.clone(), path, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {problem}");
        }
    }
    let one = format!("/{made}");
    let snooze = format!("/{made}/snooze");
    for (method, path, body) in [
        (Method::PATCH, one.as_str(), json!({"read": "yes"})),
        (Method::PATCH, &one, json!({"title": "changed"})),
        (Method::POST, &snooze, json!({})),
        (
            Method::POST,
            &snooze,
            json!({"until": "2020-01-01T00:00:00Z"}),
        ),
        (
            Method::POST,
            &snooze,
            json!({"until": "2999-01-01T00:00:00Z"}),
        ),
        (Method::POST, &snooze, json!({"until": "tomorrow"})),
        (Method::POST, "/read", json!({"upto": "ntf_1"})),
        (Method::POST, "/read", json!({"category": "A"})),
        (Method::POST, "/archive", json!({"all": true})),
        (
            Method::PUT,
            "/preferences",
            json!({"channels": {"sms": true}}),
        ),
        (
            Method::PUT,
            "/preferences",
            json!({"categories": {"a": {"digest_seconds": 1}}}),
        ),
        (
            Method::PUT,
            "/preferences",
            json!({"quiet_hours": {"time_zone": "Mars/Base", "start": "22:00", "end": "07:00"}}),
        ),
        (
            Method::PUT,
            "/preferences",
            json!({"quiet_hours": {"time_zone": "UTC", "start": "07:00", "end": "07:00"}}),
        ),
        (Method::PUT, "/templates/t", json!({"title": ""})),
        (
            Method::PUT,
            "/templates/t",
            json!({"title": "t", "action_url": "javascript:{{a}}"}),
        ),
    ] {
        let (status, problem) = customer.ask(method, path, body.clone()).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path} {body}: {problem}"
        );
        assert!(!wrong(&problem).is_empty());
    }
    let (status, _) = customer
        .ask(Method::PUT, "/templates/not%20one", json!({"title": "t"}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let no_json = customer
        .request(Method::POST, "")
        .header("content-type", "image/png");
    let answer = no_json.body("{\"title\":\"t\"}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let broken = customer
        .request(Method::POST, "")
        .header("content-type", "application/json");
    let answer = broken.body("{\"title\":").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(customer.ids("").await, [made]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_categories_are_marked_by_themselves_and_no_more() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    for number in 0..100 {
        let body = json!({"category": format!("c{number}")});
        customer.done(Method::POST, "/read", body).await;
    }
    let one_more = json!({"category": "one-more"});
    let (status, problem) = customer.ask(Method::POST, "/read", one_more.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        problem["type"]
            .as_str()
            .unwrap()
            .ends_with("too-many-categories"),
        "{problem}"
    );
    customer.done(Method::POST, "/read", json!({})).await;
    customer.done(Method::POST, "/read", one_more).await;
}
