//! The interface `log`: a plugin's lines in the host's log.

use serde::Deserialize;

/// Section `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Lines of one call; the rest are dropped and counted.
    pub lines_max: u32,
    /// Bytes of a message; what is beyond is cut off.
    pub line_bytes_max: usize,
    /// Bytes of a line's fields; fields beyond it are replaced by their beginning
    /// as text.
    pub fields_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lines_max: 1_000,
            line_bytes_max: 16 << 10,
            fields_bytes_max: 16 << 10,
        }
    }
}
