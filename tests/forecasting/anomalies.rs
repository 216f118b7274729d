//! Months that stand out.

use serde_json::{Value, json};

use super::{Costs, decimal, list, month, months_of, row};

fn found(body: &Value) -> Vec<(Value, Value, Value)> {
    let of = |own: &Value| {
        (
            own["month"].clone(),
            own["kind"].clone(),
            own["group"].clone(),
        )
    };
    list(&body["anomalies"]).iter().map(of).collect()
}

#[tokio::test]
async fn a_month_far_from_what_was_expected_is_an_anomaly() {
    let costs = Costs::open();
    let mut rows = months_of("steady", 36, 1.0);
    let spike = |back: i64| {
        if back == 3 {
            90_000
        } else {
            20_000 + back * 13
        }
    };
    rows.extend((1..=36).map(|back| row(-back, "odd", &decimal(spike(back)))));
    costs.load(&rows).await;
    let grouped = costs.found("/anomalies?group_by=service").await;
    let of_odd = json!({"key": "odd", "other": false});
    let expected = (json!(month(-3)), json!("spike"), of_odd);
    assert!(found(&grouped).contains(&expected), "{grouped}");
    let anomalies = list(&grouped["anomalies"]).iter();
    let odd = anomalies
        .clone()
        .find(|own| own["group"]["key"] == "odd" && own["month"] == json!(month(-3)));
    let odd = odd.unwrap();
    assert_eq!(odd["actual"], 900.0);
    let [expected, upper, impact] =
        ["expected", "upper", "impact"].map(|name| super::number(&odd[name]));
    assert!(expected < upper && upper < 900.0, "{odd}");
    assert!((impact - (900.0 - expected)).abs() < 0.011);
    let months: Vec<_> = anomalies
        .map(|own| own["month"].as_str().unwrap())
        .collect();
    assert!(months.is_sorted_by(|one, other| one >= other), "{months:?}");
    let recent = costs.found("/anomalies?group_by=service&months=2").await;
    assert!(found(&recent).iter().all(|own| own.0 != json!(month(-3))));
}

#[tokio::test]
async fn the_usual_month_after_an_odd_one_is_none_and_a_new_level_is_one_once() {
    let costs = Costs::open();
    let level = |back: i64| if back > 5 { 100 } else { 300 };
    let rows = (1..=22).flat_map(|back| {
        let odd = if back == 2 { 10_000 } else { 100 + back % 3 };
        [
            row(-back, "odd", &odd.to_string()),
            row(-back, "new level", &(level(back) + back % 3).to_string()),
        ]
    });
    costs.load(&rows.collect::<Vec<_>>()).await;
    let anomalies = costs.found("/anomalies?group_by=service").await;
    let of = |service: &str| -> Vec<(Value, Value)> {
        let own = found(&anomalies).into_iter();
        let own = own.filter(|own| own.2["key"] == service);
        own.map(|(month, kind, _)| (month, kind)).collect()
    };
    assert_eq!(of("odd"), [(json!(month(-2)), json!("spike"))]);
    assert_eq!(of("new level"), [(json!(month(-5)), json!("spike"))]);
}
