//! Sections of the configuration, and what may be wrong with the values in them.
//!
//! The type of a section lies with what it configures, so that its keys, their defaults and
//! their bounds are read in one place. Whoever reads the file asks each section for its
//! [`Mistakes`], and tells them with their place in the file.
//!
//! ```
//! use hearth_base::bounds;
//! use hearth_base::section::{HOUR_MS, Mistakes, Section};
//!
//! struct Config {
//!     streams_max: usize,
//!     retry_ms: u64,
//! }
//!
//! impl Section for Config {
//!     fn validate(&self, mistakes: &mut Mistakes) {
//!         bounds! { self, mistakes =>
//!             streams_max in 1..=1_000,
//!             retry_ms in 10..=HOUR_MS,
//!         }
//!     }
//! }
//!
//! let mut mistakes = Mistakes::default();
//! mistakes.section("push", &Config { streams_max: 0, retry_ms: 100 });
//! let (path, message) = mistakes.into_iter().next().unwrap();
//! assert_eq!(path, ["push", "streams_max"]);
//! assert_eq!(message, "expected 1 to 1000, found 0");
//! ```

use std::ops::RangeInclusive;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;
pub const HOUR_MS: u64 = 3_600_000;
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// A section of the configuration.
pub trait Section {
    /// Notes what is wrong with its values.
    fn validate(&self, mistakes: &mut Mistakes);
}

/// What is wrong with a configuration: the path of each key, and what would be right.
#[derive(Debug, Default)]
pub struct Mistakes {
    section: Vec<String>,
    all: Vec<(Vec<String>, String)>,
}

impl Mistakes {
    /// Checks a section that lies in the one that is being checked.
    pub fn section(&mut self, name: &str, section: &impl Section) {
        self.within(name, |mistakes| section.validate(mistakes));
    }

    /// As [`Mistakes::section`], for what takes more than a section to check.
    pub fn within(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        self.section.push(name.to_owned());
        check(self);
        self.section.pop();
    }

    /// Notes a mistake at a key of the section; at the section itself without a key.
    pub fn note(&mut self, key: &str, message: impl Into<String>) {
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        let path = self.section.iter().cloned().chain(key).collect();
        self.all.push((path, message.into()));
    }

    /// Notes a number that is out of its bounds.
    pub fn bound(&mut self, key: &str, number: impl Number, range: RangeInclusive<u64>) {
        let Some(number) = number.number() else {
            return;
        };
        if !range.contains(&number) {
            let (min, max) = range.into_inner();
            self.note(key, format!("expected {min} to {max}, found {number}"));
        }
    }
}

impl IntoIterator for Mistakes {
    type Item = (Vec<String>, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

/// A setting that has bounds.
pub trait Number {
    /// `None` where it is not set.
    fn number(self) -> Option<u64>;
}

impl Number for u64 {
    fn number(self) -> Option<u64> {
        Some(self)
    }
}

impl Number for u32 {
    fn number(self) -> Option<u64> {
        Some(self.into())
    }
}

impl Number for usize {
    fn number(self) -> Option<u64> {
        Some(self as u64)
    }
}

impl<N: Number> Number for Option<N> {
    fn number(self) -> Option<u64> {
        self.and_then(N::number)
    }
}

/// Notes each number of a section that is out of its bounds: `bounds! { self, mistakes => key in
/// 1..=10, }`.
#[macro_export]
macro_rules! bounds {
    ($section:expr, $mistakes:expr => $($key:ident in $range:expr,)*) => {
        $($mistakes.bound(stringify!($key), $section.$key, $range);)*
    };
}
