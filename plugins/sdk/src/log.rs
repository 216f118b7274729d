//! Writes lines with fields to the host's log. The host adds plugin, deployment,
//! request id and customer.
//!
//! ```no_run
//! use hearth_plugin::log;
//! log::info!("ticket created", id = "tkt_1", comments = 3, urgent = true);
//! log::warn!("nothing to say");
//! ```

use serde_json::{Map, Value};

pub use crate::bindings::imports::hearth::plugin::log::Level;
use crate::host::log;

#[doc(inline)]
pub use crate::{log_debug as debug, log_error as error, log_info as info, log_warn as warn};

/// Writes one line. The macros of this module are the pleasant way.
pub fn write(level: Level, message: &str, fields: &[(&str, Value)]) {
    log::write(level, message, &object(fields));
}

fn object(fields: &[(&str, Value)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let members = fields
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()));
    Value::Object(members.collect::<Map<_, _>>()).to_string()
}

/// Writes a line at a level: `line!(Level::Info, "message", field = value)`.
#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:ident, $message:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::write(
            $crate::log::Level::$level,
            $message,
            &[$((stringify!($name), $crate::log::value($value))),*],
        )
    };
}

/// A field's value: text, a number or a boolean.
#[doc(hidden)]
pub fn value(value: impl Into<Value>) -> Value {
    value.into()
}

/// Writes a line at level debug.
#[macro_export]
macro_rules! log_debug { ($($line:tt)*) => { $crate::log_line!(Debug, $($line)*) }; }
/// Writes a line at level info.
#[macro_export]
macro_rules! log_info { ($($line:tt)*) => { $crate::log_line!(Info, $($line)*) }; }
/// Writes a line at level warn.
#[macro_export]
macro_rules! log_warn { ($($line:tt)*) => { $crate::log_line!(Warn, $($line)*) }; }
/// Writes a line at level error.
#[macro_export]
macro_rules! log_error { ($($line:tt)*) => { $crate::log_line!(Error, $($line)*) }; }
