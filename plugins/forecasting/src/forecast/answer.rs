//! The answer of a forecast, as JSON.

use hearth_plugin::prelude::*;

use super::Wish;
use crate::costs::{Costs, Partial};
use crate::model::{Accuracy, Forecast, Point};
use crate::money::Rounding;
use crate::month::Month;
use crate::selection::{GroupBy, Selection};

/// The answer to `GET /forecast`.
pub fn of_costs(
    costs: &Costs,
    selection: &Selection,
    wish: &Wish,
    total: &Forecast,
    groups: &[Vec<Point>],
) -> Value {
    let rounding = Rounding::of(total);
    let mut answer = of_history(costs.through, total, wish);
    let first = costs.through.plus(1);
    let groups = costs.groups.iter().zip(groups).map(|(group, points)| {
        let mut answer = group.key.to_json();
        add(&mut answer, "forecast", points_json(first, points, wish));
        add(&mut answer, "total", total_json(points, wish, rounding));
        answer
    });
    let groups: Vec<_> = groups.collect();
    add(&mut answer, "metric", costs.metric.name().into());
    add(&mut answer, "metric_reason", costs.reason(selection).into());
    add(&mut answer, "currency", costs.currency.as_str().into());
    let partial = costs.partial.as_ref().map(Partial::to_json);
    add(&mut answer, "partial_month", partial.into());
    let group_by = selection.group_by.as_ref().map(GroupBy::name);
    add(&mut answer, "group_by", group_by.into());
    add(&mut answer, "groups", groups.into());
    answer
}

/// The answer for a history whose last whole month is `through`.
pub fn of_history(through: Month, forecast: &Forecast, wish: &Wish) -> Value {
    let rounding = Rounding::of(forecast);
    let points = forecast.points.iter().map(|own| rounded(own, rounding));
    let points: Vec<_> = points.collect();
    json!({
        "months": wish.months,
        "level": wish.level,
        "model": forecast.chosen,
        "history_months": forecast.history_months,
        "data_through": through.to_string(),
        "computed_at": Timestamp::now().to_string(),
        "forecast": points_json(through.plus(1), &points, wish),
        "total": total_json(&points, wish, rounding),
        "backtest": accuracy_json(forecast.backtest.accuracy(wish.months)),
    })
}

/// What says how good forecasts were.
pub fn accuracy_json(accuracy: Accuracy) -> Value {
    let rounded = |own: Option<f64>| own.map(|own| (own * 1e6).round() / 1e6);
    json!({"smape": rounded(accuracy.smape), "mase": rounded(accuracy.mase)})
}

/// The points of all groups, rounded so that they still add up to the total.
pub fn rounded_groups(total: &Forecast, groups: &[Forecast]) -> Vec<Vec<Point>> {
    let rounding = Rounding::of(total);
    let mut all = vec![Vec::new(); groups.len()];
    for (month, sum) in total.points.iter().enumerate() {
        let points = groups.iter().filter_map(|own| own.points.get(month));
        let points: Vec<_> = points.collect();
        let means: Vec<_> = points.iter().map(|point| point.mean).collect();
        let means = rounding.round_to_sum(&means, sum.mean);
        for (group, (point, mean)) in all.iter_mut().zip(points.iter().zip(means)) {
            let point = rounded(point, rounding);
            group.push(Point {
                mean,
                lower: point.lower.min(mean),
                upper: point.upper.max(mean),
                quantiles: point.quantiles,
            });
        }
    }
    all
}

fn rounded(point: &Point, rounding: Rounding) -> Point {
    let quantiles = point.quantiles.iter();
    Point {
        mean: rounding.round(point.mean),
        lower: rounding.round(point.lower),
        upper: rounding.round(point.upper),
        quantiles: quantiles.map(|own| rounding.round(*own)).collect(),
    }
}

fn points_json(first: Month, points: &[Point], wish: &Wish) -> Value {
    let months = points.iter().zip(0..).map(|(point, months)| {
        let mut json = point_json(point, wish);
        add(&mut json, "month", first.plus(months).to_string().into());
        json
    });
    months.collect::<Vec<_>>().into()
}

fn point_json(point: &Point, wish: &Wish) -> Value {
    let mut json = json!({"mean": point.mean, "lower": point.lower, "upper": point.upper});
    if !wish.quantiles.is_empty() {
        let quantiles = wish.quantiles.iter().zip(&point.quantiles);
        let quantiles = quantiles.map(|(part, value)| (part.to_string(), Value::from(*value)));
        add(&mut json, "quantiles", Value::Object(quantiles.collect()));
    }
    json
}

/// The sum of all months. Its interval is that of months which all miss to the same
/// side, as those of one forecast mostly do.
fn total_json(points: &[Point], wish: &Wish, rounding: Rounding) -> Value {
    let mut total = Point {
        quantiles: vec![0.0; wish.quantiles.len()],
        ..Point::default()
    };
    for point in points {
        total.mean += point.mean;
        total.lower += point.lower;
        total.upper += point.upper;
        for (sum, value) in total.quantiles.iter_mut().zip(&point.quantiles) {
            *sum += value;
        }
    }
    point_json(&rounded(&total, rounding), wish)
}

fn add(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.into(), value);
    }
}
