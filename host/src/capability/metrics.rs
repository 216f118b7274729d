//! The interface `metrics`: a plugin's own numbers on `/metrics`.

use serde::Deserialize;

/// Section `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Series (a name with one set of labels) of one plugin.
    pub series_max: usize,
    /// Labels of one sample, the host's own not counted.
    pub labels_max: usize,
    /// Bytes of a metric's or a label's name.
    pub name_bytes_max: usize,
    /// Bytes of a label's value.
    pub label_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_max: 1_000,
            labels_max: 8,
            name_bytes_max: 128,
            label_bytes_max: 128,
        }
    }
}
