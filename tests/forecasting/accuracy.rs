//! `GET /forecast/accuracy` is what a backtest of one's own says.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Costs, cents, list, month, months_of, number};

const MONTHS: i64 = 64;
const AHEAD: usize = 6;

/// The forecast of the first months of the raw history.
async fn forecast_then(costs: &Costs, history: &[f64]) -> Vec<f64> {
    let body = json!({"history": history, "months": AHEAD});
    let (status, forecast) = costs.send(Method::POST, "/forecast", body).await;
    assert_eq!(status, StatusCode::OK, "{forecast}");
    let months = list(&forecast["forecast"]).iter();
    months.map(|month| number(&month["mean"])).collect()
}

/// The mean change from a year to the next.
fn naive_error(history: &[f64]) -> f64 {
    let changes = history.iter().skip(12).zip(history);
    let sum: f64 = changes.map(|(one, other)| (one - other).abs()).sum();
    sum / (history.len() - 12) as f64
}

#[tokio::test]
async fn accuracy_equals_a_backtest_made_of_the_raw_history() {
    let costs = Costs::open();
    costs.load(&months_of("a", MONTHS, 1.0)).await;
    let accuracy = costs
        .found(&format!("/forecast/accuracy?months={AHEAD}"))
        .await;
    let raw: Vec<_> = (0..MONTHS)
        .map(|own| cents(own, 1.0) as f64 / 100.0)
        .collect();

    // Twelve origins, three months apart, the last three months ago.
    let origins: Vec<_> = (1..=12).map(|origin| raw.len() - 3 * origin).collect();
    let answered = list(&accuracy["origins"]);
    let lengths: Vec<_> = answered
        .iter()
        .map(|own| own["history_months"].clone())
        .collect();
    assert_eq!(json!(lengths), json!(origins));

    let (mut percentages, mut scaled) = (Vec::new(), Vec::new());
    for (origin, answered) in origins.iter().zip(answered) {
        let (known, after) = raw.split_at(*origin);
        let through = i64::try_from(*origin).unwrap() - MONTHS - 1;
        assert_eq!(answered["data_through"], json!(month(through)));
        let forecast = forecast_then(&costs, known).await;
        let months = list(&answered["months"]);
        assert_eq!(months.len(), after.len().min(AHEAD));
        for ((forecast, actual), told) in forecast.iter().zip(after).zip(months) {
            assert!(
                (number(&told["forecast"]) - forecast).abs() < 0.011,
                "{told}"
            );
            assert_eq!(number(&told["actual"]), *actual);
            let error = (actual - forecast).abs();
            percentages.push(200.0 * error / (actual.abs() + forecast.abs()));
            scaled.push(error / naive_error(known));
        }
    }
    let mean = |own: &[f64]| own.iter().sum::<f64>() / own.len() as f64;
    let near = |told: &Value, own: f64| (number(told) - own).abs() < 1e-3 * own;
    assert!(near(&accuracy["smape"], mean(&percentages)), "{accuracy}");
    assert!(near(&accuracy["mase"], mean(&scaled)), "{accuracy}");
    let horizons = list(&accuracy["by_horizon"]).iter();
    let counts: u64 = horizons.map(|own| own["forecasts"].as_u64().unwrap()).sum();
    assert_eq!(counts as usize, percentages.len());

    // What a forecast says of its own past is the same.
    let forecast = costs.found(&format!("/forecast?months={AHEAD}")).await;
    assert_eq!(forecast["backtest"]["smape"], accuracy["smape"]);
    assert_eq!(forecast["backtest"]["mase"], accuracy["mase"]);
}
