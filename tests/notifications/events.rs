//! What other plugins tell becomes notifications, exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

use super::fixture::{Customer, Inbox, Two, event, event_id, heard, put_forward, setup, text};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, runs};
use crate::harness::postgres::until;
use crate::webhooks::fixture::{dead, setup as webhooks, waiting};
use crate::webhooks::receiver::{Answer, Receiver};

/// A host with real plugins that tell the notifications, and what they tell besides
/// to a queue that nobody consumes.
struct Stage {
    host: Host,
    key: String,
    agent: String,
    database: Client,
    clock: TempDir,
    _fleet: Fleet,
}

impl Stage {
    async fn open() -> Stage {
        let (fleet, clock) = (Fleet::start().await, tempfile::tempdir().unwrap());
        let file = clock.path().join("clock");
        let host = tokio::task::block_in_place(|| {
            let setup = setup(fleet.setup().config("[schedule]\nlook_ms = 50"));
            let setup = setup.tickets_telling("webhook-events,notification-events");
            let setup = setup.env("HEARTH_CLOCK_FILE", file.to_str().unwrap());
            setup.forecasting().start()
        });
        let (key, agent) = (
            host.key("acme", &[]),
            host.key("acme", &["--scope", "customer", "--scope", "agent"]),
        );
        Stage {
            key,
            agent,
            database: fleet.cluster.connect(None).await,
            host,
            clock,
            _fleet: fleet,
        }
    }

    fn customer(&self) -> Customer<'_> {
        Customer::at(&self.host, &self.key)
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.host.request(method, path, &self.agent);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let told = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {told}");
        told
    }

    /// Everything that was told so far, in order.
    async fn told(&self) -> Vec<Value> {
        let text = "SELECT body FROM hearth.outbox WHERE queue = 'webhook-events' ORDER BY place";
        let rows = self.database.query(text, &[]).await.unwrap();
        let bodies = rows.iter();
        bodies
            .map(|row| serde_json::from_slice(row.get(0)).unwrap())
            .collect()
    }

    /// All that was told comes a second time; then nothing is under way.
    async fn all_again(&self) {
        for told in self.told().await {
            self.customer().tell(&told).await;
        }
        until(async || waiting(&self.host, "notification-events").await == 0).await;
    }
}

/// The events that notifications are about, by id.
fn sources(listed: &[Value]) -> Vec<(String, String)> {
    let source = |one: &Value| (text(&one["event"], "id"), text(&one["event"], "type"));
    listed.iter().map(source).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_are_made_and_breached_are_told_once_though_the_events_come_twice() {
    let stage = Stage::open().await;
    let open = json!([{"start": "00:00", "end": "24:00"}]);
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let hours: serde_json::Map<_, _> = days
        .iter()
        .map(|day| (day.to_string(), open.clone()))
        .collect();
    let always = json!({"name": "Always", "time_zone": "UTC", "hours": hours});
    stage
        .send(Method::PUT, "/support/calendars/always", always)
        .await;
    let policy = json!({
        "name": "Gold", "calendar_id": "always", "tiers": ["unlimited"],
        "targets": {"normal": {"first_response_minutes": 60}},
    });
    stage
        .send(Method::PUT, "/support/sla-policies/gold", policy)
        .await;
    let ticket = json!({"subject": "It prints in green", "description": "d", "priority": "normal"});
    let post = stage
        .host
        .post("/support/tickets", &stage.key)
        .json(&ticket);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::CREATED);
    let customer = stage.customer();
    until(async || !customer.list("").await.is_empty()).await;
    // What is held while the clock jumps would come twice.
    until(async || waiting(&stage.host, "notification-events").await == 0).await;
    put_forward(&stage.clock, Duration::from_secs(61 * 60));
    let breached = |listed: &[Value]| {
        let mut all = sources(listed).into_iter();
        all.any(|(_, kind)| kind == "ticket.sla_breached")
    };
    until(async || breached(&customer.list("").await)).await;
    let read = customer.list("").await;
    customer.done(Method::POST, "/read", json!({})).await;
    stage.all_again().await;
    let listed = customer.list("").await;
    let told = stage.told().await;
    let told: BTreeSet<_> = told
        .iter()
        .map(|one| (text(one, "event_id"), text(one, "type")))
        .collect();
    assert_eq!(sources(&listed).into_iter().collect::<BTreeSet<_>>(), told);
    assert_eq!((listed.len(), read.len()), (told.len(), told.len()));
    assert_eq!(customer.unread("").await, 0, "what was read stays read");
    for one in &listed {
        assert_eq!(one["category"], "ticket");
        assert!(text(one, "title").contains("It prints in green"), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_that_are_exceeded_are_told_once() {
    let stage = Stage::open().await;
    let budget =
        json!({"amount": 200, "name": "All of it", "alerts": {"actual": [50, 90], "forecast": []}});
    stage.send(Method::PUT, "/costs/budgets/all", budget).await;
    let month = jiff::Timestamp::now()
        .strftime("%Y-%m-01T00:00:00Z")
        .to_string();
    let rows = json!([{"BilledCost": 150, "ServiceName": "a", "ChargePeriodStart": month}]);
    stage.send(Method::POST, "/costs/records", rows).await;
    let customer = stage.customer();
    until(async || !customer.list("").await.is_empty()).await;
    stage.all_again().await;
    let listed = customer.list("").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["event"]["type"], "budget.actual_exceeded");
    assert_eq!(listed[0]["category"], "budget");
    let words = [&listed[0]["title"], &listed[0]["body"]]
        .map(Value::to_string)
        .concat();
    assert!(words.contains("All of it"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_every_kind_come_once_on_two_hosts() {
    let two = Two::start().await;
    let key = two.hosts[0].key("acme", &[]);
    let customers = [0, 1].map(|place| Customer::at(&two.hosts[place], &key));
    let kinds = [
        (
            "endpoint.disabled",
            json!({"endpoint_id": "ep_1", "url": "https://example.com/", "reason": "gone"}),
        ),
        (
            "ticket.created",
            json!({"ticket": {"id": "tkt_1", "subject": "s"}}),
        ),
        (
            "ticket.sla_breached",
            json!({"ticket": {"id": "tkt_1", "subject": "s"}, "sla": {"clock": "resolution"}}),
        ),
        (
            "budget.forecast_exceeded",
            json!({"budget_id": "b", "name": "n", "threshold": 100}),
        ),
        ("unheard.of", json!({"deep": [[[{"a": null}]]]})),
    ];
    let mut stream = customers[1].listen("").await;
    let count = runs(40, 1_000);
    for number in 0..count {
        let (kind, data) = &kinds[number % kinds.len()];
        let told = event(number as u64, kind, data.clone());
        customers[number % 2].tell(&told).await;
        customers[(number + 1) % 2].tell(&told).await;
    }
    until(async || waiting(&two.hosts[0], "notification-events").await == 0).await;
    let listed = customers[0].list("").await;
    let ids: BTreeSet<_> = sources(&listed).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, (0..count as u64).map(event_id).collect());
    assert_eq!(listed.len(), count, "each once");
    let mut told = BTreeSet::new();
    while told.len() < count {
        told.insert(text(&heard(&mut stream).await["event"], "id"));
    }
    assert_eq!(told, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_comes_late_is_news_although_all_were_marked_meanwhile() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let happened = |number: u64, hours: i64| {
        let mut told = event(number, "invoice.paid", json!({}));
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        told["occurred_at"] = json!(at.to_string());
        told
    };
    customer.tell(&happened(1, 2)).await;
    until(async || customer.list("").await.len() == 1).await;
    for path in ["/seen", "/read", "/archive"] {
        customer.done(Method::POST, path, json!({})).await;
    }
    let late = happened(2, 1);
    for _ in 0..2 {
        customer.tell(&late).await;
        until(async || waiting(&inbox.host, "notification-events").await == 0).await;
        let listed = customer.list("").await;
        assert_eq!(sources(&listed).len(), 1, "it is not archived: {listed:?}");
        assert_eq!(text(&listed[0]["event"], "id"), event_id(2));
        assert!(listed[0]["read_at"].is_null(), "nobody has read it");
    }
    assert_eq!(customer.unread("").await, 1);
    customer.done(Method::POST, "/read", json!({})).await;
    customer.tell(&late).await;
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    assert_eq!(customer.unread("").await, 0, "and now it was read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_comes_again_after_its_notification_was_read_or_deleted_changes_nothing() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let events = [1, 2].map(|number| event(number, "invoice.paid", json!({"n": number})));
    for told in &events {
        customer.tell(told).await;
    }
    until(async || customer.list("").await.len() == 2).await;
    let listed = customer.list("").await;
    let path = |place: usize| format!("/{}", text(&listed[place], "id"));
    customer
        .done(Method::PATCH, &path(0), json!({"read": true}))
        .await;
    customer.done(Method::DELETE, &path(1), Value::Null).await;
    for told in &events {
        customer.tell(told).await;
    }
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    let now = customer.list("").await;
    assert_eq!(now.len(), 1);
    assert_eq!(now[0]["id"], listed[0]["id"]);
    assert!(now[0]["read_at"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_is_no_event_is_a_dead_letter_and_stops_no_other() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let wrong = [
        json!({"event_id": "evt_1"}),
        json!([1, 2]),
        json!({"event_id": 7, "type": "a", "occurred_at": "2026-11-23T07:30:00Z", "data": {}}),
        json!({"event_id": event_id(9), "type": "a", "occurred_at": "yesterday", "data": {}}),
    ];
    for told in &wrong {
        customer.tell(told).await;
    }
    customer.tell(&event(1, "invoice.paid", json!({}))).await;
    until(async || customer.list("").await.len() == 1).await;
    until(async || dead(&inbox.host, "notification-events").await == wrong.len()).await;
    let trapped = inbox.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", inbox.host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_although_the_host_is_killed_again_and_again() {
    let mut inbox = Inbox::start();
    let count = runs(10, 100) as u64;
    for round in 0..count {
        for place in 0..5 {
            let told = event(5 * round + place, "invoice.paid", json!({"n": place}));
            inbox.customer().tell(&told).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..60))).await;
        inbox.host.kill();
        tokio::task::block_in_place(|| inbox.host.restart());
    }
    // What a killed host held becomes visible again once its time is over.
    let customer = inbox.customer();
    let mut waited = 0;
    until(async || {
        waited += 10;
        inbox.forward_to(Duration::from_secs(waited));
        customer.list("").await.len() as u64 >= 5 * count
    })
    .await;
    until(async || waiting(&inbox.host, "notification-events").await == 0).await;
    let listed = customer.list("").await;
    let ids: BTreeSet<_> = sources(&listed).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, (0..5 * count).map(event_id).collect());
    assert_eq!(listed.len() as u64, 5 * count, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_and_notifications_tell_each_other() {
    let receiver = Receiver::start().await;
    receiver.answers_at("/gone", Answer::Status(410));
    let inbox = Inbox::start_on(webhooks(Setup::new()).notifications());
    let customer = inbox.customer();
    customer
        .prefer("", json!({"channels": {"webhook": true}}))
        .await;
    let post = async |path: &str, body: Value| {
        let answer = inbox.host.post(path, &inbox.key).json(&body).send().await;
        assert!(answer.unwrap().status().is_success(), "{path}");
    };
    for (path, kinds) in [("/gone", "order.*"), ("/told", "notification.*")] {
        let url = [&receiver.url, path].concat();
        post(
            "/webhooks/endpoints",
            json!({"url": url, "event_types": [kinds]}),
        )
        .await;
    }
    post(
        "/webhooks/events",
        json!({"type": "order.made", "payload": {}}),
    )
    .await;
    let told = || {
        let seen = receiver.seen().into_iter();
        seen.filter(|seen| seen.path == "/told").collect::<Vec<_>>()
    };
    until(async || !told().is_empty()).await;
    let listed = customer.list("").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["event"]["type"], "endpoint.disabled");
    assert_eq!(listed[0]["category"], "endpoint");
    let seen = told();
    assert_eq!(seen.len(), 1);
    let body = seen[0].json();
    assert_eq!(body["type"], "notification.created");
    assert!(body["data"].to_string().contains(&text(&listed[0], "id")));
}
