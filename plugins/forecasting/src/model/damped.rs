//! Exponential smoothing with a trend that fades and a season: ETS(A,Ad,A) of
//! Hyndman and others (2008), on the scale of the models. Its season starts as the
//! shrunk month indices, for there is too little history to fit twelve of them.

use super::line::Line;
use super::minimise::Search;
use super::season::{Season, YEAR};

const EVALUATIONS_MAX: usize = 120;
/// The first level and trend are sought around the line through so many months.
const FIRST_MONTHS: usize = 24;
const FIRST_MONTHS_FLAT: usize = 12;
/// What the level and trend may differ from that line.
const ANYWHERE: f64 = 1e9;

/// The parameters, as the simplex moves them.
struct Parameters {
    /// How fast the level follows, and the trend as a part of that.
    alpha: f64,
    beta: f64,
    /// What is left of the trend a month later.
    phi: f64,
    /// How fast the season follows, as a part of what the level leaves.
    gamma: f64,
    level: f64,
    trend: f64,
}

struct State {
    level: f64,
    trend: f64,
    season: [f64; YEAR],
}

/// Forecasts values, whose season was measured.
pub fn forecast(values: &[f64], season: &Season, months: usize) -> Vec<f64> {
    let flat = season.is_flat();
    let bare = season.remove(values);
    let first = if flat {
        FIRST_MONTHS_FLAT
    } else {
        FIRST_MONTHS
    };
    let line = Line::through(bare.get(..first).unwrap_or(&bare));
    let around = roughness(&bare);
    let within = Search {
        start: [0.4, 0.1, 0.95, 0.1, 0.0, 0.0],
        step: [0.2, 0.1, -0.05, 0.1, 0.5 * around, 0.1 * around],
        lower: [0.01, 0.0, 0.8, 0.0, -ANYWHERE, -ANYWHERE],
        upper: [0.99, 0.3, 0.98, 0.99, ANYWHERE, ANYWHERE],
    };
    let parameters = |[alpha, beta, phi, gamma, level, trend]: &[f64; 6]| Parameters {
        alpha: *alpha,
        beta: alpha * beta,
        phi: *phi,
        gamma: if flat { 0.0 } else { (1.0 - alpha) * gamma },
        level: line.start - line.slope + level,
        trend: line.slope + trend,
    };
    let best = within.minimise(EVALUATIONS_MAX, |at| {
        smooth(values, season, &parameters(at)).0
    });
    let best = parameters(&best);
    let (_, state) = smooth(values, season, &best);
    state.ahead(values.len(), best.phi, months)
}

/// How much the values change from month to month; never nothing, for it is a step.
fn roughness(values: &[f64]) -> f64 {
    let changes = values.iter().skip(1).zip(values);
    let squares: f64 = changes.map(|(next, value)| (next - value).powi(2)).sum();
    (squares / values.len() as f64).sqrt() + 1e-9
}

/// The squared errors of forecasts one month ahead, and the state at the end.
fn smooth(values: &[f64], season: &Season, parameters: &Parameters) -> (f64, State) {
    let Parameters {
        alpha,
        beta,
        phi,
        gamma,
        mut level,
        mut trend,
    } = *parameters;
    let mut season = season.0;
    let mut squares = 0.0;
    for year in values.chunks(YEAR) {
        for (value, month) in year.iter().zip(&mut season) {
            trend *= phi;
            level += trend;
            let error = value - level - *month;
            squares += error * error;
            level += alpha * error;
            trend += beta * error;
            *month += gamma * error;
        }
    }
    let state = State {
        level,
        trend,
        season,
    };
    (squares, state)
}

impl State {
    fn ahead(&self, past: usize, phi: f64, months: usize) -> Vec<f64> {
        let season = Season(self.season);
        let (mut level, mut trend) = (self.level, self.trend);
        let ahead = season.after(past).take(months).map(|month| {
            trend *= phi;
            level += trend;
            level + month
        });
        ahead.collect()
    }
}
