//! Calendar months, in UTC.

use std::fmt;

use hearth_plugin::prelude::*;

/// A month, counted from January of the year 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i64);

impl Month {
    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, length| {
            let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i64>().ok())?
        };
        let (year, month) = (digits(year, 4)?, digits(month, 2)?);
        (year >= 1 && (1..=12).contains(&month)).then(|| Month(year * 12 + month - 1))
    }

    /// The month of an instant.
    pub fn of(instant: Timestamp) -> Month {
        let text = instant.to_string();
        text.get(..7).and_then(Month::parse).unwrap_or_default()
    }

    /// This month, by the host's clock.
    pub fn now() -> Month {
        Month::of(Timestamp::now())
    }

    /// So many months later, or earlier.
    pub fn plus(self, months: i64) -> Month {
        Month(self.0 + months)
    }

    /// How many months later it is than another.
    pub fn since(self, other: Month) -> i64 {
        self.0 - other.0
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        Timestamp::parse(&format!("{self}-01T00:00:00Z")).unwrap_or_default()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:04}-{:02}",
            self.0.div_euclid(12),
            self.0.rem_euclid(12) + 1
        )
    }
}

/// A month of a query or a field.
pub const NO_MONTH: &str = "this must be a month, such as 2026-11";
