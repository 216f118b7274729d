//! The costs of a selection, month by month, up to the last complete month.

mod metric;
mod partial;
mod read;

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

use crate::money;
use crate::month::Month;
use crate::selection::{Metric, Selection};

pub use partial::Partial;
pub use read::{Filter, Scope, read, read_filtered, read_to_forecast};

/// Months of history that are read: more than any model looks at.
pub const MONTHS_MAX: i64 = 180;
/// How many groups are shown separately; the smaller ones are combined.
pub const GROUPS_MAX: i64 = 49;

/// Costs by month.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    pub metric: Metric,
    pub currency: String,
    /// The month of the first amount of each series.
    pub first: Month,
    /// The last whole month.
    pub through: Month,
    /// The month after that, of which a part is known.
    pub partial: Option<Partial>,
    pub total: Vec<Option<Numeric>>,
    /// By name; those without, and all past the largest, last.
    pub groups: Vec<Group>,
}

/// The costs of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub key: Key,
    pub amounts: Vec<Option<Numeric>>,
    pub partial: Option<Numeric>,
}

/// What a group has in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A service, an account, or the value of a tag.
    Named(String),
    /// Costs without one.
    Without,
    /// All groups past the largest.
    Others,
}

impl Key {
    /// Of a group's name in SQL.
    fn of(name: Option<String>) -> Key {
        match name {
            None => Key::Others,
            Some(name) if name.is_empty() => Key::Without,
            Some(name) => Key::Named(name),
        }
    }

    /// As it is answered: `null` for costs without.
    pub fn to_json(&self) -> Value {
        match self {
            Key::Named(name) => json!({"key": name, "other": false}),
            Key::Without => json!({"key": null, "other": false}),
            Key::Others => json!({"key": null, "other": true}),
        }
    }
}

/// Amounts as the models take them.
pub fn numbers(amounts: &[Option<Numeric>]) -> Vec<Option<f64>> {
    let number = |amount: &Option<Numeric>| amount.as_ref().map(money::number);
    amounts.iter().map(number).collect()
}

impl Costs {
    /// Why these are other costs than those that are forecast mostly.
    pub fn reason(&self, selection: &Selection) -> Option<&'static str> {
        let is_chosen = selection.metric.is_none() && self.metric != Metric::Billed;
        is_chosen.then_some(metric::REASON)
    }

    /// The months of a series, with its amounts.
    pub fn months<'a>(
        &self,
        amounts: &'a [Option<Numeric>],
    ) -> impl Iterator<Item = (Month, &'a Option<Numeric>)> + use<'a> {
        let first = self.first;
        amounts.iter().enumerate().map(move |(position, amount)| {
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            (first.plus(position), amount)
        })
    }
}

/// 422: what would be needed, and what there is.
pub fn not_enough(wanted: usize, found: usize, what: &str) -> Problem {
    let are = |count| if count == 1 { "is" } else { "are" };
    let missing = wanted.saturating_sub(found);
    let detail = format!(
        "{what} needs {wanted} complete months of costs; {found} {} there, so {missing} more {} \
         missing",
        are(found),
        are(missing)
    );
    Problem::new(422, "not-enough-data", "Not enough data").detail(detail)
}
