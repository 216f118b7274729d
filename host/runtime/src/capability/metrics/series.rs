//! The series of one plugin: which names and labels are taken, and how many.

use std::collections::HashMap;

use metrics::{Counter, Histogram};
use parking_lot::RwLock;

use super::{Config, Error};
use hearth_base::telemetry::Metrics;

/// Ends of names that a counter or a histogram makes of itself. A histogram with
/// one of them could collide with another metric and spoil the whole page.
const ENDS_RESERVED: [&str; 6] = ["_total", "_sum", "_count", "_bucket", "_created", "_info"];
/// Labels that the host or Prometheus writes.
const LABELS_RESERVED: [&str; 3] = ["plugin", "le", "quantile"];

pub(super) struct Series {
    plugin: String,
    config: Config,
    metrics: Metrics,
    handles: RwLock<HashMap<SeriesKey, Handle>>,
}

/// A name as the guest gave it.
pub(super) struct MetricName<'n> {
    pub base: &'n str,
    pub suffix: &'n str,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Histogram,
}

/// The full name and the labels in the order of their names.
type SeriesKey = (String, Vec<(String, String)>);

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Histogram(Histogram),
}

impl Series {
    pub(super) fn new(plugin: &str, config: Config, metrics: Metrics) -> Self {
        let plugin = plugin.to_owned();
        Self {
            plugin,
            config,
            metrics,
            handles: RwLock::default(),
        }
    }

    pub(super) fn count(
        &self,
        name: &MetricName<'_>,
        by: u64,
        labels: Vec<(String, String)>,
    ) -> Result<(), Error> {
        if let Handle::Counter(counter) = self.handle(name, labels)? {
            counter.increment(by);
        }
        Ok(())
    }

    pub(super) fn observe(
        &self,
        name: &MetricName<'_>,
        value: f64,
        labels: Vec<(String, String)>,
    ) -> Result<(), Error> {
        if !value.is_finite() {
            return Err(Error::Value);
        }
        if let Handle::Histogram(histogram) = self.handle(name, labels)? {
            histogram.record(value);
        }
        Ok(())
    }

    fn handle(
        &self,
        name: &MetricName<'_>,
        labels: Vec<(String, String)>,
    ) -> Result<Handle, Error> {
        let key = (self.full_name(name)?, self.checked(labels)?);
        if let Some(handle) = self.handles.read().get(&key) {
            return Ok(handle.clone());
        }
        let mut handles = self.handles.write();
        if !handles.contains_key(&key) && handles.len() >= self.config.series_max {
            return Err(Error::Series);
        }
        let handle = handles
            .entry(key)
            .or_insert_with_key(|key| self.register(name.kind, key));
        Ok(handle.clone())
    }

    fn register(&self, kind: Kind, (name, labels): &SeriesKey) -> Handle {
        let own = labels
            .iter()
            .map(|(label, value)| (label.as_str(), value.as_str()));
        let labels: Vec<(&str, &str)> = own.chain([("plugin", &*self.plugin)]).collect();
        match kind {
            Kind::Counter => {
                self.metrics
                    .describe_counter(name, "Counter defined by a plugin.");
                Handle::Counter(self.metrics.counter(name, &labels))
            }
            Kind::Histogram => {
                self.metrics
                    .describe_histogram(name, "Histogram defined by a plugin.");
                Handle::Histogram(self.metrics.histogram(name, &labels))
            }
        }
    }

    /// Every counter ends in `_total` and no histogram does, so one name never
    /// has two kinds, over all plugins.
    fn full_name(&self, name: &MetricName<'_>) -> Result<String, Error> {
        let suffix_allowed = name.suffix.is_empty() || is_name(name.suffix);
        if !is_name(name.base) || !suffix_allowed {
            return Err(Error::Name);
        }
        let base = match name.base.strip_suffix(name.suffix) {
            // `requests_total` and `size_bytes` have their ends already.
            Some(rest) if !name.suffix.is_empty() && rest.ends_with('_') => {
                rest.trim_end_matches('_')
            }
            _ => name.base,
        };
        let full = match name.suffix {
            "" => format!("plugin_{base}"),
            suffix => format!("plugin_{base}_{suffix}"),
        };
        let reserved = ENDS_RESERVED.iter().any(|end| full.ends_with(end));
        if full.len() > self.config.name_bytes_max || (name.kind == Kind::Histogram && reserved) {
            return Err(Error::Name);
        }
        Ok(full)
    }

    fn checked(&self, mut labels: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
        if labels.len() > self.config.labels_max {
            return Err(Error::Label);
        }
        labels.sort();
        let twice = labels
            .iter()
            .zip(labels.iter().skip(1))
            .any(|(a, b)| a.0 == b.0);
        if twice
            || !labels
                .iter()
                .all(|(name, value)| self.is_label(name, value))
        {
            return Err(Error::Label);
        }
        Ok(labels)
    }

    fn is_label(&self, name: &str, value: &str) -> bool {
        is_name(name)
            && name.len() <= self.config.name_bytes_max
            && !name.starts_with("__")
            && !LABELS_RESERVED.contains(&name)
            && value.len() <= self.config.label_bytes_max
            && !value.contains(char::is_control)
    }
}

/// Prometheus's rule for names, without the colon, which belongs to its
/// recording rules.
fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
