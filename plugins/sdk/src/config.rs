//! The plugin's settings, which an operator sets in hearth.toml or the environment.
//!
//! ```no_run
//! use hearth_plugin::config;
//! let greeting = config::get("greeting").unwrap_or_else(|| "hello".into());
//! ```

use crate::host::config;

/// A setting; `None` if it is not set.
pub fn get(key: &str) -> Option<String> {
    config::get(key)
}

/// A secret. Its value is redacted from everything that the plugin logs. Names
/// that begin with `hearth.` are the host's own; see [`cursor`](crate::cursor).
pub fn secret(key: &str) -> Option<String> {
    config::secret(key)
}
