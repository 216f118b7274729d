//! Months that are far from what the months before them led to expect.

use super::scale::Scale;
use super::{Model, NotEnough, gaps, project};

/// With fewer months there is no telling what is usual.
pub const MONTHS_MIN: usize = 8;
/// Months before the first that is judged.
const TRAINING_MONTHS_MIN: usize = 3;
/// What is usual is learnt from at least so many months, where there are enough.
const JUDGED_MONTHS_MIN: usize = 18;
/// Beyond so many robust standard deviations (Iglewicz and Hoaglin 1993).
const DEVIATIONS: f64 = 3.5;
/// From a median of absolute errors to a standard deviation, where they are normal.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;
/// However steady the costs are, within this part of them nothing is an anomaly.
const PART_MIN: f64 = 0.05;

/// A month that was not to be expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surprise {
    /// Months of the history that came after it.
    pub months_after: usize,
    pub actual: f64,
    pub expected: f64,
    /// Between these it would have been no anomaly.
    pub lower: f64,
    pub upper: f64,
}

/// The surprises among the last months of a history. Each month is expected as the
/// Theta method forecasts it from those before; and as the month before it was, where
/// that was a surprise: then the level has changed, and is no news.
pub fn surprises(history: &[Option<f64>], last: usize) -> Result<Vec<Surprise>, NotEnough> {
    let known = gaps::without_edges(history);
    let found = known.iter().flatten().count();
    if found < MONTHS_MIN {
        return Err(NotEnough {
            wanted: MONTHS_MIN,
            found,
        });
    }
    let judged = last.max(JUDGED_MONTHS_MIN);
    let first = known.len().saturating_sub(judged).max(TRAINING_MONTHS_MIN);
    let scale = Scale::of(&gaps::filled(known));
    let steps: Vec<_> = (first..known.len())
        .filter_map(|position| step(known, position))
        .collect();
    let half_width = usual(&steps, &scale);
    let mut surprises = Vec::new();
    let mut new_level: Option<f64> = None;
    for step in steps {
        let (lower, upper) = scale.around(step.expected, half_width);
        let is_usual = |level: f64| {
            let (lower, upper) = scale.around(level, half_width);
            (lower..=upper).contains(&step.actual)
        };
        let is_outside = !(lower..=upper).contains(&step.actual);
        let is_known = new_level.is_some_and(is_usual);
        new_level = is_outside.then_some(step.actual);
        if is_outside && !is_known && step.months_after < last {
            surprises.push(Surprise {
                lower,
                upper,
                ..step
            });
        }
    }
    Ok(surprises)
}

/// A month beside what was expected of it.
fn step(known: &[Option<f64>], position: usize) -> Option<Surprise> {
    let actual = known.get(position).copied().flatten()?;
    let before = gaps::known(known.get(..position)?);
    let gap = position - before.len();
    let expected = project(before, gap + 1, Model::Theta).last().copied()?;
    Some(Surprise {
        months_after: known.len() - position - 1,
        actual,
        expected,
        lower: expected,
        upper: expected,
    })
}

/// How far off a month may be, on the scale.
fn usual(steps: &[Surprise], scale: &Scale) -> f64 {
    let error = |step: &Surprise| (scale.value(step.actual) - scale.value(step.expected)).abs();
    let mut errors: Vec<_> = steps.iter().map(error).collect();
    errors.sort_by(f64::total_cmp);
    let median = errors.get(errors.len() / 2).copied().unwrap_or_default();
    (DEVIATIONS * MEDIAN_TO_DEVIATION * median).max(PART_MIN)
}
