//! Counters and histograms on the host's `/metrics`, in Prometheus's text format.
//!
//! ```no_run
//! use hearth_plugin::metrics;
//! metrics::count("tickets_created", 1, &[("priority", "high")]);
//! metrics::observe("attachment", 1024.0, "bytes", &[]);
//! ```

use crate::host::metrics;

/// A label's name and value.
pub type Label<'a> = (&'a str, &'a str);

/// Adds to a counter. The host names it `plugin_<name>_total`.
pub fn count(name: &str, by: u64, labels: &[Label<'_>]) {
    metrics::count(name, by, &owned(labels));
}

/// Records one observation in a histogram; the host appends the unit
/// (`seconds`, `bytes`) to its name.
pub fn observe(name: &str, value: f64, unit: &str, labels: &[Label<'_>]) {
    metrics::observe(name, value, unit, &owned(labels));
}

fn owned(labels: &[Label<'_>]) -> Vec<(String, String)> {
    labels
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}
