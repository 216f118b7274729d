//! The Theta method (Assimakopoulos and Nikolopoulos 2000): half of a forecast is
//! the line through the history, the other half smooths what deviates from it. The
//! optimised one chooses how much of each (Fiorucci and others 2016).

use super::line::Line;
use super::minimise::Search;

/// The classical weight of the smoothed line: 2 means half and half.
const CLASSICAL: f64 = 2.0;
const EVALUATIONS_MAX: usize = 120;

/// Forecasts values without season, with the weight that fits them best.
pub fn optimised(values: &[f64], months: usize) -> Vec<f64> {
    let smoothed = Smoothed::of(values);
    let within = Search {
        start: [0.4, CLASSICAL],
        step: [0.3, 1.0],
        lower: [0.01, 1.0],
        upper: [0.99, 6.0],
    };
    let [alpha, theta] = within.minimise(EVALUATIONS_MAX, |[alpha, theta]| {
        smoothed.run(*alpha, *theta).0
    });
    smoothed.forecast(alpha, theta, months)
}

/// Forecasts values without season from the means of two months each, with the
/// classical weight: half the noise, and another opinion about the trend.
pub fn of_pairs(values: &[f64], months: usize) -> Vec<f64> {
    let (_, even) = values.split_at(values.len() % 2);
    let pairs = even.chunks(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
    let pairs: Vec<_> = pairs.collect();
    let smoothed = Smoothed::of(&pairs);
    let within = Search {
        start: [0.4],
        step: [0.3],
        lower: [0.01],
        upper: [0.99],
    };
    let [alpha] = within.minimise(EVALUATIONS_MAX, |[alpha]| smoothed.run(*alpha, CLASSICAL).0);
    let forecast = smoothed.forecast(alpha, CLASSICAL, months.div_ceil(2));
    let both = forecast.into_iter().flat_map(|mean| [mean, mean]);
    both.take(months).collect()
}

/// Values and the line through them.
struct Smoothed<'v> {
    values: &'v [f64],
    line: Line,
}

impl<'v> Smoothed<'v> {
    fn of(values: &'v [f64]) -> Self {
        let line = Line::through(values);
        Smoothed { values, line }
    }

    /// The squared errors of forecasts one step ahead, and the level at the end.
    /// The level at the beginning is the best one: errors are linear in it, so it
    /// is found in the same pass.
    fn run(&self, alpha: f64, theta: f64) -> (f64, f64) {
        let weight = 1.0 / theta;
        let (mut level, mut trace) = (0.0, 1.0);
        let (mut squares, mut products, mut traces) = (0.0, 0.0, 0.0);
        for (position, value) in self.values.iter().enumerate() {
            let line = self.line.at(position);
            let error = value - (1.0 - weight) * line - weight * level;
            let share = weight * trace;
            squares += error * error;
            products += error * share;
            traces += share * share;
            level += alpha * (theta * value + (1.0 - theta) * line - level);
            trace *= 1.0 - alpha;
        }
        let first = if traces > 0.0 { products / traces } else { 0.0 };
        (squares - first * products, level + trace * first)
    }

    fn forecast(&self, alpha: f64, theta: f64, steps: usize) -> Vec<f64> {
        let (_, level) = self.run(alpha, theta);
        let weight = 1.0 / theta;
        let past = self.values.len();
        let step = |step| (1.0 - weight) * self.line.at(past + step) + weight * level;
        (0..steps).map(step).collect()
    }
}
