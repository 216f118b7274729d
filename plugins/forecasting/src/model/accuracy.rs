//! The measures of the M4 competition (Makridakis and others 2020).

use super::season::YEAR;

/// A forecast amount and the actual one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub forecast: f64,
    pub actual: f64,
}

impl Pair {
    pub fn error(&self) -> f64 {
        (self.actual - self.forecast).abs()
    }

    /// The symmetric percentage of this pair, 0 to 200.
    pub fn symmetric_percentage(&self) -> f64 {
        let both = self.actual.abs() + self.forecast.abs();
        match both > 0.0 {
            true => 200.0 * self.error() / both,
            false => 0.0,
        }
    }
}

/// The mean absolute change from one year to the next, by which MASE scales; from
/// one month to the next where there is no year. `None` where nothing changed.
pub fn naive_error(amounts: &[f64]) -> Option<f64> {
    let lag = if amounts.len() > YEAR { YEAR } else { 1 };
    let changes = amounts.iter().skip(lag).zip(amounts);
    let sum: f64 = changes.map(|(own, before)| (own - before).abs()).sum();
    let count = amounts.len().checked_sub(lag).filter(|count| *count > 0)?;
    Some(sum / count as f64).filter(|error| *error > 0.0)
}

/// The mean; `None` of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), own| (sum + own, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
