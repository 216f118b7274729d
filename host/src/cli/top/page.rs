//! A page of metrics in Prometheus's text format, and sums of its series.

use std::collections::BTreeSet;
use std::io;

use prometheus_parse::{HistogramCount, Sample, Scrape, Value};

/// A label and the value that it must have.
pub type Label<'l> = (&'l str, &'l str);

/// A page of metrics.
pub struct Page {
    samples: Vec<Sample>,
}

impl Page {
    pub fn read(text: &str) -> io::Result<Page> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let samples = Scrape::parse(lines)?.samples;
        Ok(Page { samples })
    }

    /// The values that a label has in a family, in order.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let samples = self.named(name, &[]).into_iter();
        samples
            .filter_map(|sample| sample.labels.get(label))
            .collect()
    }

    /// The sum of all series with these labels.
    pub fn sum(&self, name: &str, labels: &[Label<'_>]) -> f64 {
        let samples = self.named(name, labels).into_iter();
        let numbers = samples.map(|sample| match sample.value {
            Value::Counter(number) | Value::Gauge(number) | Value::Untyped(number) => number,
            Value::Histogram(_) | Value::Summary(_) => 0.0,
        });
        // The sum of nothing would be -0.0.
        numbers.fold(0.0, |sum, number| sum + number)
    }

    /// How many observations were no greater than each bound, of the first series with
    /// these labels.
    fn buckets(&self, name: &str, labels: &[Label<'_>]) -> &[HistogramCount] {
        let mut histograms =
            self.named(name, labels)
                .into_iter()
                .filter_map(|sample| match &sample.value {
                    Value::Histogram(counts) => Some(counts.as_slice()),
                    _ => None,
                });
        histograms.next().unwrap_or_default()
    }

    fn named(&self, name: &str, labels: &[Label<'_>]) -> Vec<&Sample> {
        let is_wanted = |sample: &&Sample| {
            let has = |(label, value): &Label<'_>| sample.labels.get(label) == Some(*value);
            sample.metric == name && labels.iter().all(has)
        };
        self.samples.iter().filter(is_wanted).collect()
    }
}

/// What was observed between two pages: the bound that so many of it did not pass, from
/// 0 to 1. `None` where nothing was.
pub fn quantile(
    before: &Page,
    now: &Page,
    name: &str,
    labels: &[Label<'_>],
    part: f64,
) -> Option<f64> {
    let (before, now) = (before.buckets(name, labels), now.buckets(name, labels));
    let since = |at: usize, bucket: &HistogramCount| {
        let earlier = before.get(at).map_or(0.0, |bucket| bucket.count);
        (bucket.less_than, (bucket.count - earlier).max(0.0))
    };
    let counts: Vec<(f64, f64)> = now.iter().enumerate().map(|(at, b)| since(at, b)).collect();
    let all = counts.last().map(|(_, count)| *count)?;
    let wanted = all * part;
    let bucket = counts.iter().find(|(_, count)| *count >= wanted);
    let largest = counts.iter().rev().find(|(bound, _)| bound.is_finite());
    let bound = bucket.filter(|(bound, _)| bound.is_finite()).or(largest);
    bound.filter(|_| all > 0.0).map(|(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(fast: u32, slow: u32) -> Page {
        let all = fast + slow;
        Page::read(&format!(
            "# TYPE requests counter\nrequests{{plugin=\"a\",status=\"200\"}} {fast}\n\
             requests{{plugin=\"a\",status=\"500\"}} {slow}\nrequests{{plugin=\"b\",status=\"200\"}} 9\n\
             # TYPE seconds histogram\nseconds_bucket{{plugin=\"a\",le=\"0.1\"}} {fast}\n\
             seconds_bucket{{plugin=\"a\",le=\"1\"}} {all}\nseconds_bucket{{plugin=\"a\",le=\"+Inf\"}} {all}\n\
             seconds_sum{{plugin=\"a\"}} 3.5\nseconds_count{{plugin=\"a\"}} {all}\n"
        ))
        .unwrap()
    }

    #[test]
    fn series_are_summed_by_their_labels() {
        let page = page(2, 3);
        assert_eq!(page.sum("requests", &[("plugin", "a")]), 5.0);
        assert_eq!(
            page.sum("requests", &[("plugin", "a"), ("status", "500")]),
            3.0
        );
        assert_eq!(page.sum("requests", &[]), 14.0);
        assert_eq!(page.sum("seconds_sum", &[("plugin", "a")]), 3.5);
        assert_eq!(format!("{}", page.sum("nothing", &[])), "0");
        assert_eq!(
            page.values("requests", "plugin"),
            BTreeSet::from(["a", "b"])
        );
    }

    #[test]
    fn quantile_is_of_what_came_between_two_pages() {
        let (before, now) = (page(100, 0), page(190, 10));
        let of = |part| quantile(&before, &now, "seconds", &[("plugin", "a")], part);
        assert_eq!((of(0.5), of(0.99)), (Some(0.1), Some(1.0)));
        assert_eq!(quantile(&now, &now, "seconds", &[], 0.5), None);
        assert_eq!(quantile(&before, &now, "nothing", &[], 0.5), None);
    }
}
