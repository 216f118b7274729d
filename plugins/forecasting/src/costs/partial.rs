//! Finds the month that is not complete: not over yet, or not loaded to its end.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

use crate::month::Month;
use crate::sql::months::Coverage;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A month of which a part is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub month: Month,
    pub amount: Numeric,
    /// Until when its charges reach, if they say so.
    pub charged_until: Option<Timestamp>,
}

impl Partial {
    pub fn to_json(&self) -> Value {
        json!({
            "month": self.month.to_string(),
            "amount": self.amount.0,
            "charged_until": self.charged_until.map(|instant| instant.to_string()),
        })
    }
}

/// The partial month among the last ones, the latest first: this month; or the last
/// that there is, where its charges end more than a day too early while those of all
/// the months before it did not.
pub fn partial_month(coverage: &[Coverage], now: Month) -> Option<Month> {
    let (last, before) = coverage.split_first()?;
    let month = Month(last.month);
    let early = ends_early(last) && before.len() >= 2 && !before.iter().any(ends_early);
    (month >= now || early).then_some(month)
}

fn ends_early(coverage: &Coverage) -> bool {
    let end = Month(coverage.month).plus(1).start().micros();
    let until = coverage.charged_until.map(Timestamp::micros);
    until.is_some_and(|until| until < end - MICROS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(month: &str, until: Option<&str>) -> Coverage {
        let until = until.map(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap());
        Coverage {
            month: Month::parse(month).unwrap().0,
            charged_until: until,
        }
    }

    fn found(coverage: &[Coverage], now: &str) -> Option<String> {
        partial_month(coverage, Month::parse(now).unwrap()).map(|month| month.to_string())
    }

    #[test]
    fn this_month_is_partial_however_far_it_reaches() {
        let months = [
            coverage("2026-11", Some("2026-12-01")),
            coverage("2026-10", None),
        ];
        assert_eq!(found(&months, "2026-11").as_deref(), Some("2026-11"));
        assert_eq!(found(&months, "2026-12"), None);
        assert_eq!(found(&[], "2026-12"), None);
    }

    #[test]
    fn a_last_month_that_ends_early_is_partial_where_others_do_not() {
        let months = |until| {
            [
                coverage("2026-11", Some(until)),
                coverage("2026-10", Some("2026-11-01")),
                coverage("2026-09", Some("2026-09-30")),
            ]
        };
        let early = found(&months("2026-11-25"), "2027-01");
        assert_eq!(early.as_deref(), Some("2026-11"));
        assert_eq!(found(&months("2026-11-30"), "2027-01"), None);
        let first_days = ["2026-11", "2026-10", "2026-09"]
            .map(|month| coverage(month, Some(&format!("{month}-02"))));
        assert_eq!(found(&first_days, "2027-01"), None, "all say the first day");
    }
}
