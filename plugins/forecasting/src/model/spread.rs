//! How far a forecast is off, learnt from forecasts that were made at earlier
//! origins: the absolute error as a line that rises with the horizon, and the
//! conformal quantile of what errors are to that line, pooled over all horizons.

/// The errors of one series overlap and depend on each other, so two more than the
/// one of split conformal prediction count as worse than all that were seen.
const UNSEEN: f64 = 3.0;
/// A line is never quite zero, for errors are divided by it.
const BASE_MIN: f64 = 1e-9;

/// How far off forecasts were, by horizon.
#[derive(Clone, Debug)]
pub struct Spread {
    base: f64,
    rise: f64,
    /// Errors in units of the line, in order.
    ratios: Vec<f64>,
}

impl Spread {
    /// Of absolute errors and their horizons, 1 the first month.
    pub fn of(errors: &[(usize, f64)]) -> Spread {
        let (base, rise) = rising_line(errors);
        let ratio = |(horizon, error): &(usize, f64)| error / (base + rise * *horizon as f64);
        let mut ratios: Vec<_> = errors.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        Spread { base, rise, ratios }
    }

    /// Half the width of the interval that holds `level` (0 to 1) of what comes at
    /// a horizon. Beyond what so few errors can say, they count as normal.
    pub fn half_width(&self, level: f64, horizon: usize) -> f64 {
        let count = self.ratios.len() as f64;
        let seen = level.min(count / (count + UNSEEN));
        let rank = ((count + UNSEEN) * seen - 1e-9).ceil().max(1.0) as usize;
        let Some(ratio) = self
            .ratios
            .get(rank.min(self.ratios.len()).saturating_sub(1))
        else {
            return 0.0;
        };
        let beyond = match seen < level {
            true => normal_width(level) / normal_width(seen),
            false => 1.0,
        };
        ratio * beyond * (self.base + self.rise * horizon as f64)
    }
}

/// The line through absolute errors that neither falls nor begins below zero.
fn rising_line(errors: &[(usize, f64)]) -> (f64, f64) {
    let count = errors.len().max(1) as f64;
    let mean = errors.iter().map(|(_, error)| error).sum::<f64>() / count;
    let middle = errors.iter().map(|(at, _)| *at as f64).sum::<f64>() / count;
    let (mut products, mut squares) = (0.0, 0.0);
    let (mut from_zero, mut squares_from_zero) = (0.0, 0.0);
    for (at, error) in errors {
        let (at, distance) = (*at as f64, *at as f64 - middle);
        products += distance * (error - mean);
        squares += distance * distance;
        from_zero += at * error;
        squares_from_zero += at * at;
    }
    let rise = match squares > 0.0 {
        true => (products / squares).max(0.0),
        false => 0.0,
    };
    match mean - rise * middle {
        base if base >= 0.0 || squares_from_zero == 0.0 => (base.max(BASE_MIN), rise),
        _ => (BASE_MIN, from_zero / squares_from_zero),
    }
}

/// How many standard deviations to each side hold so much of a normal distribution.
fn normal_width(level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        match error_function(middle / std::f64::consts::SQRT_2) < level {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}

/// Abramowitz and Stegun 7.1.26, to 1.5e-7, for arguments that are not negative.
fn error_function(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let polynomial = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    1.0 - polynomial * (-x * x).exp()
}
