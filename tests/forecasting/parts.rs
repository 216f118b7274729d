//! Loads that replace what they cover, that come in parts, and that are taken away.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::records::amounts;
use super::{Costs, list, month};

/// A row of a day of the last month.
fn of_day(day: u32, cost: &str) -> Value {
    json!({
        "BilledCost": cost,
        "BillingPeriodStart": format!("{}-01", month(-1)),
        "ChargePeriodStart": format!("{}-{day:02}T05:00:00Z", month(-1)),
        "ServiceName": "a",
    })
}

impl Costs {
    async fn post(&self, query: &str, rows: &[Value]) -> (StatusCode, Value) {
        let path = format!("/records?{query}");
        self.load_as("application/json", &path, json!(rows).to_string())
            .await
    }

    async fn posted(&self, query: &str, rows: &[Value]) -> Value {
        let (status, body) = self.post(query, rows).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        body
    }

    /// What the last month cost, if anything is known of it.
    async fn last_month(&self) -> Option<String> {
        let history = self.found("/history").await;
        amounts(&history).pop().and_then(|(_, amount)| amount)
    }
}

#[tokio::test]
async fn a_load_replaces_the_days_that_it_covers_and_says_how_much_that_was() {
    let costs = Costs::open();
    let days = |days: std::ops::RangeInclusive<u32>, cost: &str| -> Vec<Value> {
        days.map(|day| of_day(day, cost)).collect()
    };
    costs.posted("", &days(1..=10, "1")).await;
    // The next days of the month take nothing away.
    let loaded = costs.posted("", &days(11..=20, "1")).await;
    assert_eq!(
        (&loaded["records"], &loaded["replaced"]),
        (&json!(10), &json!(0))
    );
    assert_eq!(costs.last_month().await.unwrap(), "20");
    // The same days do, and those between them that have no rows any more.
    let loaded = costs
        .posted("", &[of_day(3, "100"), of_day(12, "100")])
        .await;
    assert_eq!(loaded["replaced"], 10);
    assert_eq!(costs.last_month().await.unwrap(), "210");
    let loaded = costs.posted("source=other", &days(1..=20, "1")).await;
    assert_eq!(loaded["replaced"], 0);
    // A period that is named is replaced as a whole, by nothing too.
    let period = format!("billing_period={}", month(-1));
    let loaded = costs.posted(&period, &days(5..=5, "7")).await;
    assert_eq!(loaded["replaced"], 12);
    assert_eq!(costs.last_month().await.unwrap(), "27");
    let (status, _) = costs
        .post(&format!("billing_period={}", month(-2)), &days(5..=5, "7"))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let path = format!("/records?{period}");
    let (status, emptied) = costs.load_as("text/csv", &path, String::new()).await;
    assert_eq!(status, StatusCode::OK, "{emptied}");
    assert_eq!(
        (&emptied["records"], &emptied["replaced"]),
        (&json!(0), &json!(1))
    );
    let nothing = costs.load_as(
        "text/csv",
        "/records",
        "BilledCost,ChargePeriodStart\n".into(),
    );
    assert_eq!(nothing.await.1["replaced"], 0);
    assert_eq!(costs.last_month().await.unwrap(), "20");
    // An id of its own is replaced wherever it is, and taken away with its period.
    let mut own = of_day(9, "3");
    own["x_RowId"] = json!("own");
    assert_eq!(
        costs
            .posted("source=other", std::slice::from_ref(&own))
            .await["replaced"],
        0
    );
    assert_eq!(
        costs
            .posted("source=other", std::slice::from_ref(&own))
            .await["replaced"],
        1
    );
    assert_eq!(costs.last_month().await.unwrap(), "23");
    let path = format!("/records?source=other&{period}");
    let (status, removed) = costs.send(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{removed}");
    assert_eq!(removed["removed"], 21);
    assert_eq!(removed["months_changed"], json!([month(-1)]));
    assert_eq!(costs.last_month().await, None);
    let (status, _) = costs.send(Method::DELETE, "/records", Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_load_in_parts_counts_as_a_whole_once_its_last_part_has_come() {
    let costs = Costs::open();
    costs.posted("", &[of_day(1, "5"), of_day(28, "5")]).await;
    let mut own = of_day(2, "1000");
    own["x_RowId"] = json!("own");
    let first = costs.posted("load=a&part=1", &[of_day(1, "1"), own]).await;
    assert_eq!(
        first["load"],
        json!({"id": "a", "part": 1, "last": false, "records": 2})
    );
    assert_eq!(first["replaced"], 0);
    let last = [of_day(28, "4")];
    let (status, problem) = costs.post("load=a&part=3&last=true", &last).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(problem["type"], "urn:hearth:problem:parts-missing");
    assert!(
        problem["detail"].as_str().unwrap().contains(": 2;"),
        "{problem}"
    );
    // A part comes again where its answer was lost, with what it is to have.
    costs.posted("load=a&part=2", &[of_day(2, "900")]).await;
    let second = costs.posted("load=a&part=2", &[of_day(2, "2")]).await;
    assert_eq!(second["load"]["records"], 3);
    // Another load goes on meanwhile, and takes nothing of this one away.
    costs.posted("", &[of_day(1, "6"), of_day(28, "6")]).await;
    assert_eq!(costs.last_month().await.unwrap(), "1012");
    let last = costs
        .posted("load=a&part=3&last=true", &[of_day(28, "4")])
        .await;
    assert_eq!(
        (&last["replaced"], &last["load"]["records"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(last["months_changed"], json!([month(-1)]));
    assert_eq!(costs.last_month().await.unwrap(), "1007");
    let again = costs
        .posted("load=a&part=3&last=true", &[of_day(28, "4")])
        .await;
    assert_eq!(again, last, "the last part may come again");
    let (status, problem) = costs.post("load=a&part=4", &[of_day(3, "1")]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:hearth:problem:load-finished");
    // The next load replaces this one.
    costs.posted("load=b&part=2", &[of_day(28, "20")]).await;
    let (status, _) = costs
        .post("load=b&part=1&last=true", &[of_day(1, "10")])
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "part 2 has come");
    costs.posted("load=b&part=1", &[of_day(1, "10")]).await;
    let last = costs.posted("load=b&part=3&last=true", &[]).await;
    assert_eq!(last["replaced"], 3);
    assert_eq!(costs.last_month().await.unwrap(), "1030");
}

#[tokio::test]
async fn of_unfinished_loads_those_are_kept_that_something_came_for() {
    let costs = Costs::open();
    for load in 0..9 {
        costs
            .posted(&format!("load=l{load}&part=1"), &[of_day(1, "1")])
            .await;
        costs.posted("load=l0&part=2", &[of_day(2, "1")]).await;
    }
    // The ninth ended the oldest but the one that went on.
    let (status, problem) = costs.post("load=l1&part=2&last=true", &[]).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let finished = costs.posted("load=l0&part=3&last=true", &[]).await;
    assert_eq!(finished["load"]["records"], 2);
    assert_eq!(costs.last_month().await.unwrap(), "2");
    assert_eq!(list(&costs.found("/history").await["months"]).len(), 1);
    let load = "l".repeat(129);
    for query in [
        "load=a",
        "part=1",
        "last=true",
        &format!("load={load}&part=1"),
    ] {
        assert_eq!(
            costs.post(query, &[]).await.0,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}
