//! The lines that a test's handlers log.

use serde_json::Value;

use super::lend;

pub use crate::bindings::imports::hearth::plugin::log::Level;

/// A line that was logged.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: Level,
    pub message: String,
    /// An object; null where the line has no fields.
    pub fields: Value,
}

pub(crate) fn write(level: Level, message: &str, fields: &str) {
    let line = Line {
        level,
        message: message.into(),
        fields: serde_json::from_str(fields).unwrap_or_default(),
    };
    lend(|state| state.log.push(line));
}
