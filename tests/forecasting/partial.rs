//! A month that is not over, or not loaded to its end.

use serde_json::{Value, json};

use super::{Costs, list};
use crate::harness::host::Setup;

/// A host whose clock says this instant.
fn at(file: &tempfile::NamedTempFile, now: &str) -> Costs {
    put_clock(file, now);
    let path = file.path().display().to_string();
    Costs::on(
        Setup::new()
            .forecasting()
            .env("HEARTH_CLOCK_FILE", &path)
            .start(),
    )
}

pub fn put_clock(file: &tempfile::NamedTempFile, now: &str) {
    let now: jiff::Timestamp = now.parse().unwrap();
    let ahead = now.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    std::fs::write(file.path(), ahead.to_string()).unwrap();
}

fn row(month: &str, until: &str, cost: f64) -> Value {
    json!({
        "BilledCost": cost,
        "ChargePeriodStart": format!("{month}-01T00:00:00Z"),
        "ChargePeriodEnd": format!("{until}T00:00:00Z"),
    })
}

#[tokio::test]
async fn this_month_is_told_and_not_forecast_from() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let costs = at(&file, "2031-05-10T12:00:00Z");
    let mut rows: Vec<_> = ["2031-01", "2031-02", "2031-03", "2031-04"]
        .map(|month| row(month, &format!("{month}-28"), 100.0))
        .into();
    rows.push(row("2031-05", "2031-05-09", 30.0));
    rows.push(row("2031-07", "2031-08-01", 9_999.0));
    costs.load(&rows).await;
    let forecast = costs.found("/forecast?months=2").await;
    assert_eq!(forecast["data_through"], "2031-04");
    let partial = json!({
        "month": "2031-05", "amount": "30", "charged_until": "2031-05-09T00:00:00.000000Z",
    });
    assert_eq!(forecast["partial_month"], partial);
    assert_eq!(forecast["forecast"][0]["month"], "2031-05");
    assert_eq!(forecast["forecast"][0]["mean"], 100.0);
    let history = costs.found("/history").await;
    let last = list(&history["months"]).last().unwrap();
    let expected = json!({"month": "2031-05", "amount": "30", "complete": false});
    assert_eq!(last, &expected, "what is charged for July is no history");
}

#[tokio::test]
async fn a_last_month_whose_charges_end_early_is_partial_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let costs = at(&file, "2031-06-02T12:00:00Z");
    costs
        .load(&[
            row("2031-02", "2031-03-01", 100.0),
            row("2031-03", "2031-04-01", 100.0),
            row("2031-04", "2031-05-01", 100.0),
            row("2031-05", "2031-05-20", 60.0),
        ])
        .await;
    let early = costs.found("/forecast?months=1").await;
    assert_eq!(early["data_through"], "2031-04");
    assert_eq!(early["partial_month"]["month"], "2031-05");
    costs.load(&[row("2031-05", "2031-06-01", 100.0)]).await;
    let whole = costs.found("/forecast?months=1").await;
    assert_eq!(whole["data_through"], "2031-05");
    assert_eq!(whole["partial_month"], Value::Null);
}
