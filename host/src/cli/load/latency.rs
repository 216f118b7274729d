//! Latencies of one run, in microseconds: what they come to, and how they are
//! spread.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Above the longest `--timeout-ms`, so that no latency is cut.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Percentiles are exact to this many digits.
const DIGITS: u8 = 3;

/// Where buckets begin within a decade: about evenly spaced on a logarithmic
/// scale, and easy to read.
const STEPS: [u64; 6] = [10, 15, 20, 30, 50, 70];

/// What the latencies of the requests that succeeded come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub mean: f64,
    pub min: u64,
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
}

/// How many latencies lie in `from..to`, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub from_us: u64,
    pub to_us: u64,
    pub count: u64,
}

/// Records latencies in a fixed amount of memory.
#[derive(Debug)]
pub struct Latencies {
    values: Histogram<u64>,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
    /// Where each bucket begins; it ends where the next begins.
    edges: Vec<u64>,
    counts: Vec<u64>,
}

impl Latencies {
    pub fn new() -> Result<Latencies, hdrhistogram::CreationError> {
        let edges = edges();
        Ok(Latencies {
            values: Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS)?,
            sum_us: 0,
            min_us: u64::MAX,
            max_us: 0,
            counts: vec![0; edges.len()],
            edges,
        })
    }

    pub fn record(&mut self, latency: Duration) {
        let us =
            u64::try_from(latency.as_micros()).map_or(LATENCY_US_MAX, |us| us.min(LATENCY_US_MAX));
        self.values.saturating_record(us);
        self.sum_us = self.sum_us.saturating_add(us);
        (self.min_us, self.max_us) = (self.min_us.min(us), self.max_us.max(us));
        let after = self.edges.partition_point(|edge| *edge <= us);
        if let Some(count) = self.counts.get_mut(after.saturating_sub(1)) {
            *count += 1;
        }
    }

    /// Nothing where nothing was recorded.
    pub fn summary(&self) -> Option<Summary> {
        let count = self.values.len();
        // A recorded value stands for all that share its first three digits; the
        // highest of them must not lie above the largest that there was.
        let quantile = |q: f64| {
            self.values
                .value_at_quantile(q)
                .clamp(self.min_us, self.max_us)
        };
        (count > 0).then(|| Summary {
            mean: self.sum_us as f64 / count as f64,
            min: self.min_us,
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: self.max_us,
        })
    }

    /// From the bucket of the fastest to that of the slowest, without a gap.
    pub fn buckets(&self) -> Vec<Bucket> {
        let ends = self.edges.iter().skip(1).chain([&u64::MAX]);
        let all = self.edges.iter().zip(ends).zip(&self.counts);
        let mut buckets: Vec<_> = all
            .map(|((from, to), count)| Bucket {
                from_us: *from,
                to_us: *to,
                count: *count,
            })
            .skip_while(|bucket| bucket.count == 0)
            .collect();
        while buckets.last().is_some_and(|bucket| bucket.count == 0) {
            buckets.pop();
        }
        buckets
    }
}

/// 0, 10, 15, 20, 30, 50, 70, 100, 150 ... microseconds.
fn edges() -> Vec<u64> {
    let decades = std::iter::successors(Some(1_u64), |scale| scale.checked_mul(10));
    let edges = decades.flat_map(|scale| STEPS.map(|step| step.saturating_mul(scale)));
    std::iter::once(0)
        .chain(edges.take_while(|edge| *edge <= LATENCY_US_MAX))
        .collect()
}

/// The summary and the buckets of a set of durations.
#[cfg(test)]
fn measured(durations: impl IntoIterator<Item = Duration>) -> (Option<Summary>, Vec<Bucket>) {
    let mut latencies = Latencies::new().unwrap();
    durations
        .into_iter()
        .for_each(|duration| latencies.record(duration));
    (latencies.summary(), latencies.buckets())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn percentiles_of_one_to_a_hundred_are_known() {
        // The order of recording must not matter.
        for durations in [micros(1..=100), micros((1..=100).rev())] {
            let summary = measured(durations).0.unwrap();
            assert_eq!(
                summary,
                Summary {
                    mean: 50.5,
                    min: 1,
                    p50: 50,
                    p95: 95,
                    p99: 99,
                    max: 100
                }
            );
        }
    }

    #[test]
    fn one_latency_is_every_percentile() {
        let summary = measured(micros([123_456])).0.unwrap();
        let us = 123_456;
        assert_eq!(
            summary,
            Summary {
                mean: us as f64,
                min: us,
                p50: us,
                p95: us,
                p99: us,
                max: us
            }
        );
    }

    #[test]
    fn large_percentiles_are_exact_to_three_digits() {
        let summary = measured((1..=1000).map(Duration::from_millis)).0.unwrap();
        for (found, wanted) in [
            (summary.p50, 500_000.0),
            (summary.p95, 950_000.0),
            (summary.p99, 990_000.0),
        ] {
            let off = (found as f64 - wanted).abs() / wanted;
            assert!(off < 0.001, "{found} is not {wanted}");
        }
        assert_eq!((summary.min, summary.max), (1_000, 1_000_000));
    }

    #[test]
    fn one_slow_answer_in_a_hundred_is_seen_in_max_and_not_in_p99() {
        let durations = micros(std::iter::repeat_n(1000, 99).chain([2_000_000]));
        let summary = measured(durations).0.unwrap();
        assert_eq!(
            (summary.p50, summary.p99, summary.max),
            (1000, 1000, 2_000_000)
        );
    }

    #[test]
    fn nothing_recorded_has_no_summary_and_no_buckets() {
        assert_eq!(measured([]), (None, Vec::new()));
    }

    #[test]
    fn edge_belongs_to_the_bucket_that_it_begins() {
        let buckets = measured(micros([0, 9, 10, 14, 15, 49])).1;
        let counts: Vec<_> = buckets
            .iter()
            .map(|bucket| (bucket.from_us, bucket.to_us, bucket.count))
            .collect();
        assert_eq!(
            counts,
            [
                (0, 10, 2),
                (10, 15, 2),
                (15, 20, 1),
                (20, 30, 0),
                (30, 50, 1)
            ]
        );
    }

    #[test]
    fn buckets_count_every_latency_once() {
        let durations = (0..32).map(|power| Duration::from_micros(1 << power));
        let counted: u64 = measured(durations)
            .1
            .iter()
            .map(|bucket| bucket.count)
            .sum();
        assert_eq!(counted, 32);
    }
}
