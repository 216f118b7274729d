//! `GET /forecast/accuracy`: how accurate forecasts of these costs would have been.

use hearth_plugin::prelude::*;

use crate::cached;
use crate::costs::{self, Costs, numbers};
use crate::forecast::{LEVEL, Wish, accuracy_json, forecast, model, months};
use crate::model::accuracy::{Pair, mean};
use crate::model::{Backtest, Origin};
use crate::money::Rounding;
use crate::month::Month;
use crate::selection::Selection;

/// Forecasts as they would have been made in up to twelve earlier months, with the
/// actual costs, and the measures over all of them. Each is the one that `POST
/// /forecast` gives for the costs up to its `data_through`.
pub fn get(request: &Request) -> Answer {
    let mut query = request.query()?;
    let selection = Selection::read(&mut query);
    if selection.group_by.is_some() {
        query.refuse(
            "group_by",
            "not_allowed",
            "accuracy is available only for the total",
        );
    }
    let (months, model) = (months(&mut query), model(&mut query));
    query.finish()?;
    let wish = Wish::new(months, LEVEL, Vec::new(), model);
    let parameters = [selection.key(), months.to_string(), model.name().into()];
    cached::answer(request, "accuracy", &parameters, |database| {
        let costs = costs::read_to_forecast(database, &selection)?;
        let costs = costs.ok_or_else(|| wish.unfulfilled(0))?;
        answer(&costs, &selection, &wish)
    })
}

fn answer(costs: &Costs, selection: &Selection, wish: &Wish) -> Result<Value, Problem> {
    let history = numbers(&costs.total);
    let forecast = forecast(&history, wish)?;
    let rounding = Rounding::of(&forecast);
    let backtest = forecast.backtest;
    let origins = backtest.comparable_origins().map(|origin| {
        // The model looks at the history from its first cost to its last.
        let after = i64::try_from(backtest.history_months - origin.training).unwrap_or(0);
        origin_json(origin, costs.through.plus(-after), wish.months, rounding)
    });
    let origins: Vec<_> = origins.collect();
    let mut answer = accuracy_json(backtest.accuracy(wish.months));
    let horizons: Vec<_> = (1..=wish.months)
        .map(|own| horizon_json(&backtest, own))
        .collect();
    let about = json!({
        "metric": costs.metric.name(),
        "metric_reason": costs.reason(selection),
        "currency": costs.currency,
        "months": wish.months,
        "model": wish.model.name(),
        "data_through": costs.through.to_string(),
        "computed_at": Timestamp::now().to_string(),
        "by_horizon": horizons,
        "origins": origins,
    });
    if let (Some(members), Value::Object(about)) = (answer.as_object_mut(), about) {
        members.extend(about);
    }
    Ok(answer)
}

fn origin_json(origin: &Origin, through: Month, months: usize, rounding: Rounding) -> Value {
    let pairs = origin.pairs().filter(|(horizon, _)| *horizon <= months);
    let months = pairs.map(|(horizon, pair)| {
        let month = through.plus(i64::try_from(horizon).unwrap_or(0));
        json!({
            "month": month.to_string(),
            "forecast": rounding.round(pair.forecast),
            "actual": pair.actual,
        })
    });
    let months: Vec<_> = months.collect();
    json!({
        "data_through": through.to_string(),
        "history_months": origin.training,
        "months": months,
    })
}

fn horizon_json(backtest: &Backtest, horizon: usize) -> Value {
    let pairs = || {
        let all = backtest.comparable_origins().flat_map(Origin::pairs);
        all.filter(move |(own, _)| *own == horizon)
    };
    let smape = mean(pairs().map(|(_, pair)| Pair::symmetric_percentage(&pair)));
    json!({
        "horizon": horizon,
        "forecasts": pairs().count(),
        "smape": smape.map(|own| (own * 1e6).round() / 1e6),
    })
}
