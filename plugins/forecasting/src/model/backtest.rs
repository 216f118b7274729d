//! Forecasts as they would have been made in earlier months, with the actual amounts.
//! Each is exactly the one that the history up to that month gives.

use super::accuracy::{self, Pair, naive_error};
use super::scale::Scale;
use super::spread::Miss;
use super::{HISTORY_MONTHS_MIN, MONTHS_MAX, Model, gaps, project};

/// Forecasts of the past that are made.
const ORIGINS_MAX: usize = 12;
/// Months between two of them, at most.
const STEP_MAX: usize = 3;
/// The first is made from at least so many months, where there are enough.
const TRAINING_MONTHS_MIN: usize = 18;
/// In a shorter history so many months come after the first forecast.
const TESTED_MONTHS: usize = 15;

/// A forecast that was made from the first months of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Months that were known.
    pub training: usize,
    /// The forecast amounts, as far as the history goes.
    pub forecast: Vec<f64>,
    /// The actual amounts; `None` if missing.
    pub actual: Vec<Option<f64>>,
    /// By what its errors are scaled; see [`naive_error`].
    pub naive_error: Option<f64>,
}

impl Origin {
    /// The months of the forecast that can be judged, with their horizon, from 1.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, Pair)> + '_ {
        let months = self.forecast.iter().zip(&self.actual).enumerate();
        months.filter_map(|(position, (forecast, actual))| {
            let pair = Pair {
                forecast: *forecast,
                actual: (*actual)?,
            };
            Some((position + 1, pair))
        })
    }
}

/// How good forecasts were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Percent, 0 to 200; `None` where nothing could be judged.
    pub smape: Option<f64>,
    /// `None` where nothing ever changed.
    pub mase: Option<f64>,
}

/// Forecasts of the past, the latest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backtest {
    /// Of the history that was looked at.
    pub history_months: usize,
    pub origins: Vec<Origin>,
}

impl Backtest {
    /// Of a history without missing months at its edges.
    pub fn of(history: &[Option<f64>], model: Model) -> Backtest {
        let origins = trainings(history.len()).filter_map(|training| {
            let (known, after) = history.split_at_checked(training)?;
            known.last().copied().flatten()?;
            let actual: Vec<_> = after.iter().copied().take(MONTHS_MAX).collect();
            Some(Origin {
                training,
                forecast: project(known, actual.len(), model),
                actual,
                naive_error: naive_error(&gaps::filled(known)),
            })
        });
        Backtest {
            history_months: history.len(),
            origins: origins.collect(),
        }
    }

    /// By how much each of them missed, on a scale.
    pub(super) fn misses(&self, scale: &Scale) -> Vec<Miss> {
        let error = |pair: Pair| scale.value(pair.actual) - scale.value(pair.forecast);
        let origins = self.origins.iter().enumerate();
        let misses = origins.flat_map(|(origin, own)| {
            own.pairs().map(move |(horizon, pair)| Miss {
                position: own.training + horizon - 1,
                origin,
                horizon,
                error: error(pair).abs(),
            })
        });
        misses.collect()
    }

    /// The origins at which a forecast would have been answered.
    pub fn comparable_origins(&self) -> impl Iterator<Item = &Origin> {
        let enough = |origin: &&Origin| origin.training >= HISTORY_MONTHS_MIN;
        self.origins.iter().filter(enough)
    }

    /// How good the answered forecasts were in their first months.
    pub fn accuracy(&self, months: usize) -> Accuracy {
        let pairs = || {
            let all = self.comparable_origins();
            all.flat_map(|own| own.pairs().map(move |(horizon, pair)| (own, horizon, pair)))
                .filter(move |(_, horizon, _)| *horizon <= months)
        };
        let scaled =
            |(origin, _, pair): (&Origin, usize, Pair)| Some(pair.error() / origin.naive_error?);
        Accuracy {
            smape: accuracy::mean(pairs().map(|(_, _, pair)| pair.symmetric_percentage())),
            mase: accuracy::mean(pairs().filter_map(scaled)),
        }
    }
}

/// How many months the forecasts of the past know, the latest first.
fn trainings(months: usize) -> impl Iterator<Item = usize> {
    let least = months
        .saturating_sub(TESTED_MONTHS)
        .clamp(1, TRAINING_MONTHS_MIN);
    let step = months.saturating_sub(least).div_ceil(ORIGINS_MAX);
    let step = step.clamp(1, STEP_MAX);
    let back = (1..=ORIGINS_MAX).map(move |origin| origin * step);
    back.map_while(move |back| months.checked_sub(back))
        .take_while(move |training| *training >= least)
}
