//! Forecasts of monthly amounts, with intervals. Plain numbers in, plain numbers
//! out: nothing here knows of HTTP or SQL.
//!
//! The default is the plain mean of three models on the logarithm of the amounts:
//! the optimised Theta method, Theta on the means of two months, and damped
//! exponential smoothing. On the 1,428 monthly series of the M3 competition it beats
//! each of the three, and choosing among them by backtest. Short histories get less
//! of a model, for what few months seem to say is mostly chance.
//!
//! ```text
//! 3 to 11 months    a level, and a drift as far as it is no chance
//! 12 to 17          the mean of that and the same month of the year before
//! 18 to 25          the three, and the year before, the more the more alike years are
//! 26 and more       the three
//! ```
//!
//! Before that, outliers and ended levels are removed: see [`baseline`]. The interval
//! of a forecast comes from the errors of earlier ones: see [`spread`].

pub mod accuracy;
mod backtest;
mod baseline;
mod damped;
mod gaps;
mod line;
mod minimise;
mod scale;
mod season;
mod short;
mod spread;
pub mod surprise;
mod theta;

#[cfg(test)]
mod tests;

pub use backtest::{Accuracy, Backtest, Origin};
pub use surprise::{Surprise, surprises};

use baseline::Baseline;
use scale::Scale;
use season::{Season, YEAR};
use spread::{Miss, Spread};

/// How far ahead a forecast may go.
pub const MONTHS_MAX: usize = 18;
/// Months that a history must have.
pub const HISTORY_MONTHS_MIN: usize = 3;
/// Months of history that are looked at, the last ones: what was twelve years ago
/// says less than it costs.
pub const HISTORY_MONTHS_MAX: usize = 144;
/// With fewer months the fitted models say less than a level and a drift.
const FITTED_MONTHS_MIN: usize = 18;
/// With so many months each month of the year was seen twice with its year around.
const SEASON_MONTHS_MIN: usize = 26;
/// What the year before counts at least, between those two.
const YEAR_BEFORE_MIN: f64 = 0.3;

/// Which model to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// What the length of the history allows: see the module.
    Combined,
    SeasonalNaive,
    Damped,
    Theta,
}

impl Model {
    pub const ALL: [Model; 4] = [
        Model::Combined,
        Model::SeasonalNaive,
        Model::Damped,
        Model::Theta,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Model::Combined => "combined",
            Model::SeasonalNaive => "seasonal_naive",
            Model::Damped => "damped",
            Model::Theta => "theta",
        }
    }

    /// Months of history that it wants.
    pub fn months_min(self) -> usize {
        match self {
            Model::Combined => HISTORY_MONTHS_MIN,
            Model::SeasonalNaive => YEAR,
            Model::Damped | Model::Theta => FITTED_MONTHS_MIN,
        }
    }

    /// What it comes to with so many months.
    pub fn chosen(self, months: usize) -> &'static str {
        match self {
            Model::Combined if months < YEAR => "drift",
            Model::Combined if months < FITTED_MONTHS_MIN => "drift+seasonal_naive",
            Model::Combined if months < SEASON_MONTHS_MIN => "combined+seasonal_naive",
            _ => self.name(),
        }
    }
}

/// What is to be said of each month beside its mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The share (0 to 1) of actual amounts that the interval should contain.
    pub level: f64,
    /// The quantiles to return: the amounts below which these shares of actual amounts
    /// should be.
    pub quantiles: Vec<f64>,
}

/// One month of a forecast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
    /// One for each of those that were asked for.
    pub quantiles: Vec<f64>,
}

impl Point {
    /// A mean of which nothing else is known.
    fn at(mean: f64) -> Point {
        Point {
            mean,
            lower: mean,
            upper: mean,
            quantiles: Vec::new(),
        }
    }
}

/// A forecast and how good earlier ones were.
#[derive(Clone, Debug)]
pub struct Forecast {
    pub points: Vec<Point>,
    /// What the model came to.
    pub chosen: &'static str,
    /// Months that it was made of, the first with a cost and what is known after it.
    pub history_months: usize,
    pub backtest: Backtest,
}

impl Forecast {
    /// Of what has no history at all.
    pub fn nothing(bounds: &Bounds, months: usize) -> Forecast {
        let nothing = Point {
            quantiles: vec![0.0; bounds.quantiles.len()],
            ..Point::default()
        };
        Forecast {
            points: vec![nothing; months],
            chosen: "constant",
            history_months: 0,
            backtest: Backtest::default(),
        }
    }
}

/// Too few months to say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEnough {
    pub wanted: usize,
    pub found: usize,
}

/// Forecasts the months after a history, oldest month first, `None` where an amount
/// is missing.
pub fn forecast(
    history: &[Option<f64>],
    months: usize,
    bounds: &Bounds,
    model: Model,
) -> Result<Forecast, NotEnough> {
    let history = gaps::without_edges(history);
    let found = history.iter().flatten().count();
    let wanted = model.months_min();
    if found < wanted {
        return Err(NotEnough { wanted, found });
    }
    let amounts = recent(history);
    let scale = Scale::of(&gaps::filled(amounts));
    let backtest = Backtest::of(history, model);
    let misses = usual_misses(&backtest, amounts, &scale);
    let spread = Spread::of(&misses, amounts.len());
    let means = project(amounts, months, model);
    let mut points: Vec<_> = means.iter().map(|mean| Point::at(*mean)).collect();
    let around = |level: f64| {
        let widths = spread.half_widths(level, months).into_iter();
        let bounds = means.iter().zip(widths);
        bounds.map(|(mean, half_width)| scale.around(*mean, half_width))
    };
    for (point, (lower, upper)) in points.iter_mut().zip(around(bounds.level)) {
        (point.lower, point.upper) = (lower, upper);
    }
    for part in &bounds.quantiles {
        let level = 2.0 * part - 1.0;
        for (point, (lower, upper)) in points.iter_mut().zip(around(level.abs())) {
            point
                .quantiles
                .push(if level < 0.0 { lower } else { upper });
        }
    }
    Ok(Forecast {
        points,
        chosen: model.chosen(amounts.len()),
        history_months: amounts.len(),
        backtest,
    })
}

/// By how much earlier forecasts missed months that were not odd themselves, as hardly
/// any of those to come will be; all of them where there are no others.
fn usual_misses(backtest: &Backtest, amounts: &[Option<f64>], scale: &Scale) -> Vec<Miss> {
    let values = gaps::filled(amounts).into_iter();
    let values: Vec<_> = values.map(|amount| scale.value(amount)).collect();
    let odd = Baseline::of(&values, values.len() >= SEASON_MONTHS_MIN).odd;
    let before = backtest.history_months - values.len();
    let misses = backtest.misses(scale);
    let is_usual = |own: &&Miss| !odd.iter().any(|odd| before + odd == own.position);
    let usual: Vec<_> = misses.iter().filter(is_usual).copied().collect();
    if usual.is_empty() { misses } else { usual }
}

/// The amounts that are expected after a history, alone.
pub fn expected(history: &[Option<f64>], months: usize) -> Result<Vec<f64>, NotEnough> {
    let history = gaps::without_edges(history);
    let found = history.iter().flatten().count();
    match found < HISTORY_MONTHS_MIN {
        true => Err(NotEnough {
            wanted: HISTORY_MONTHS_MIN,
            found,
        }),
        false => Ok(project(history, months, Model::Combined)),
    }
}

fn recent(history: &[Option<f64>]) -> &[Option<f64>] {
    let from = history.len().saturating_sub(HISTORY_MONTHS_MAX);
    history.get(from..).unwrap_or(history)
}

/// The amounts that a model expects after a history, of any length above nothing.
fn project(history: &[Option<f64>], months: usize, model: Model) -> Vec<f64> {
    let amounts = gaps::filled(recent(history));
    let scale = Scale::of(&amounts);
    let values: Vec<_> = amounts.iter().map(|amount| scale.value(*amount)).collect();
    let ahead = match model {
        Model::SeasonalNaive => short::seasonal_naive(&values, months),
        _ => {
            let baseline = Baseline::of(&values, values.len() >= SEASON_MONTHS_MIN);
            let mut ahead = fitted(&baseline.values, &scale, months, model);
            baseline.yearly_after(&mut ahead);
            ahead
        }
    };
    ahead.iter().map(|value| scale.forecast(*value)).collect()
}

fn fitted(values: &[f64], scale: &Scale, months: usize, model: Model) -> Vec<f64> {
    match model {
        Model::Combined => combined(values, scale, months),
        _ if values.len() < FITTED_MONTHS_MIN => short::drift(values, months),
        Model::Damped => damped::forecast(values, &Season::of(values, scale), months),
        _ => {
            let season = Season::of(values, scale);
            let ahead = theta::optimised(&season.remove(values), months);
            plus(&ahead, season.after(values.len()))
        }
    }
}

fn combined(values: &[f64], scale: &Scale, months: usize) -> Vec<f64> {
    let year_before = || short::year_before(values, months);
    match values.len() {
        ..YEAR => short::drift(values, months),
        YEAR..FITTED_MONTHS_MIN => mix(&short::drift(values, months), &year_before(), 0.5),
        FITTED_MONTHS_MIN..SEASON_MONTHS_MIN => {
            let likeness = short::likeness_of_years(values);
            let share = YEAR_BEFORE_MIN + (1.0 - YEAR_BEFORE_MIN) * likeness;
            mix(&three(values, scale, months), &year_before(), share)
        }
        _ => three(values, scale, months),
    }
}

/// The plain mean of the three models.
fn three(values: &[f64], scale: &Scale, months: usize) -> Vec<f64> {
    let season = Season::of(values, scale);
    let bare = season.remove(values);
    let thetas = mix(
        &theta::optimised(&bare, months),
        &theta::of_pairs(&bare, months),
        0.5,
    );
    let thetas = plus(&thetas, season.after(values.len()));
    mix(
        &thetas,
        &damped::forecast(values, &season, months),
        1.0 / 3.0,
    )
}

fn plus(values: &[f64], season: impl Iterator<Item = f64>) -> Vec<f64> {
    values.iter().zip(season).map(|(v, s)| v + s).collect()
}

/// Of two forecasts so much of the second.
fn mix(one: &[f64], other: &[f64], share: f64) -> Vec<f64> {
    let pairs = one.iter().zip(other);
    pairs
        .map(|(one, other)| one + share * (other - one))
        .collect()
}
