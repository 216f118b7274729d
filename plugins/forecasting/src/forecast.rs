//! `GET` and `POST /forecast`.

mod answer;
mod own;

use hearth_plugin::Query;
use hearth_plugin::prelude::*;

use crate::cached;
use crate::costs::{self, Costs, Group, numbers};
use crate::model::{self, Forecast, MONTHS_MAX, Model, Point};
use crate::reconcile;
use crate::selection::Selection;

pub use answer::accuracy_json;
pub use own::post;

const MONTHS: i64 = 12;
pub const LEVEL: i64 = 90;

/// How far ahead, how sure, and by which model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    pub months: usize,
    /// Percent.
    pub level: i64,
    pub model: Model,
}

impl Wish {
    pub fn new(months: i64, level: i64, model: Model) -> Wish {
        Wish {
            months: usize::try_from(months).unwrap_or(1),
            level,
            model,
        }
    }

    fn read(query: &mut Query) -> Wish {
        let months = months(query);
        let level = query.integer("level").range(50..=99).or(LEVEL);
        Wish::new(months, level, model(query))
    }

    /// 422 where so many months are too few.
    pub fn unfulfilled(&self, found: usize) -> Problem {
        let what = format!("a forecast by the model {}", self.model.name());
        costs::not_enough(self.model.months_min(), found, &what)
    }

    /// The part of what comes that an interval holds.
    fn part(&self) -> f64 {
        self.level as f64 / 100.0
    }
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
        wish.model.name().into(),
    ];
    cached::answer(request, "forecast", &parameters, |database| {
        let costs = costs::read(database, &selection)?.ok_or_else(|| wish.unfulfilled(0))?;
        let answer = of_costs(&costs, &selection, &wish)?;
        metrics::count("forecasts_computed", 1, &[]);
        Ok(answer)
    })
}

fn of_costs(costs: &Costs, selection: &Selection, wish: &Wish) -> Result<Value, Problem> {
    let history = numbers(&costs.total);
    let total = forecast(&history, wish)?;
    let mut groups: Vec<_> = costs.groups.iter().map(|own| of_group(own, wish)).collect();
    add_up(&total, &mut groups);
    let groups = answer::rounded_groups(&total, &groups);
    Ok(answer::of_costs(costs, selection, wish, &total, &groups))
}

/// A forecast, or 422 which says what is missing.
pub fn forecast(history: &[Option<f64>], wish: &Wish) -> Result<Forecast, Problem> {
    let forecast = model::forecast(history, wish.months, wish.part(), wish.model);
    forecast.map_err(|error| wish.unfulfilled(error.found))
}

/// The forecast of a group; by what its history allows where it is too short for the
/// model that is wanted.
fn of_group(group: &Group, wish: &Wish) -> Forecast {
    let history = numbers(&group.amounts);
    let by = |model| model::forecast(&history, wish.months, wish.part(), model);
    let nothing = Point {
        mean: 0.0,
        lower: 0.0,
        upper: 0.0,
    };
    by(wish.model)
        .or_else(|_| by(Model::Combined))
        .unwrap_or_else(|_| Forecast::constant(nothing, wish.months))
}

fn add_up(total: &Forecast, groups: &mut [Forecast]) {
    for (month, point) in total.points.iter().enumerate() {
        let months = groups
            .iter_mut()
            .filter_map(|own| own.points.get_mut(month));
        let mut points: Vec<_> = months.collect();
        if !points.is_empty() {
            reconcile::to_total(point.mean, &mut points);
        }
    }
}
