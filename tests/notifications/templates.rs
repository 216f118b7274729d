//! Texts with places for data, of the customer or built in.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Inbox, event, heard, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn template_makes_what_is_not_given() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let template = json!({
        "title": "Build {{build.number}} of {{ build.branch }}", "body": "{{build.log.0}}{{none}}",
        "action_url": "/builds/{{build.branch}}", "category": "builds", "critical": true,
    });
    let put = customer
        .done(Method::PUT, "/templates/build.failed", template)
        .await;
    assert_eq!(
        (&put["id"], &put["built_in"]),
        (&json!("build.failed"), &json!(false))
    );
    assert_eq!(customer.get("/templates/build.failed").await, put);
    let number: Value = serde_json::from_str("18446744073709551616.50").unwrap();
    let data = json!({"build": {"number": number, "branch": "a b/\u{e4}", "log": ["{{title}}"]}});
    let made = customer
        .post(json!({"template": "build.failed", "data": data}))
        .await;
    for (name, expected) in [
        (
            "title",
            json!("Build 18446744073709551616.50 of a b/\u{e4}"),
        ),
        ("body", json!("{{title}}")),
        ("action_url", json!("/builds/a%20b%2F%C3%A4")),
        ("category", json!("builds")),
        ("critical", json!(true)),
        ("template", json!("build.failed")),
        ("data", data.clone()),
    ] {
        assert_eq!(made[name], expected, "{name}");
    }
    let own = json!({"template": "build.failed", "title": "Own", "critical": false, "data": data});
    let made = customer.post(own).await;
    assert_eq!(
        (&made["title"], &made["critical"]),
        (&json!("Own"), &json!(false))
    );
    // What is changed later changes nothing that was made.
    customer
        .done(
            Method::PUT,
            "/templates/build.failed",
            json!({"title": "New"}),
        )
        .await;
    let title = "Build 18446744073709551616.50 of a b/\u{e4}";
    assert_eq!(customer.titles("").await, ["Own", title]);
    let made = customer.post(json!({"template": "build.failed"})).await;
    assert_eq!(
        (text(&made, "title"), &made["category"]),
        ("New".into(), &json!("general"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn template_with_the_name_of_a_type_makes_the_notifications_of_its_events() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let built_in = customer.get("/templates/ticket.created").await;
    assert_eq!(built_in["built_in"], true);
    let mut stream = customer.listen("").await;
    let data = json!({"ticket": {"id": "tkt_1", "subject": "It burns", "priority": "urgent"}});
    customer
        .tell(&event(1, "ticket.created", data.clone()))
        .await;
    let first = heard(&mut stream).await;
    assert_eq!(first["category"], "ticket");
    assert!(text(&first, "title").contains("It burns"), "{first}");
    let own = json!({"title": "{{ticket.priority}}: {{ticket.subject}}", "category": "desk"});
    customer
        .done(Method::PUT, "/templates/ticket.created", own)
        .await;
    customer.tell(&event(2, "ticket.created", data)).await;
    let second = heard(&mut stream).await;
    assert_eq!(
        (text(&second, "title"), &second["category"]),
        ("urgent: It burns".into(), &json!("desk"))
    );
    // What nobody has a template for is told all the same.
    customer
        .tell(&event(3, "starship.landed", json!({"at": "Mars"})))
        .await;
    let third = heard(&mut stream).await;
    assert_eq!(
        (&third["category"], &third["event"]["type"]),
        (&json!("starship"), &json!("starship.landed"))
    );
    assert!(!text(&third, "title").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_values_are_cut_and_unknown_or_wrong_templates_refused() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .done(
            Method::PUT,
            "/templates/long",
            json!({"title": "{{a}}", "body": "{{b}}"}),
        )
        .await;
    let data = json!({"a": "\u{e4}".repeat(400), "b": "b".repeat(9_000)});
    let made = customer
        .post(json!({"template": "long", "data": data}))
        .await;
    assert_eq!(text(&made, "title").chars().count(), 255);
    assert_eq!(text(&made, "body").chars().count(), 4_000);
    let (status, problem) = customer
        .ask(Method::POST, "", json!({"template": "none"}))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.ends_with("unknown-template"), "{problem}");
    let (status, _) = customer
        .ask(Method::GET, "/templates/none", Value::Null)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for wrong in ["{{a", "{{}}", "{{#if a}}", "{{a b}}"] {
        let (status, _) = customer
            .ask(Method::PUT, "/templates/t", json!({"title": wrong}))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}
