//! Service levels: policies, calendars, and the clocks of tickets.

mod alerts;
mod clocks;
mod refusals;
mod tier;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, read};

/// A day that is open from its first minute to its last.
fn whole_day() -> Value {
    json!([{"start": "00:00", "end": "24:00"}])
}

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A calendar that never closes.
fn always() -> Value {
    let hours: serde_json::Map<_, _> = WEEKDAYS
        .iter()
        .map(|day| (day.to_string(), whole_day()))
        .collect();
    json!({"name": "Always", "time_zone": "UTC", "hours": hours})
}

/// An hour to the first answer and eight to the solution, half of it where the
/// priority is high; for the tier of the tests' customers.
fn policy(calendar_id: Value) -> Value {
    json!({
        "name": "Gold",
        "calendar_id": calendar_id,
        "tiers": ["unlimited"],
        "targets": {
            "normal": {"first_response_minutes": 60, "resolution_minutes": 480},
            "high": {"first_response_minutes": 30, "resolution_minutes": 240},
            "urgent": {"resolution_minutes": 60},
        },
        "warn_before": {"minutes": 15},
    })
}

impl Support {
    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::PUT, &format!("/support/{path}"), true, body)
            .await
    }

    async fn as_agent(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let path = format!("/support/{path}");
        let request = self.host.request(method, &path, &self.agent);
        read(request.send().await.unwrap()).await
    }

    /// The policy of the tests, with a calendar that never closes.
    async fn promise(&self) {
        let (status, made) = self.put("calendars/always", always()).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let (status, made) = self.put("sla-policies/gold", policy(json!("always"))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }

    async fn sla(&self, id: &str) -> Value {
        let (status, sla) = self.get(&format!("/support/tickets/{id}/sla")).await;
        assert_eq!(status, StatusCode::OK, "{sla}");
        sla
    }
}

/// Microseconds since 1970.
fn micros(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_microsecond()
}

const MINUTE: i64 = 60_000_000;

#[tokio::test]
async fn policies_and_calendars_are_made_replaced_listed_and_removed() {
    let support = Support::open();
    let office = json!({
        "name": "Office",
        "time_zone": "europe/berlin",
        "hours": {
            "monday": [{"start": "13:00", "end": "17:00"}, {"start": "09:00", "end": "12:00"}],
            "friday": [{"start": "20:00", "end": "24:00"}],
        },
        "holidays": ["2026-12-26", "2026-12-25", "2026-12-25"],
    });
    let (status, made) = support.put("calendars/office", office).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["time_zone"], "Europe/Berlin");
    assert_eq!(made["holidays"], json!(["2026-12-25", "2026-12-26"]));
    assert_eq!(made["hours"]["monday"][0]["start"], "09:00");
    assert_eq!(made["hours"]["sunday"], json!([]));
    let (_, found) = support.as_agent(Method::GET, "calendars/office").await;
    assert_eq!(found, made);

    let (status, gold) = support
        .put("sla-policies/gold", policy(json!("office")))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{gold}");
    let (_, found) = support.as_agent(Method::GET, "sla-policies/gold").await;
    assert_eq!(found, gold);
    assert_eq!(gold["targets"]["low"]["resolution_minutes"], Value::Null);
    let (status, in_use) = support.as_agent(Method::DELETE, "calendars/office").await;
    assert_eq!(status, StatusCode::CONFLICT, "{in_use}");

    let (status, changed) = support.put("sla-policies/gold", policy(Value::Null)).await;
    assert_eq!(
        (status, &changed["calendar_id"]),
        (StatusCode::OK, &Value::Null)
    );
    let mut listed = Vec::new();
    let mut path = "sla-policies?limit=2".to_string();
    loop {
        let (_, page) = support.as_agent(Method::GET, &path).await;
        let policies = page["sla_policies"].as_array().unwrap();
        listed.extend(
            policies
                .iter()
                .map(|one| one["id"].as_str().unwrap().to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("sla-policies?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let built_in = ["free", "premium", "standard", "unlimited"];
    let expected: Vec<String> = built_in
        .iter()
        .map(|tier| format!("built-in-{tier}"))
        .collect();
    assert_eq!(listed, [expected, vec!["gold".to_string()]].concat());
    let (_, calendars) = support.as_agent(Method::GET, "calendars").await;
    assert_eq!(calendars["calendars"].as_array().unwrap().len(), 1);
    for path in ["sla-policies/gold", "calendars/office"] {
        let gone = support.as_agent(Method::DELETE, path).await;
        assert_eq!(gone, (StatusCode::NO_CONTENT, Value::Null), "{path}");
        assert_eq!(
            support.as_agent(Method::GET, path).await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            support.as_agent(Method::DELETE, path).await.0,
            StatusCode::NOT_FOUND
        );
    }
}
