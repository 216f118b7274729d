//! How long something took, each time, in a few buckets. To add to it takes three atomic
//! additions and no lock, and nothing has to be drained.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The bounds that OpenTelemetry recommends for operations of a database, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
const MICROSECONDS: [u64; 9] = [
    1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000,
];

/// Counts by the bucket, the one without a bound last, and their sum.
#[derive(Debug, Default)]
pub struct Distribution {
    counts: [AtomicU64; SECONDS.len() + 1],
    sum_ns: AtomicU64,
}

/// What was counted up to a moment.
pub struct Snapshot {
    /// How many took no longer than that; the last bucket has no bound.
    pub buckets: Vec<(Option<f64>, u64)>,
    pub count: u64,
    /// Seconds.
    pub sum: f64,
}

impl Distribution {
    pub fn record(&self, took: Duration) {
        let microseconds = took.as_nanos().div_ceil(1_000);
        let fits = |bound: &&u64| u128::from(**bound) < microseconds;
        let bucket = MICROSECONDS.iter().take_while(fits).count();
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(nanoseconds(took), Relaxed);
    }

    /// The count is that of the buckets, so that a page never contradicts itself.
    pub fn seen(&self) -> Snapshot {
        let bounds = SECONDS.iter().map(|bound| Some(*bound)).chain([None]);
        let mut count = 0;
        let buckets = bounds.zip(&self.counts).map(|(bound, of)| {
            count += of.load(Relaxed);
            (bound, count)
        });
        let buckets = buckets.collect();
        Snapshot {
            buckets,
            count,
            sum: seconds(self.sum_ns.load(Relaxed)),
        }
    }
}

/// Enough for five centuries.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// For a page: seconds of nanoseconds.
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_observation_is_in_the_buckets_whose_bounds_it_does_not_pass() {
        let distribution = Distribution::default();
        for microseconds in [0, 1_000, 1_001, 7_000_000, 60_000_000] {
            distribution.record(Duration::from_micros(microseconds));
        }
        let seen = distribution.seen();
        let counts: Vec<u64> = seen.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert_eq!(seen.count, 5);
        assert!((seen.sum - 67.002_001).abs() < 1e-9, "{}", seen.sum);
    }

    #[test]
    fn bounds_are_the_same_in_both_units() {
        for (seconds, microseconds) in SECONDS.iter().zip(MICROSECONDS) {
            assert_eq!(
                Duration::from_secs_f64(*seconds),
                Duration::from_micros(microseconds)
            );
        }
    }
}
