//! sMAPE, MASE and OWA as the M4 competition defines them, and what intervals hold.

use super::series::Series;
use super::{Forecast, LEVELS};

const YEAR: usize = 12;

/// The level (percent) that is shown by third of the horizon.
const LEVEL_BY_THIRD: u32 = 90;

/// What stands in each line.
pub fn header() -> String {
    let levels = LEVELS.map(|(level, ..)| format!("{level:6}%"));
    let levels = levels.concat();
    format!(
        "model           series   sMAPE    MASE     OWA  held by{levels}  by thirds of the horizon  \
         ms/series  CPU ms"
    )
}

/// What is measured of one series.
#[derive(Debug, Default)]
pub struct Judged {
    smape: f64,
    mase: Option<f64>,
    held: Held,
    milliseconds: f64,
}

/// Held-out values that intervals held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Held {
    by_level: [usize; LEVELS.len()],
    /// Of one level, and of all values, by third of the horizon.
    by_third: [usize; 3],
    values: [usize; 3],
}

impl Held {
    fn add(&mut self, other: &Held) {
        let sums = [
            (&mut self.by_level[..], &other.by_level[..]),
            (&mut self.by_third[..], &other.by_third[..]),
            (&mut self.values[..], &other.values[..]),
        ];
        for (sums, others) in sums {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
    }
}

impl Judged {
    pub fn of(series: &Series, forecast: &Forecast) -> Judged {
        let horizon = series.held_out.len();
        let mut judged = Judged::default();
        let (mut percentages, mut errors, mut count) = (0.0, 0.0, 0.0);
        for (month, (mean, actual)) in forecast.means.iter().zip(&series.held_out).enumerate() {
            let Some(actual) = actual else {
                continue;
            };
            let error = (actual - mean).abs();
            let both = actual.abs() + mean.abs();
            percentages += if both > 0.0 {
                200.0 * error / both
            } else {
                0.0
            };
            errors += error;
            count += 1.0;
            if let Some(intervals) = forecast.intervals.get(month) {
                let third = month * 3 / horizon;
                judged.held.values[third] += 1;
                for (index, (lower, upper)) in intervals.iter().enumerate() {
                    let is_held = usize::from(lower <= actual && actual <= upper);
                    judged.held.by_level[index] += is_held;
                    if LEVELS[index].0 == LEVEL_BY_THIRD {
                        judged.held.by_third[third] += is_held;
                    }
                }
            }
        }
        if count > 0.0 {
            judged.smape = percentages / count;
            judged.mase = naive_error(&series.known()).map(|naive| errors / count / naive);
        }
        judged
    }

    pub fn took(self, milliseconds: f64) -> Judged {
        Judged {
            milliseconds,
            ..self
        }
    }
}

/// The mean change from a year to the next; `None` where nothing changes.
fn naive_error(history: &[f64]) -> Option<f64> {
    let changes = history.iter().skip(YEAR).zip(history);
    let changes: Vec<_> = changes.map(|(one, other)| (one - other).abs()).collect();
    let mean = changes.iter().sum::<f64>() / changes.len() as f64;
    (mean > 0.0).then_some(mean)
}

/// Means over all series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    pub smape: f64,
    pub mase: f64,
}

/// Reads `16.891,1.0369`: the sMAPE and MASE of another benchmark.
pub fn base(text: &str) -> Option<Means> {
    let (smape, mase) = text.split_once(',')?;
    Some(Means {
        smape: smape.trim().parse().ok()?,
        mase: mase.trim().parse().ok()?,
    })
}

/// The sums over all series.
#[derive(Debug, Default)]
pub struct Sums {
    series: usize,
    smape: f64,
    mase: f64,
    scaled: usize,
    held: Held,
    milliseconds: f64,
    cpu_milliseconds: Option<f64>,
}

impl Sums {
    pub fn add(&mut self, judged: &Judged) {
        self.series += 1;
        self.smape += judged.smape;
        self.mase += judged.mase.unwrap_or_default();
        self.scaled += usize::from(judged.mase.is_some());
        self.milliseconds += judged.milliseconds;
        self.held.add(&judged.held);
    }

    /// The plugin's CPU seconds for so many calls.
    pub fn with_cpu(mut self, seconds: f64, calls: f64) -> Sums {
        self.cpu_milliseconds = (calls > 0.0).then(|| seconds * 1_000.0 / calls);
        self
    }

    pub fn mean(&self) -> Means {
        Means {
            smape: self.smape / self.series as f64,
            mase: self.mase / self.scaled as f64,
        }
    }

    /// A line below [`header`].
    pub fn line(&self, model: &str, base: &Means) -> String {
        let mean = self.mean();
        let owa = (mean.smape / base.smape + mean.mase / base.mase) / 2.0;
        let (series, Means { smape, mase }) = (self.series, mean);
        let mut line = format!("{model:15} {series:6} {smape:7.3} {mase:7.4} {owa:7.4}");
        let values = self.held.values.iter().sum::<usize>();
        if values == 0 {
            return line;
        }
        let percent = |inside: usize, values: usize| 100.0 * inside as f64 / values as f64;
        line += "         ";
        for held in self.held.by_level {
            line += &format!(" {:5.2}%", percent(held, values));
        }
        for (held, values) in self.held.by_third.iter().zip(self.held.values) {
            line += &format!("  {:6.2}%", percent(*held, values));
        }
        let milliseconds = self.milliseconds / self.series as f64;
        line += &format!("  {milliseconds:9.2}");
        if let Some(cpu) = self.cpu_milliseconds {
            line += &format!("  {cpu:6.2}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_m4() {
        let history: Vec<_> = (0..24).map(|month| Some(f64::from(month))).collect();
        let series = Series {
            line: 1,
            history,
            held_out: vec![Some(90.0), None, Some(100.0)],
        };
        let forecast = Forecast {
            means: vec![110.0, 0.0, 100.0],
            intervals: vec![
                [(95.0, 120.0); LEVELS.len()],
                [(0.0, 0.0); LEVELS.len()],
                [(100.0, 101.0); LEVELS.len()],
            ],
        };
        let judged = Judged::of(&series, &forecast);
        assert!((judged.smape - 10.0).abs() < 1e-12);
        assert!((judged.mase.unwrap() - 10.0 / 12.0).abs() < 1e-12);
        let held = &judged.held;
        assert_eq!((held.by_third, held.values), ([0, 0, 1], [1, 0, 1]));
        assert_eq!(held.by_level, [1; LEVELS.len()]);
        let mut sums = Sums::default();
        sums.add(&judged);
        let mean = sums.mean();
        assert!(sums.line("x", &mean).contains(" 1.0000"));
        assert_eq!(base("16.891,1.0369").unwrap().mase, 1.0369);
        assert_eq!(base("x"), None);
    }
}
