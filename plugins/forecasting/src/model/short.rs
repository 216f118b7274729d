//! Forecasts from short histories, in which a fitted trend or season would be chance.

use super::line::Line;
use super::season::YEAR;

/// How far the level follows each value.
const FOLLOWING: f64 = 0.5;
/// What is left of the drift a month later.
const FADING: f64 = 0.9;

/// A smoothed level and a drift that fades. Of the mean change counts what cannot
/// be chance: steady growth goes on, and one jump says nothing.
pub fn drift(values: &[f64], months: usize) -> Vec<f64> {
    let mut drift = drift_of(values);
    let mut rest = values.iter();
    let mut level = rest.next().copied().unwrap_or_default();
    for value in rest {
        level += drift;
        level += FOLLOWING * (value - level);
    }
    let ahead = (0..months).map(|_| {
        drift *= FADING;
        level += drift;
        level
    });
    ahead.collect()
}

/// The mean change, shrunk by its own uncertainty; the fewer changes there are, the
/// further, as the quantiles of Student's t would.
fn drift_of(values: &[f64]) -> f64 {
    let changes: Vec<_> = values
        .iter()
        .skip(1)
        .zip(values)
        .map(|(next, value)| next - value)
        .collect();
    if changes.len() < 2 {
        return 0.0;
    }
    let count = changes.len() as f64;
    let mean = changes.iter().sum::<f64>() / count;
    let squares: f64 = changes.iter().map(|change| (change - mean).powi(2)).sum();
    let error = squares / (count - 1.0) / count;
    let doubt = 4.0 + 36.0 / (count - 1.0).powi(2);
    match mean * mean > 0.0 {
        true => mean * (1.0 - doubt * error / (mean * mean)).max(0.0),
        false => 0.0,
    }
}

/// The same month of the year before, again and again; the last value where there
/// is no year before.
pub fn seasonal_naive(values: &[f64], months: usize) -> Vec<f64> {
    let year = values.len().checked_sub(YEAR);
    let last = values.get(year.unwrap_or(values.len().saturating_sub(1))..);
    let last = last.unwrap_or_default().iter().copied();
    last.cycle().take(months).collect()
}

/// The same months of the year before, each with what the drift adds in a year.
pub fn year_before(values: &[f64], months: usize) -> Vec<f64> {
    let yearly = drift_of(values) * YEAR as f64;
    let repeated = seasonal_naive(values, months).into_iter().enumerate();
    let years = |position: usize| (position / YEAR + 1) as f64;
    repeated
        .map(|(at, value)| value + yearly * years(at))
        .collect()
}

/// How alike two years are, from 0 to 1: the correlation of values with those of a
/// year before, both without the line through all.
pub fn likeness_of_years(values: &[f64]) -> f64 {
    let line = Line::through(values);
    let bare = values.iter().enumerate();
    let bare: Vec<_> = bare
        .map(|(position, own)| own - line.at(position))
        .collect();
    let (mut before, mut after, mut both) = (0.0, 0.0, 0.0);
    for (own, year_before) in bare.iter().skip(YEAR).zip(&bare) {
        before += year_before * year_before;
        after += own * own;
        both += own * year_before;
    }
    match before * after > 0.0 {
        true => (both / (before * after).sqrt()).clamp(0.0, 1.0),
        false => 0.0,
    }
}
