//! Periods of the calendar.

use crate::month::Month;

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Monthly,
    Quarterly,
    Annually,
}

impl Period {
    pub const ALL: [Period; 3] = [Period::Monthly, Period::Quarterly, Period::Annually];

    pub fn name(self) -> &'static str {
        match self {
            Period::Monthly => "monthly",
            Period::Quarterly => "quarterly",
            Period::Annually => "annually",
        }
    }

    pub fn parse(name: &str) -> Option<Period> {
        Period::ALL.into_iter().find(|period| period.name() == name)
    }

    /// The first and last month of the period in which a month lies.
    pub fn around(self, month: Month) -> (Month, Month) {
        let months = match self {
            Period::Monthly => 1,
            Period::Quarterly => 3,
            Period::Annually => 12,
        };
        let from = month.0.div_euclid(months) * months;
        (Month(from), Month(from + months - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_one_of_the_calendar() {
        let around = |period: Period| {
            let (from, to) = period.around(Month::parse("2026-11").unwrap());
            (from.to_string(), to.to_string())
        };
        let months = |from: &str, to: &str| (from.to_string(), to.to_string());
        assert_eq!(around(Period::Monthly), months("2026-11", "2026-11"));
        assert_eq!(around(Period::Quarterly), months("2026-10", "2026-12"));
        assert_eq!(around(Period::Annually), months("2026-01", "2026-12"));
    }
}
