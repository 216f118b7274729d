//! What recipients want to hear of: by category and channel, and not at night.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::ToSpan;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, Two, event, heard, id, setup, text};
use crate::harness::fleet::Fleet;
use crate::harness::postgres::until;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preferences_read_back_and_are_replaced_whole() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let nothing = customer.get("/preferences").await;
    assert_eq!(
        (&nothing["quiet_hours"], &nothing["updated_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(nothing["categories"], json!({}));
    let all = json!({
        "channels": {"webhook": true},
        "categories": {"a": {"stream": false, "digest_seconds": 60, "retention_days": 7}},
        "quiet_hours": {"time_zone": "Europe/Berlin", "start": "22:00", "end": "07:00", "days": ["friday"]},
    });
    let put = customer.prefer("", all.clone()).await;
    assert_eq!(customer.get("/preferences").await, put);
    assert_eq!(put["quiet_hours"], all["quiet_hours"]);
    assert_eq!(put["channels"]["webhook"], true);
    assert_eq!(put["categories"]["a"]["digest_seconds"], 60);
    assert_eq!(put["categories"]["a"]["in_app"], Value::Null);
    assert!(put["updated_at"].is_string());
    let of_ada = customer.get("/preferences?recipient=ada").await;
    assert_eq!(
        (&of_ada["recipient"], &of_ada["categories"]),
        (&json!("ada"), &json!({}))
    );
    let put = customer.prefer("", json!({})).await;
    assert_eq!(
        (&put["categories"], &put["quiet_hours"]),
        (&json!({}), &Value::Null)
    );
}

/// Posts one of a category and answers the status with what is told.
async fn posted(customer: &Customer<'_>, category: &str, critical: bool) -> (u16, Value) {
    let title = if critical { "critical" } else { "plain" };
    let body = json!({"title": title, "category": category, "critical": critical});
    let (status, told) = customer.ask(Method::POST, "", body).await;
    (status.as_u16(), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn muted_category_is_neither_stored_nor_heard_and_critical_ones_are_never_muted() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let muted = json!({"categories": {"muted": {"in_app": false, "stream": false}}});
    customer.prefer("", muted).await;
    let mut stream = customer.listen("").await;
    let (status, told) = posted(&customer, "muted", false).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("muted")), "{told}");
    assert_eq!(customer.list("").await, [] as [Value; 0]);
    let (status, _) = posted(&customer, "muted", true).await;
    assert_eq!(status, 201);
    assert_eq!(posted(&customer, "other", false).await.0, 201);
    assert_eq!(customer.titles("").await, ["plain", "critical"]);
    for expected in ["critical", "plain"] {
        assert_eq!(text(&heard(&mut stream).await, "title"), expected);
    }
    // The same of what other plugins tell.
    customer
        .prefer(
            "",
            json!({"categories": {"ticket": {"in_app": false, "stream": false}}}),
        )
        .await;
    customer
        .tell(&event(
            1,
            "ticket.created",
            json!({"ticket": {"id": "tkt_1"}}),
        ))
        .await;
    customer.tell(&event(2, "invoice.paid", json!({}))).await;
    assert_eq!(heard(&mut stream).await["event"]["type"], "invoice.paid");
    assert_eq!(customer.list("").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_muted_one_by_one() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let categories = json!({"kept": {"stream": false}, "told": {"in_app": false}});
    customer.prefer("", json!({"categories": categories})).await;
    let mut stream = customer.listen("").await;
    assert_eq!(posted(&customer, "kept", false).await.0, 201);
    let (status, told) = posted(&customer, "told", false).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("told")), "{told}");
    let event = heard(&mut stream).await;
    assert_eq!(
        (&event["category"], &event["id"]),
        (&json!("told"), &told["id"])
    );
    let listed = customer.list("").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["category"], "kept");
    let path = format!("/{}", id(&event));
    assert_eq!(
        customer.ask(Method::GET, &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_goes_by_its_own_recipient_and_category() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let mute =
        |category: &str| json!({"categories": {category: {"in_app": false, "stream": false}}});
    customer.prefer("", mute("a")).await;
    let of_ada =
        json!({"categories": {"a": {"in_app": true}, "b": {"in_app": false, "stream": false}}});
    customer.prefer("?recipient=ada", of_ada).await;
    let new = |category: &str, recipient: Value| json!({"title": "t", "category": category, "recipient": recipient});
    let outcomes = customer
        .many(&[
            new("a", Value::Null),
            new("b", Value::Null),
            new("a", json!("ada")),
            new("b", json!("ada")),
            new("a", json!("bob")),
        ])
        .await;
    let outcomes: Vec<_> = outcomes.iter().map(|one| text(one, "outcome")).collect();
    assert_eq!(outcomes, ["muted", "created", "created", "muted", "muted"]);
    assert_eq!(customer.list("").await.len(), 1);
    assert_eq!(customer.list("&recipient=ada").await.len(), 1);
    assert_eq!(customer.list("&recipient=bob").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_host_goes_by_new_preferences() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let [one, other] = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    for round in 0..3 {
        for (in_app, status) in [(false, 200), (true, 201)] {
            // The other host remembers what held before.
            let before = if in_app { 200 } else { 201 };
            if round > 0 || in_app {
                assert_eq!(posted(&other, "c", false).await.0, before);
            }
            let category = json!({"in_app": in_app, "stream": false});
            one.prefer("", json!({"categories": {"c": category}})).await;
            until(async || posted(&other, "c", false).await.0 == status).await;
            assert_eq!(posted(&one, "c", false).await.0, status);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_told_where_somebody_wants_it() {
    let fleet = Fleet::start().await;
    let host = fleet.host(setup);
    let key = host.key("acme", &[]);
    let customer = Customer::at(&host, &key);
    posted(&customer, "before", false).await;
    customer
        .prefer("", json!({"categories": {"a": {"webhook": true}}}))
        .await;
    let (_, made) = posted(&customer, "a", false).await;
    posted(&customer, "b", false).await;
    let database = fleet.cluster.connect(None).await;
    let text =
        "SELECT body, plugin FROM hearth.outbox WHERE queue = 'webhook-events' ORDER BY place";
    let rows = database.query(text, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    let told: Value = serde_json::from_slice(rows[0].get(0)).unwrap();
    assert_eq!(told["type"], "notification.created");
    assert!(
        told["event_id"].as_str().unwrap().starts_with("evt_"),
        "{told}"
    );
    assert!(told["data"].to_string().contains(&id(&made)), "{told}");
    assert_eq!(rows[0].get::<_, String>(1), "notifications");
}

/// Quiet hours in Berlin that began an hour ago and end in an hour.
fn quiet_now() -> Value {
    let now = jiff::Timestamp::now().in_tz("Europe/Berlin").unwrap();
    let clock = |hours: i64| {
        let at = now.checked_add(hours.hours()).unwrap();
        at.strftime("%H:%M").to_string()
    };
    json!({"time_zone": "Europe/Berlin", "start": clock(-1), "end": clock(1)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_hear_at_the_end_of_quiet_hours_and_of_critical_ones_at_once() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer("", json!({"quiet_hours": quiet_now()}))
        .await;
    let mut stream = customer.listen("").await;
    customer.titled("quiet").await;
    assert_eq!(posted(&customer, "general", true).await.0, 201);
    assert_eq!(
        customer.titles("").await,
        ["critical", "quiet"],
        "they are in the inbox at once"
    );
    assert_eq!(text(&heard(&mut stream).await, "title"), "critical");
    // Whose hours are other ones hears it at once.
    customer
        .prefer(
            "?recipient=ada",
            json!({"quiet_hours": {
                "time_zone": "UTC", "start": "00:00", "end": "00:01", "days": [],
            }}),
        )
        .await;
    let mut of_ada = customer.listen("?recipient=ada").await;
    customer
        .post(json!({"title": "for ada", "recipient": "ada"}))
        .await;
    assert_eq!(text(&heard(&mut of_ada).await, "title"), "for ada");
    inbox.forward_to(HOUR + Duration::from_secs(90));
    let told = heard(&mut stream).await;
    assert_eq!(told, customer.find(&id(&told)).await);
    assert_eq!(text(&told, "title"), "quiet");
    customer.titled("by day").await;
    assert_eq!(text(&heard(&mut stream).await, "title"), "by day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_or_deleted_in_quiet_hours_is_no_news_at_their_end() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer("", json!({"quiet_hours": quiet_now()}))
        .await;
    let mut stream = customer.listen("").await;
    let ids = customer
        .titled_all(["read", "deleted", "left"].map(String::from))
        .await;
    customer.patch(&ids[0], json!({"read": true})).await;
    customer
        .done(Method::DELETE, &format!("/{}", ids[1]), Value::Null)
        .await;
    inbox.forward_to(HOUR + Duration::from_secs(90));
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "left") {
        told.push(text(&heard(&mut stream).await, "title"));
    }
    assert!(!told.contains(&"deleted".to_string()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_the_stream_alone_is_heard_after_quiet_hours_too() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let told = json!({"categories": {"told": {"in_app": false}}, "quiet_hours": quiet_now()});
    customer.prefer("", told).await;
    let mut stream = customer.listen("").await;
    assert_eq!(posted(&customer, "told", false).await.0, 200);
    posted(&customer, "general", true).await;
    assert_eq!(text(&heard(&mut stream).await, "title"), "critical");
    inbox.forward_to(HOUR + Duration::from_secs(90));
    let event = heard(&mut stream).await;
    assert_eq!(
        (text(&event, "title"), &event["category"]),
        ("plain".into(), &json!("told"))
    );
    assert_eq!(customer.titles("").await, ["critical"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_of_one_request_are_all_heard_after_quiet_hours() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    customer
        .prefer("", json!({"quiet_hours": quiet_now()}))
        .await;
    let mut stream = customer.listen("").await;
    let ids = customer
        .titled_all((0..1_000).map(|number| number.to_string()))
        .await;
    inbox.forward_to(HOUR + Duration::from_secs(90));
    let mut missing: BTreeSet<String> = ids.into_iter().collect();
    while !missing.is_empty() {
        missing.remove(&id(&heard(&mut stream).await));
    }
    let trapped = inbox.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", inbox.host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_told_of_a_thousand_in_one_request() {
    let fleet = Fleet::start().await;
    let host = fleet.host(setup);
    let key = host.key("acme", &[]);
    let customer = Customer::at(&host, &key);
    customer
        .prefer("", json!({"channels": {"webhook": true}}))
        .await;
    let ids = customer
        .titled_all((0..1_000).map(|number| number.to_string()))
        .await;
    assert_eq!(customer.unread("").await, 1_000);
    let database = fleet.cluster.connect(None).await;
    let text = "SELECT count(DISTINCT convert_from(body, 'utf8')::jsonb ->> 'event_id')
        FROM hearth.outbox WHERE queue = 'webhook-events'";
    let told: i64 = database.query_one(text, &[]).await.unwrap().get(0);
    assert_eq!(told, ids.len() as i64);
}
