//! Naive2, the benchmark of the M4 competition: the last value, without the season
//! where a test finds one, which is then put back (Makridakis and others 2020; the
//! competition's own code for the test and the decomposition).

const YEAR: usize = 12;
/// Two-sided, at 90 %.
const CRITICAL: f64 = 1.645;

/// The months after a history.
pub fn forecast(history: &[f64], months: usize) -> Vec<f64> {
    let indices = match is_seasonal(history) {
        true => indices(history),
        false => [1.0; YEAR],
    };
    let at = |position: usize| indices[position % YEAR];
    let last = history[history.len() - 1] / at(history.len() - 1);
    (0..months)
        .map(|month| last * at(history.len() + month))
        .collect()
}

/// Whether the autocorrelation of a year is more than chance.
fn is_seasonal(history: &[f64]) -> bool {
    let count = history.len() as f64;
    if history.len() < 3 * YEAR {
        return false;
    }
    let mean = history.iter().sum::<f64>() / count;
    let deviations: Vec<_> = history.iter().map(|value| value - mean).collect();
    let product = |lag: usize| -> f64 {
        let pairs = deviations.iter().skip(lag).zip(&deviations);
        pairs.map(|(one, other)| one * other).sum()
    };
    let correlation = |lag| product(lag) / product(0);
    let before: f64 = (1..YEAR).map(|lag| correlation(lag).powi(2)).sum();
    let limit = CRITICAL * ((1.0 + 2.0 * before) / count).sqrt();
    correlation(YEAR).abs() > limit
}

/// The indices of classical multiplicative decomposition.
fn indices(history: &[f64]) -> [f64; YEAR] {
    let mut ratios: [Vec<f64>; YEAR] = Default::default();
    for (position, around) in history.windows(YEAR + 1).enumerate() {
        let sum: f64 = around.iter().sum::<f64>() - (around[0] + around[YEAR]) / 2.0;
        let ratio = around[YEAR / 2] / (sum / YEAR as f64);
        ratios[(position + YEAR / 2) % YEAR].push(ratio);
    }
    let means = ratios.map(|own| own.iter().sum::<f64>() / own.len() as f64);
    let all = means.iter().sum::<f64>() / YEAR as f64;
    let indices = means.map(|mean| mean / all);
    match indices
        .iter()
        .all(|index| index.is_finite() && *index != 0.0)
    {
        true => indices,
        false => [1.0; YEAR],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_is_kept_and_chance_is_not() {
        let seasonal: Vec<_> = (0..48)
            .map(|month| 100.0 + 50.0 * f64::from(month % 12))
            .collect();
        let ahead = forecast(&seasonal, 12);
        for (month, value) in ahead.iter().enumerate() {
            assert!((value - seasonal[month]).abs() < 1e-6, "{month}: {value}");
        }
        let flat: Vec<_> = (0..48)
            .map(|month| 100.0 + f64::from(month * 7919 % 13))
            .collect();
        assert_eq!(forecast(&flat, 2), [flat[47]; 2]);
        assert_eq!(forecast(&[3.0], 2), [3.0; 2]);
        assert_eq!(forecast(&[5.0; 40], 1), [5.0]);
    }
}
