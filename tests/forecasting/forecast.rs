//! Forecasts of what was loaded.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Costs, list, month, months_of, number, row};

/// The means of a forecast's months.
fn means(forecast: &Value) -> Vec<f64> {
    list(&forecast["forecast"])
        .iter()
        .map(|month| number(&month["mean"]))
        .collect()
}

fn check_intervals(forecast: &Value) {
    for month in list(&forecast["forecast"]) {
        let of = |name: &str| number(&month[name]);
        assert!(of("lower") <= of("mean"), "{month}");
        assert!(of("mean") <= of("upper"), "{month}");
    }
}

#[tokio::test]
async fn a_forecast_says_what_comes_and_how_sure_that_is() {
    let costs = Costs::open();
    costs.load(&months_of("a", 40, 1.0)).await;
    let forecast = costs.found("/forecast?months=18&level=80").await;
    assert_eq!(means(&forecast).len(), 18);
    check_intervals(&forecast);
    assert_eq!(forecast["forecast"][0]["month"], json!(month(0)));
    assert_eq!(forecast["data_through"], json!(month(-1)));
    assert_eq!(
        (&forecast["model"], &forecast["metric"], &forecast["level"]),
        (&json!("combined"), &json!("BilledCost"), &json!(80))
    );
    assert_eq!(forecast["history_months"], 40);
    let total: f64 = means(&forecast).iter().sum();
    assert!((number(&forecast["total"]["mean"]) - total).abs() < 0.01);
    let smape = number(&forecast["backtest"]["smape"]);
    assert!(smape > 0.0 && smape < 20.0, "{smape}");
    assert!(number(&forecast["backtest"]["mase"]) > 0.0);
    // The same months, whatever else is asked for; and wider where more is to be held.
    let wide = costs.found("/forecast?months=6&level=99").await;
    assert_eq!(means(&wide), means(&forecast)[..6]);
    let width = |own: &Value| number(&own["total"]["upper"]) - number(&own["total"]["lower"]);
    let six = costs.found("/forecast?months=6&level=80").await;
    assert!(width(&wide) > width(&six));
    for (model, chosen) in [
        ("seasonal_naive", "seasonal_naive"),
        ("damped", "damped"),
        ("theta", "theta"),
    ] {
        let single = costs.found(&format!("/forecast?model={model}")).await;
        assert_eq!(single["model"], chosen);
        check_intervals(&single);
    }
}

#[tokio::test]
async fn quantiles_are_answered_beside_the_interval() {
    let costs = Costs::open();
    let mut rows = months_of("a", 40, 1.0);
    rows.extend(months_of("b", 40, 0.3));
    costs.load(&rows).await;
    let path = "/forecast?months=3&level=80&group_by=service&quantiles=0.9,0.1,0.5";
    let forecast = costs.found(path).await;
    let check = |month: &Value| {
        let quantiles = &month["quantiles"];
        assert_eq!(quantiles.as_object().unwrap().len(), 3, "{month}");
        let of = |part: &str| number(&quantiles[part]);
        assert!(of("0.1") < of("0.5") && of("0.5") < of("0.9"), "{month}");
    };
    for month in list(&forecast["forecast"]) {
        check(month);
        // The interval of 80 % ends where a tenth is on each side.
        assert_eq!(month["quantiles"]["0.1"], month["lower"]);
        assert_eq!(month["quantiles"]["0.5"], month["mean"]);
        assert_eq!(month["quantiles"]["0.9"], month["upper"]);
    }
    check(&forecast["total"]);
    for group in list(&forecast["groups"]) {
        list(&group["forecast"]).iter().for_each(check);
    }
    let plain = costs.found("/forecast?months=3&level=80").await;
    assert_eq!(means(&plain), means(&forecast));
    assert_eq!(plain["total"]["quantiles"], Value::Null);
    let own = json!({"history": [100, 110, 105, 120, 118], "months": 1, "quantiles": [0.25]});
    let (status, own) = costs.send(Method::POST, "/forecast", own).await;
    assert_eq!(status, StatusCode::OK, "{own}");
    let quantile = number(&own["forecast"][0]["quantiles"]["0.25"]);
    assert!(quantile < number(&own["forecast"][0]["mean"]), "{own}");
    for quantiles in ["", "0.1,x", "0.0001", "1", "0.5;0.9"] {
        let (status, _) = costs.get(&format!("/forecast?quantiles={quantiles}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{quantiles}");
    }
}

#[tokio::test]
async fn what_is_billed_in_lumps_is_forecast_as_it_is_used() {
    let costs = Costs::open();
    let rows = (1..=26).map(|back| {
        let billed = if back % 12 == 4 { 13_000 } else { 1_000 };
        let mut row = row(-back, "a", &billed.to_string());
        row["EffectiveCost"] = json!(2_000);
        row
    });
    costs.load(&rows.collect::<Vec<_>>()).await;
    let forecast = costs.found("/forecast?group_by=service").await;
    assert_eq!(forecast["metric"], "EffectiveCost");
    let reason = forecast["metric_reason"].as_str().unwrap();
    assert!(reason.contains("BilledCost is irregular"), "{reason}");
    assert_eq!(means(&forecast), [2_000.0; 12]);
    let accuracy = costs.found("/forecast/accuracy").await;
    assert_eq!(accuracy["metric"], "EffectiveCost");
    assert_eq!(accuracy["smape"], forecast["backtest"]["smape"]);
    // What is named is forecast, each payment once and in its month.
    let billed = costs.found("/forecast?metric=BilledCost").await;
    assert_eq!(
        (&billed["metric"], &billed["metric_reason"]),
        (&json!("BilledCost"), &Value::Null)
    );
    for (ahead, mean) in means(&billed).iter().enumerate() {
        let comes = if ahead == 8 { 13_000.0 } else { 1_000.0 };
        assert!((mean - comes).abs() < 0.15 * comes, "{ahead}: {mean}");
    }
    assert_eq!(costs.found("/history").await["metric"], "BilledCost");
}

#[tokio::test]
async fn wrong_parameters_are_named_at_once() {
    let costs = Costs::open();
    let path = "/forecast?months=19&level=49&metric=x&group_by=tag:&currency=usd&model=y&z=1\
        &quantiles=2";
    let (status, problem) = costs.get(path).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(list(&problem["errors"]).len(), 8, "{problem}");
    let in_two = [
        json!({"BilledCost": 1, "BillingCurrency": "USD", "ChargePeriodStart": "2026-01-01"}),
        json!({"BilledCost": 1, "BillingCurrency": "EUR", "ChargePeriodStart": "2026-01-01"}),
    ];
    costs.load(&in_two).await;
    let (status, problem) = costs.get("/forecast").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let error = &problem["errors"][0];
    assert_eq!(error["parameter"], "currency", "{problem}");
    assert!(error["detail"].as_str().unwrap().contains("EUR, USD"));
}

#[tokio::test]
async fn too_few_months_are_422_and_it_says_what_is_missing() {
    let costs = Costs::open();
    let missing = async |path: &str, words: &str| {
        let (status, problem) = costs.get(path).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["type"], "urn:hearth:problem:not-enough-data");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    };
    missing("/forecast", "needs 3 complete months of costs; 0 are there").await;
    costs
        .load(&[row(-2, "a", "1"), row(-1, "a", "2"), row(0, "a", "9")])
        .await;
    missing("/forecast", "2 are there, so 1 more is missing").await;
    missing("/forecast/accuracy", "so 1 more is missing").await;
    missing("/anomalies", "needs 8 complete months").await;
    costs.load(&[row(-3, "a", "1")]).await;
    assert_eq!(means(&costs.found("/forecast?months=2").await).len(), 2);
    missing("/forecast?model=theta", "needs 18 complete months").await;
}

#[tokio::test]
async fn groups_add_up_to_the_total() {
    let costs = Costs::open();
    let mut rows = Vec::new();
    for service in 0..60 {
        let months = 5 + service % 40;
        rows.extend(months_of(
            &format!("s{service:02}"),
            months,
            1.0 / (service + 1) as f64,
        ));
    }
    // Credits, a service that ended, and one that has only begun.
    rows.extend((1..30).map(|back| row(-back, "credit", "-300.10")));
    rows.extend((10..30).map(|back| row(-back, "ended", "55")));
    rows.push(row(-1, "new", "12.34"));
    for (index, row) in rows.iter_mut().enumerate() {
        row["SubAccountId"] = json!(format!("account-{}", index % 3));
        row["Tags"] = json!({"team": format!("team {}", index % 2)});
    }
    costs.load(&rows).await;
    let plain = costs.found("/forecast?months=12").await;
    for (group_by, count) in [
        ("service", 50),
        ("account", 3),
        ("tag:team", 2),
        ("tag:x", 1),
    ] {
        let path = format!("/forecast?months=12&group_by={group_by}");
        let grouped = costs.found(&path).await;
        assert_eq!(
            grouped["forecast"], plain["forecast"],
            "grouping changes no total"
        );
        let groups = list(&grouped["groups"]);
        assert_eq!(groups.len(), count, "{group_by}");
        groups.iter().for_each(check_intervals);
        let totals = means(&grouped);
        for (month, total) in totals.iter().enumerate() {
            let sum: f64 = groups.iter().map(|group| means(group)[month]).sum();
            assert!(
                (sum - total).abs() < 1e-6,
                "{group_by} {month}: {sum} {total}"
            );
        }
    }
    let grouped = costs.found("/forecast?group_by=service").await;
    let others: Vec<_> = list(&grouped["groups"])
        .iter()
        .filter(|group| group["other"] == true)
        .collect();
    assert_eq!(others.len(), 1, "the small ones are one group");
}
