//! What a test's handlers count.

use std::collections::BTreeMap;

use super::lend;

/// Counters by their names.
#[derive(Default)]
pub(super) struct Metrics(BTreeMap<String, u64>);

impl Metrics {
    pub(super) fn counted(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

pub(crate) fn count(name: &str, by: u64, _labels: &[(String, String)]) {
    lend(|state| *state.metrics.0.entry(name.into()).or_default() += by);
}

/// An observation is counted under its name and its unit, as the host names it.
pub(crate) fn observe(name: &str, _value: f64, unit: &str, _labels: &[(String, String)]) {
    let name = [name, "_", unit].concat();
    lend(|state| *state.metrics.0.entry(name).or_default() += 1);
}
