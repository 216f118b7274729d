//! `GET` and `POST /forecast`.

mod answer;
mod from_request;

use hearth_plugin::Query;
use hearth_plugin::prelude::*;

use crate::cached;
use crate::costs::{self, Costs, Group, numbers};
use crate::model::{self, Bounds, Forecast, MONTHS_MAX, Model};
use crate::reconcile;
use crate::selection::Selection;

pub use answer::accuracy_json;
pub use from_request::post;

const MONTHS: i64 = 12;
pub const LEVEL: i64 = 90;
/// Quantiles that may be asked for, and between which.
const QUANTILES_MAX: usize = 20;
const QUANTILE_MIN: f64 = 0.001;

/// How far ahead, how sure, and by which model.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub months: usize,
    /// Percent.
    pub level: i64,
    /// In their order, each once.
    pub quantiles: Vec<f64>,
    pub model: Model,
}

impl Wish {
    pub fn new(months: i64, level: i64, quantiles: Vec<f64>, model: Model) -> Wish {
        Wish {
            months: usize::try_from(months).unwrap_or(1),
            level,
            quantiles,
            model,
        }
    }

    fn read(query: &mut Query) -> Wish {
        let months = months(query);
        let level = query.integer("level").range(50..=99).or(LEVEL);
        let texts = query.text("quantiles");
        let read = |text: String| quantiles(text.split(',').map(|part| part.trim().parse().ok()));
        let quantiles = texts.convert("out_of_range", NO_QUANTILES, read);
        let quantiles = quantiles.or(Vec::new());
        Wish::new(months, level, quantiles, model(query))
    }

    /// 422 where so many months are too few.
    pub fn unfulfilled(&self, found: usize) -> Problem {
        let what = format!("a forecast by the model {}", self.model.name());
        costs::not_enough(self.model.months_min(), found, &what)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            level: self.level as f64 / 100.0,
            quantiles: self.quantiles.clone(),
        }
    }
}

const NO_QUANTILES: &str = "these must be at most 20 numbers from 0.001 to 0.999";

/// Quantiles in their order, each once; `None` where one is none.
fn quantiles(parts: impl Iterator<Item = Option<f64>>) -> Option<Vec<f64>> {
    let is_one = |part: &f64| (QUANTILE_MIN..=1.0 - QUANTILE_MIN).contains(part);
    let quantiles = parts.map(|part| part.filter(is_one));
    let mut quantiles: Vec<f64> = quantiles.collect::<Option<_>>()?;
    quantiles.sort_by(f64::total_cmp);
    quantiles.dedup();
    (quantiles.len() <= QUANTILES_MAX).then_some(quantiles)
}

/// The parameter `months`.
pub fn months(query: &mut Query) -> i64 {
    query
        .integer("months")
        .range(1..=MONTHS_MAX as i64)
        .or(MONTHS)
}

/// The parameter `model`.
pub fn model(query: &mut Query) -> Model {
    let model = query.text("model");
    let model = model.convert("not_allowed", NO_MODEL, |name| model_named(&name));
    model.or(Model::Combined)
}

const NO_MODEL: &str = "this must be one of combined, seasonal_naive, damped, theta";

fn model_named(name: &str) -> Option<Model> {
    Model::ALL.into_iter().find(|model| model.name() == name)
}

/// `GET /forecast`: of what was loaded.
pub fn get(request: &Request) -> Answer {
    let mut query = request.query()?;
    let selection = Selection::read(&mut query);
    let wish = Wish::read(&mut query);
    query.finish()?;
    let parameters = [
        selection.key(),
        wish.months.to_string(),
        wish.level.to_string(),
        json!(wish.quantiles).to_string(),
        wish.model.name().into(),
    ];
    cached::answer(request, "forecast", &parameters, |database| {
        let costs = costs::read_to_forecast(database, &selection)?;
        let costs = costs.ok_or_else(|| wish.unfulfilled(0))?;
        let answer = of_costs(&costs, &selection, &wish)?;
        metrics::count("forecasts_computed", 1, &[]);
        Ok(answer)
    })
}

fn of_costs(costs: &Costs, selection: &Selection, wish: &Wish) -> Result<Value, Problem> {
    let history = numbers(&costs.total);
    let total = forecast(&history, wish)?;
    let mut groups: Vec<_> = costs.groups.iter().map(|own| of_group(own, wish)).collect();
    add_up(&total, &wish.quantiles, &mut groups);
    let groups = answer::rounded_groups(&total, &groups);
    Ok(answer::of_costs(costs, selection, wish, &total, &groups))
}

/// A forecast, or 422 which says what is missing.
pub fn forecast(history: &[Option<f64>], wish: &Wish) -> Result<Forecast, Problem> {
    let forecast = model::forecast(history, wish.months, &wish.bounds(), wish.model);
    forecast.map_err(|error| wish.unfulfilled(error.found))
}

/// The forecast of a group; by what its history allows where it is too short for the
/// model that is wanted.
fn of_group(group: &Group, wish: &Wish) -> Forecast {
    let (history, bounds) = (numbers(&group.amounts), wish.bounds());
    let by = |model| model::forecast(&history, wish.months, &bounds, model);
    by(wish.model)
        .or_else(|_| by(Model::Combined))
        .unwrap_or_else(|_| Forecast::nothing(&bounds, wish.months))
}

fn add_up(total: &Forecast, quantiles: &[f64], groups: &mut [Forecast]) {
    for (month, point) in total.points.iter().enumerate() {
        let months = groups
            .iter_mut()
            .filter_map(|own| own.points.get_mut(month));
        let mut points: Vec<_> = months.collect();
        if !points.is_empty() {
            reconcile::to_total(point.mean, quantiles, &mut points);
        }
    }
}
