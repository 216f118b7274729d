//! Budgets, and who is told.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::partial::put_clock;
use super::{Costs, list, number};
use crate::harness::fleet::Fleet;

fn row(month: &str, service: &str, cost: f64) -> Value {
    json!({
        "BilledCost": cost,
        "ServiceName": service,
        "ChargePeriodStart": format!("{month}-01T00:00:00Z"),
        "x_RowId": format!("{month}-{service}"),
    })
}

/// Four whole months of 100, on a host whose clock says May 2031.
async fn open(fleet: &Fleet, clock: &tempfile::NamedTempFile) -> Costs {
    put_clock(clock, "2031-05-10T12:00:00Z");
    let path = clock.path().display().to_string();
    let host = fleet.host(|setup| setup.forecasting().env("HEARTH_CLOCK_FILE", &path));
    let costs = Costs::on(host);
    let months = ["2031-01", "2031-02", "2031-03", "2031-04"];
    costs
        .load(&months.map(|month| row(month, "a", 100.0)))
        .await;
    costs
}

/// What lies in a queue, in the order of sending.
async fn sent(fleet: &Fleet, queue: &str) -> Vec<Value> {
    let client = fleet.cluster.connect(None).await;
    let text = "SELECT body, customer, plugin FROM hearth.outbox WHERE queue = $1 ORDER BY place";
    let rows = client.query(text, &[&queue]).await.unwrap();
    let read = rows.iter().map(|row| {
        let (customer, plugin): (String, String) = (row.get(1), row.get(2));
        assert!(customer.starts_with("cus_") && plugin == "forecasting");
        serde_json::from_slice(row.get(0)).unwrap()
    });
    read.collect()
}

fn told(events: &[Value]) -> Vec<(&str, i64)> {
    let of = |event: &'_ Value| event["data"]["threshold"].as_i64().unwrap();
    let told = events.iter();
    told.map(|event| (event["type"].as_str().unwrap(), of(event)))
        .collect()
}

#[tokio::test]
async fn a_budget_is_made_replaced_read_and_deleted() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    let body = json!({"amount": "1000.50", "period": "quarterly", "name": "All of it"});
    let (status, made) = costs.send(Method::PUT, "/budgets/all", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["amount"], "1000.50");
    assert_eq!(made["alerts"], json!({"actual": [100], "forecast": [100]}));
    let standing = &made["status"];
    assert_eq!(standing["period_start"], "2031-04");
    assert_eq!(standing["period_end"], "2031-06");
    assert_eq!(
        (&standing["actual"], &standing["forecast"]),
        (&json!("100"), &json!("300"))
    );
    assert!((number(&standing["forecast_percent"]) - 29.99).abs() < 0.01);
    let answer = costs.answer("/budgets/all").await;
    let etag = answer.headers()["etag"].to_str().unwrap().to_string();
    assert_eq!(answer.json::<Value>().await.unwrap(), made);
    let put = async |tag: &str, amount: i64| {
        let request = costs
            .host
            .request(Method::PUT, "/costs/budgets/all", &costs.key);
        let request = request
            .header("if-match", tag)
            .json(&json!({"amount": amount}));
        request.send().await.unwrap().status()
    };
    assert_eq!(put("\"0\"", 5).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put(&etag, 2_000).await, StatusCode::OK);
    assert_eq!(put(&etag, 3_000).await, StatusCode::PRECONDITION_FAILED);
    // Where it stands is part of what the tag names.
    let tag = async || {
        let answer = costs.answer("/budgets/all").await;
        answer.headers()["etag"].to_str().unwrap().to_string()
    };
    let before = tag().await;
    costs.load(&[row("2031-05", "a", 7.0)]).await;
    assert_ne!(tag().await, before);
    assert_eq!(list(&costs.found("/budgets").await["budgets"]).len(), 1);
    let request = costs.host.get("/costs/budgets/all", &costs.other);
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    let (status, _) = costs
        .send(Method::DELETE, "/budgets/all", Value::Null)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(costs.get("/budgets/all").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn wrong_budgets_are_refused_with_every_mistake() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    let wrong = json!({
        "amount": 0, "currency": "usd", "period": "weekly", "metric": "x", "tag": {"key": ""},
        "alerts": {"actual": [0], "forecast": ["x"], "y": 1},
    });
    let (status, problem) = costs.send(Method::PUT, "/budgets/b", wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(list(&problem["errors"]).len(), 9, "{problem}");
    let (status, _) = costs
        .send(Method::PUT, "/budgets/a%20b", json!({"amount": 1}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for budget in 0..50 {
        let path = format!("/budgets/b{budget}");
        let (status, _) = costs.send(Method::PUT, &path, json!({"amount": 1e9})).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let one_more = costs.send(Method::PUT, "/budgets/one-more", json!({"amount": 1}));
    assert_eq!(one_more.await.0, StatusCode::CONFLICT);
    let again = costs.send(Method::PUT, "/budgets/b7", json!({"amount": 2e9}));
    assert_eq!(again.await.0, StatusCode::OK);
}

#[tokio::test]
async fn each_threshold_is_told_once_a_period_to_both_queues() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    let budget = json!({
        "amount": 200, "service": "a",
        "alerts": {"actual": [50, 90, 100], "forecast": [75, 100]},
    });
    costs.send(Method::PUT, "/budgets/a", budget.clone()).await;
    assert_eq!(told(&sent(&fleet, "webhook-events").await), []);
    // Another service is not what it is about.
    costs.load(&[row("2031-05", "b", 500.0)]).await;
    assert_eq!(sent(&fleet, "webhook-events").await.len(), 0);
    let loaded = costs.load(&[row("2031-05", "a", 190.0)]).await;
    assert_eq!(loaded["budget_alerts"], 3);
    let expected = [
        ("budget.actual_exceeded", 50),
        ("budget.actual_exceeded", 90),
        ("budget.forecast_exceeded", 75),
    ];
    let events = sent(&fleet, "webhook-events").await;
    assert_eq!(told(&events), expected);
    let event = &events[1];
    assert!(event["event_id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(event["occurred_at"].as_str().unwrap()[..10], *"2031-05-10");
    let data = &event["data"];
    assert_eq!(
        (&data["budget_id"], &data["amount"]),
        (&json!("a"), &json!("190"))
    );
    assert_eq!(
        (&data["period_start"], &data["budget_amount"]),
        (&json!("2031-05"), &json!("200"))
    );
    assert_eq!(
        sent(&fleet, "notification-events").await,
        events,
        "the same events"
    );
    // The same load again, and the same budget again, tell nobody anything.
    costs.load(&[row("2031-05", "a", 190.0)]).await;
    costs.send(Method::PUT, "/budgets/a", budget).await;
    assert_eq!(sent(&fleet, "webhook-events").await.len(), 3);
    costs.load(&[row("2031-05", "a", 200.0)]).await;
    assert_eq!(
        told(&sent(&fleet, "webhook-events").await)[3..],
        [
            ("budget.actual_exceeded", 100),
            ("budget.forecast_exceeded", 100),
        ]
    );
    let standing = &costs.found("/budgets/a").await["status"];
    assert_eq!(list(&standing["alerts_sent"]).len(), 5);
    // In the next month all begins anew.
    put_clock(&clock, "2031-06-03T12:00:00Z");
    crate::harness::postgres::until(async || {
        costs.found("/budgets/a").await["status"]["period_start"] == "2031-06"
    })
    .await;
    costs.load(&[row("2031-06", "a", 100.0)]).await;
    let events = sent(&fleet, "webhook-events").await;
    assert_eq!(told(&events)[5], ("budget.actual_exceeded", 50));
    assert_eq!(events[5]["data"]["period_start"], "2031-06");
}

#[tokio::test]
async fn one_load_may_reach_every_threshold_of_as_many_budgets_as_there_may_be() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    let thresholds: Vec<_> = (1..=10).map(|tenth| tenth * 100).collect();
    for number in 0..50 {
        let body = json!({
            "amount": 900, "period": "monthly",
            "alerts": {"actual": thresholds, "forecast": thresholds},
        });
        let path = format!("/budgets/b{number}");
        let (status, made) = costs.send(Method::PUT, &path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }
    let loaded = costs.load(&[row("2031-05", "a", 10_000.0)]).await;
    assert_eq!(loaded["budget_alerts"], 1_000);
    for queue in ["webhook-events", "notification-events"] {
        assert_eq!(sent(&fleet, queue).await.len(), 1_000, "{queue}");
    }
}

#[tokio::test]
async fn what_was_changed_is_another_budget_and_alerts_anew() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    let budget =
        |amount: i64| json!({"amount": amount, "alerts": {"actual": [], "forecast": [100]}});
    costs.send(Method::PUT, "/budgets/a", budget(90)).await;
    costs.send(Method::PUT, "/budgets/a", budget(90)).await;
    assert_eq!(told(&sent(&fleet, "webhook-events").await).len(), 1);
    costs.send(Method::PUT, "/budgets/a", budget(95)).await;
    let events = sent(&fleet, "webhook-events").await;
    assert_eq!(told(&events).len(), 2);
    assert_eq!(events[1]["data"]["amount"], "100");
    // A load that fails tells nobody.
    costs.send(Method::PUT, "/budgets/b", budget(500)).await;
    let lines = [row("2031-05", "a", 9_999.0).to_string(), "{}".into()].join("\n");
    let (status, _) = costs.load_as("application/json", "/records", lines).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(sent(&fleet, "webhook-events").await.len(), 2);
}

#[tokio::test]
async fn a_service_that_ended_is_expected_to_cost_nothing() {
    let fleet = Fleet::start().await;
    let clock = tempfile::NamedTempFile::new().unwrap();
    let costs = open(&fleet, &clock).await;
    put_clock(&clock, "2032-02-10T12:00:00Z");
    let months = (0..13).map(|month| format!("{}-{:02}", 2031 + month / 12, month % 12 + 1));
    let months: Vec<_> = months.collect();
    let mut rows: Vec<_> = months
        .iter()
        .map(|month| row(month, "a", 1_000.0))
        .collect();
    rows.extend(months[..7].iter().map(|month| row(month, "ended", 400.0)));
    costs.load(&rows).await;
    let budget = json!({"amount": 500, "service": "ended", "alerts": {"forecast": [50]}});
    let (_, made) = costs.send(Method::PUT, "/budgets/ended", budget).await;
    assert_eq!(made["status"]["actual"], "0", "{made}");
    assert_eq!(made["status"]["forecast"], "0", "{made}");
    assert_eq!(sent(&fleet, "webhook-events").await, [] as [Value; 0]);
    // So do the groups, and the service that goes on costs what it always did.
    let forecast = costs.found("/forecast?months=3&group_by=service").await;
    for (group, cost) in list(&forecast["groups"]).iter().zip([1_000.0, 0.0]) {
        for month in list(&group["forecast"]) {
            assert_eq!(number(&month["mean"]), cost, "{group}");
            let (lower, upper) = (number(&month["lower"]), number(&month["upper"]));
            assert!(lower <= cost && cost <= upper, "{group}");
        }
    }
}
