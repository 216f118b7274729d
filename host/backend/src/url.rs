//! Where a backend is, and how to log in there.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A URL of a backend. It may hold a password, so it is never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Url(Zeroizing<String>);

impl Url {
    /// The text itself, for the driver and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Url {
    fn from(text: String) -> Url {
        Url(Zeroizing::new(text))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(hidden)")
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
