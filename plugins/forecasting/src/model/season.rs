//! The seasonal component: the month indices of classical decomposition, shrunk by
//! their uncertainty. That replaces a test for seasonality, which only answers yes or
//! no.

use super::scale::Scale;

/// Months of a year.
pub const YEAR: usize = 12;
/// How much of the indices' own uncertainty counts against them (tried on public
/// series between 0 and 3; anything from 1 to 2 does).
const DOUBT: f64 = 1.5;
/// An index below this part of the mean is taken for it.
const INDEX_MIN: f64 = 0.01;

/// What is added in each month of the year, on the scale of the models. The first
/// is the month of the first amount.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Season(pub [f64; YEAR]);

impl Season {
    /// The season of values; none where no month of the year has been seen twice with
    /// half a year on both sides.
    pub fn of(values: &[f64], scale: &Scale) -> Season {
        let parts: Vec<_> = values.iter().map(|value| scale.part(*value)).collect();
        let months = deviations(&parts, scale.is_logarithm());
        let Some(indices) = indices(&months) else {
            return Season::default();
        };
        Season(indices.map(|index| match scale.is_logarithm() {
            true => (1.0 + index).max(INDEX_MIN).ln(),
            false => index,
        }))
    }

    /// Whether the months are all alike.
    pub fn is_flat(&self) -> bool {
        self.0.iter().all(|index| *index == 0.0)
    }

    /// The values without the season.
    pub fn remove(&self, values: &[f64]) -> Vec<f64> {
        let seasons = self.0.iter().cycle();
        values.iter().zip(seasons).map(|(v, s)| v - s).collect()
    }

    /// The months that follow `past` ones.
    pub fn after(&self, past: usize) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().copied().cycle().skip(past % YEAR)
    }
}

/// By month of the year, how far each value is from the mean of the year around
/// it: as a part of it, or as a difference.
fn deviations(parts: &[f64], relative: bool) -> [Vec<f64>; YEAR] {
    let mut months: [Vec<f64>; YEAR] = Default::default();
    for (position, around) in parts.windows(YEAR + 1).enumerate() {
        let ends = [around.first(), around.last()].into_iter().flatten();
        let mean = (around.iter().sum::<f64>() - 0.5 * ends.sum::<f64>()) / YEAR as f64;
        let middle = around.get(YEAR / 2).copied().unwrap_or(mean);
        let deviation = match relative {
            true if mean > 0.0 => middle / mean - 1.0,
            true => 0.0,
            false => middle - mean,
        };
        if let Some(month) = months.get_mut((position + YEAR / 2) % YEAR) {
            month.push(deviation);
        }
    }
    months
}

/// The mean of each month, less what they have in common, shrunk towards nothing.
fn indices(months: &[Vec<f64>; YEAR]) -> Option<[f64; YEAR]> {
    if months.iter().any(Vec::is_empty) {
        return None;
    }
    let mut indices = [0.0; YEAR];
    let (mut errors, mut known) = (0.0, 0.0);
    for (index, month) in indices.iter_mut().zip(months) {
        let count = month.len() as f64;
        *index = month.iter().sum::<f64>() / count;
        if month.len() > 1 {
            let squares = month.iter().map(|own| (own - *index).powi(2)).sum::<f64>();
            errors += squares / (count - 1.0) / count;
            known += 1.0;
        }
    }
    let mean = indices.iter().sum::<f64>() / YEAR as f64;
    let variance = indices.iter().map(|own| (own - mean).powi(2)).sum::<f64>() / (YEAR - 1) as f64;
    if known == 0.0 || variance <= 0.0 {
        return None;
    }
    let trust = (1.0 - DOUBT * (errors / known) / variance).max(0.0);
    Some(indices.map(|index| trust * (index - mean)))
}
