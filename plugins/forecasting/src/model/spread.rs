//! The width of intervals, learnt from forecasts that were made at earlier origins: the
//! absolute error as a line that rises with the horizon, and the conformal quantile of
//! the errors relative to that line, pooled over all horizons.
//!
//! Those forecasts are few and had a shorter history than this one. So their errors are
//! scaled down as a whole and up in the tails, as Student's t relates to the normal
//! distribution. The factors were fitted on public monthly series.

/// The errors of one series overlap and depend on each other, so two more than the
/// one of split conformal prediction count as worse than all that were seen.
const UNSEEN: f64 = 3.0;
/// A line is never quite zero, for errors are divided by it.
const BASE_MIN: f64 = 1e-9;
/// What an origin counts of the one after it.
const FADING: f64 = 0.9;
/// Of the errors of origins that knew much less counts so much: with so many months of
/// history, and with so many.
const PART_SHORT: (f64, f64) = (36.0, 0.85);
const PART_LONG: (f64, f64) = (48.0, 0.78);
/// Degrees of freedom of the distribution of what will be missed by.
const FREEDOM: f64 = 3.5;

/// By how much a forecast that was made at an earlier origin missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Miss {
    /// The month of the history that it missed.
    pub position: usize,
    /// The origin, 0 for the latest.
    pub origin: usize,
    /// 1 for its first month.
    pub horizon: usize,
    /// Without its sign.
    pub error: f64,
}

/// How far off forecasts were, by horizon.
#[derive(Clone, Debug)]
pub struct Spread {
    base: f64,
    rise: f64,
    /// Errors in units of the line, in order, and what those up to there count.
    ratios: Vec<(f64, f64)>,
    /// What part of them counts.
    part: f64,
}

impl Spread {
    /// Of the misses of a history of so many months.
    pub fn of(misses: &[Miss], months: usize) -> Spread {
        let (base, rise) = rising_line(misses);
        let ratio = |own: &Miss| {
            let ratio = own.error / (base + rise * own.horizon as f64);
            (
                ratio,
                FADING.powi(own.origin.try_into().unwrap_or(i32::MAX)),
            )
        };
        let mut ratios: Vec<_> = misses.iter().map(ratio).collect();
        ratios.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut sum = 0.0;
        for (_, weight) in &mut ratios {
            sum += *weight;
            *weight = sum;
        }
        let ((short, of_short), (long, of_long)) = (PART_SHORT, PART_LONG);
        let longer = ((months as f64 - short) / (long - short)).clamp(0.0, 1.0);
        Spread {
            base,
            rise,
            ratios,
            part: of_short + longer * (of_long - of_short),
        }
    }

    /// Half the widths of the intervals that hold `level` (0 to 1) of what comes, for so
    /// many horizons.
    pub fn half_widths(&self, level: f64, months: usize) -> Vec<f64> {
        let ratio = if level > 0.0 { self.ratio(level) } else { 0.0 };
        let line = |horizon: usize| self.base + self.rise * horizon as f64;
        (1..=months).map(|horizon| ratio * line(horizon)).collect()
    }

    /// What so much of what comes misses by at most, in units of the line. Beyond what so
    /// few errors can say, they count as normal.
    fn ratio(&self, level: f64) -> f64 {
        let count = self.ratios.len() as f64;
        let Some((_, all)) = self.ratios.last() else {
            return 0.0;
        };
        let seen = level.min(count / (count + UNSEEN));
        let rank = all * seen * (1.0 + UNSEEN / count) * (1.0 - 1e-9);
        let above = self.ratios.partition_point(|(_, counted)| *counted < rank);
        let ratio = self.ratios.get(above).or(self.ratios.last());
        let width = normal_width(level);
        let beyond = match seen < level {
            true => width / normal_width(seen),
            false => 1.0,
        };
        let heavier = 1.0 + (width * width + 1.0) / (4.0 * FREEDOM);
        ratio.map_or(0.0, |(ratio, _)| *ratio) * beyond * self.part * heavier
    }
}

/// The line through absolute errors that neither falls nor begins below zero.
fn rising_line(misses: &[Miss]) -> (f64, f64) {
    let count = misses.len().max(1) as f64;
    let mean = misses.iter().map(|own| own.error).sum::<f64>() / count;
    let middle = misses.iter().map(|own| own.horizon as f64).sum::<f64>() / count;
    let (mut products, mut squares) = (0.0, 0.0);
    let (mut from_zero, mut squares_from_zero) = (0.0, 0.0);
    for Miss { horizon, error, .. } in misses {
        let (at, distance) = (*horizon as f64, *horizon as f64 - middle);
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
