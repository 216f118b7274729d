//! Forecasts of the caller's own history.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Costs, list, month, number};

async fn of(costs: &Costs, body: Value) -> Value {
    let (status, forecast) = costs.send(Method::POST, "/forecast", body).await;
    assert_eq!(status, StatusCode::OK, "{forecast}");
    for month in list(&forecast["forecast"]) {
        let [lower, mean, upper] = ["lower", "mean", "upper"].map(|name| number(&month[name]));
        assert!(lower <= mean && mean <= upper, "{month}");
    }
    forecast
}

#[tokio::test]
async fn odd_histories_get_a_sane_answer_or_a_clear_422() {
    let costs = Costs::open();
    let jump = [vec![100; 20], vec![90_000; 2]].concat();
    for history in [
        json!([0, 0, 0, 0]),
        json!([0, 0, 5, 7, 0, 9]),
        json!([-5, -6, -7, -8]),
        json!([5, -6, 7, -8, 1000]),
        json!([1, null, null, 4, 5, null]),
        json!(vec![42; 30]),
        json!(jump),
        json!([1e15, 1, 1e-9]),
        json!(["10.50", "11", 12]),
    ] {
        let forecast = of(&costs, json!({"history": history, "months": 18})).await;
        assert_eq!(list(&forecast["forecast"]).len(), 18);
    }
    let constant = of(&costs, json!({"history": vec![42; 30]})).await;
    assert_eq!(constant["forecast"][11]["mean"], 42.0);
    assert_eq!(constant["forecast"][11]["upper"], 42.0);
    for (history, found) in [
        (json!([]), 0),
        (json!([7]), 1),
        (json!([null, 3, null, 4]), 2),
    ] {
        let body = json!({"history": history});
        let (status, problem) = costs.send(Method::POST, "/forecast", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["type"], "urn:hearth:problem:not-enough-data");
        let words = format!("needs 3 complete months of costs; {found} ");
        assert!(
            problem["detail"].as_str().unwrap().contains(&words),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn months_may_be_named_and_this_one_is_not_forecast_from() {
    let costs = Costs::open();
    let history: Vec<_> = [-1, -3, -4, -5, 0]
        .into_iter()
        .map(|from_now| json!({"month": month(from_now), "amount": 100 + from_now}))
        .collect();
    let forecast = of(&costs, json!({"history": history, "months": 2})).await;
    assert_eq!(forecast["data_through"], json!(month(-1)));
    assert_eq!(forecast["forecast"][0]["month"], json!(month(0)));
    let partial = json!({"month": month(0), "amount": 100.0});
    assert_eq!(forecast["partial_month"], partial);
    assert_eq!(forecast["history_months"], 5);
    let old = json!({"history": [1, 2, 3, 4], "start": "2001-11", "months": 1});
    let forecast = of(&costs, old).await;
    assert_eq!(forecast["data_through"], "2002-02");
    assert_eq!(forecast["forecast"][0]["month"], "2002-03");
}

#[tokio::test]
async fn every_wrong_item_is_named() {
    let costs = Costs::open();
    let refused = async |body: Value| {
        let (status, problem) = costs.send(Method::POST, "/forecast", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let errors = list(&problem["errors"]).iter();
        let pointers = errors.map(|error| error["pointer"].as_str().unwrap().to_string());
        pointers.collect::<Vec<_>>()
    };
    let wrong = json!({"history": [1, "x", true, 1e16], "months": 0, "level": 100, "model": "z"});
    let pointers = refused(wrong).await;
    let expected = [
        "/months",
        "/level",
        "/model",
        "/history/1",
        "/history/2",
        "/history/3",
    ];
    assert_eq!(pointers, expected);
    let months = json!({"history": [
        {"month": "2026-01", "amount": 1}, {"month": "2026-01", "amount": 2},
        {"month": "13-2026", "amount": 1}, 5, {"month": "2026-02", "amount": "x"},
    ]});
    let expected = [
        "/history/1/month",
        "/history/2/month",
        "/history/3/month",
        "/history/4/amount",
    ];
    assert_eq!(refused(months).await, expected);
    assert_eq!(refused(json!({})).await, ["/history"]);
    assert_eq!(
        refused(json!({"history": vec![1; 601]})).await,
        ["/history"]
    );
    let far = json!({"history": [{"month": "1900-01", "amount": 1}, {"month": "2020-01"}]});
    assert_eq!(refused(far).await, ["/history"]);
}
