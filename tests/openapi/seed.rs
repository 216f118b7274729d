//! What a customer has before it is asked about.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::host::Host;

/// Tickets of every status that changes, with tags, comments and audits. Answers
/// their ids.
pub async fn tickets(host: &Host, agent: &str, count: usize) -> Vec<String> {
    let new = |number: usize| {
        json!({
            "subject": format!("Printer {number}"),
            "description": "It prints in green.",
            "priority": (["low", "normal", "high", "urgent"][number % 4]),
            "assignee": number.is_multiple_of(3).then_some("eve"),
            "tags": if number.is_multiple_of(2) { vec!["printer"] } else { vec![] },
            "custom_fields": {"floor": number},
        })
    };
    let mut ids = Vec::new();
    for from in (0..count).step_by(100) {
        let all: Vec<Value> = (from..count.min(from + 100)).map(new).collect();
        let request = host.post("/support/tickets/bulk", agent);
        let answer = request.json(&json!({"create": all})).send().await.unwrap();
        let told: Value = answer.json().await.unwrap();
        let results = told["results"].as_array().unwrap().iter();
        ids.extend(results.map(|one| one["ticket"]["id"].as_str().unwrap().to_string()));
    }
    for (number, id) in ids.iter().enumerate() {
        let path = format!("/support/tickets/{id}");
        let comment = host.post(&format!("{path}/comments"), agent);
        let body = json!({"body": "Have you tried blue?", "public": number % 2 == 0});
        let answer = comment.json(&body).send().await.unwrap();
        answer.error_for_status().unwrap();
        let Some(status) = [None, Some("open"), Some("pending"), Some("solved")][number % 4] else {
            continue;
        };
        let change = host.request(Method::PATCH, &path, agent);
        let answer = change.json(&json!({"status": status})).send().await;
        answer.unwrap().error_for_status().unwrap();
    }
    ids
}

/// A calendar, and a policy that holds on to it: what the attack names, and cannot
/// take away.
pub async fn service_levels(host: &Host, agent: &str) {
    let hours = json!({"monday": [{"start": "09:00", "end": "17:00"}]});
    let calendar = json!({"name": "Office", "time_zone": "Europe/Berlin", "hours": hours});
    let policy = json!({"name": "Kept", "calendar_id": "office", "targets": {}});
    for (path, body) in [
        ("/support/calendars/office", calendar),
        ("/support/sla-policies/kept", policy),
    ] {
        let request = host.request(Method::PUT, path, agent).json(&body);
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// Four years of costs, up to this month.
pub async fn costs(host: &Host, key: &str) {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let first = now.date().first_of_month();
    let rows: Vec<_> = (1..=48)
        .map(|back| {
            let month = first.checked_sub(jiff::Span::new().months(back)).unwrap();
            json!({
                "BilledCost": 100 + back * 7 % 31,
                "ServiceName": format!("service {}", back % 3),
                "ChargePeriodStart": month.strftime("%Y-%m-%d").to_string(),
            })
        })
        .collect();
    let answer = host.post("/costs/records", key).json(&rows).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}
