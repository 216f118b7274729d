//! The scale on which the models work. Costs grow by percentages, so it is logarithmic
//! if every amount is above zero; otherwise the amounts themselves are used. Both are
//! in units of the mean absolute amount, so that the currency does not matter.

/// No logarithm is of less than this part of the mean: a month that is all but
/// nothing is an exception, and not a cliff of twenty powers of e.
const PART_MIN: f64 = 1e-4;
/// How far a forecast may go beyond what was ever seen, at least, in the units of
/// the scale: twice the amount, or half of it.
const REACH_MIN: f64 = std::f64::consts::LN_2;
/// How many times further an interval may go.
const INTERVAL_REACH: f64 = 3.0;

/// From amounts to what the models work on, and back.
#[derive(Clone, Debug)]
pub struct Scale {
    logarithm: bool,
    /// The mean absolute amount.
    unit: f64,
    /// The least and the largest value of the history, on this scale.
    least: f64,
    most: f64,
    /// No amount was below zero, or none above.
    sign: Sign,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    NeverNegative,
    NeverPositive,
    Either,
}

impl Scale {
    /// The scale that fits a history.
    pub fn of(amounts: &[f64]) -> Scale {
        let mean = amounts.iter().map(|amount| amount.abs()).sum::<f64>() / amounts.len() as f64;
        let sign = match amounts {
            _ if amounts.iter().all(|amount| *amount >= 0.0) => Sign::NeverNegative,
            _ if amounts.iter().all(|amount| *amount <= 0.0) => Sign::NeverPositive,
            _ => Sign::Either,
        };
        let mut scale = Scale {
            logarithm: amounts.iter().all(|amount| *amount > 0.0),
            unit: if mean > 0.0 { mean } else { 1.0 },
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            sign,
        };
        let values: Vec<_> = amounts.iter().map(|amount| scale.value(*amount)).collect();
        scale.least = values.iter().copied().fold(f64::INFINITY, f64::min);
        scale.most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scale
    }

    /// A value in units of the mean, without logarithm.
    pub fn part(&self, value: f64) -> f64 {
        match self.logarithm {
            true => value.exp(),
            false => value,
        }
    }

    /// An amount on this scale.
    pub fn value(&self, amount: f64) -> f64 {
        match self.logarithm {
            true => (amount / self.unit).max(PART_MIN).ln(),
            false => amount / self.unit,
        }
    }

    /// Whether effects multiply, so that they add up here.
    pub fn is_logarithm(&self) -> bool {
        self.logarithm
    }

    /// The amount of a forecast value, kept within reach of what was seen.
    pub fn forecast(&self, value: f64) -> f64 {
        self.amount(self.within(value, 1.0))
    }

    /// The amounts so far below and above a forecast amount, on this scale.
    pub fn around(&self, forecast: f64, half_width: f64) -> (f64, f64) {
        let value = self.value(forecast);
        let lower = self.amount(self.within(value - half_width, INTERVAL_REACH));
        let upper = self.amount(self.within(value + half_width, INTERVAL_REACH));
        (lower.min(forecast), upper.max(forecast))
    }

    fn within(&self, value: f64, times: f64) -> f64 {
        let reach = times * (self.most - self.least).max(REACH_MIN);
        value.max(self.least - reach).min(self.most + reach)
    }

    fn amount(&self, value: f64) -> f64 {
        let amount = self.part(value) * self.unit;
        match self.sign {
            Sign::NeverNegative => amount.max(0.0),
            Sign::NeverPositive => amount.min(0.0),
            Sign::Either => amount,
        }
    }
}
