//! The query parameters of a load: the source of its rows, what they replace, and which
//! part of a larger load this is.

use hearth_plugin::Query;
use hearth_plugin::fields::Field;
use hearth_plugin::prelude::*;

use super::mistakes::RowMistakes;
use super::record::Record;
use crate::month::{Month, NO_MONTH};

/// Where costs come from if nothing is said.
const SOURCE: &str = "default";
/// Parts of one load.
pub const PARTS_MAX: i64 = 1_000;

/// Where rows go.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub source: String,
    /// The billing period that they are all of, and that they replace as a whole.
    /// `None`: of each billing period that they have, the days from the first that
    /// they charge for to the last.
    pub billing_period: Option<Month>,
    pub part: Option<Part>,
}

/// Which part of a load they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The load's name, the client's own.
    pub load: String,
    pub number: i64,
    pub is_last: bool,
}

impl Target {
    pub fn read(mut query: Query) -> Result<Target, Problem> {
        let source = source(&mut query);
        let billing_period = billing_period(&mut query).optional();
        let load = query.text("load").length(1..=128).optional();
        let number = query.integer("part").range(1..=PARTS_MAX).optional();
        let is_last = query.boolean("last").optional();
        match (&load, number) {
            (Some(_), None) => {
                let detail = "this is required with load: the number of the part, from 1";
                query.refuse("part", "required", detail);
            }
            (None, _) if number.is_some() || is_last.is_some() => {
                let detail = "this is required with part and last: an id for the load, which you \
                              choose";
                query.refuse("load", "required", detail);
            }
            _ => {}
        }
        query.finish()?;
        let part = load.zip(number).map(|(load, number)| Part {
            load,
            number,
            is_last: is_last.unwrap_or(false),
        });
        Ok(Target {
            source,
            billing_period,
            part,
        })
    }

    /// Refuses a row of another billing period.
    pub fn check(&self, record: &Record, row: &mut RowMistakes<'_>) {
        if let Some(period) = self.billing_period
            && period != record.billing_month
        {
            let detail =
                format!("this row is not of the billing period {period} that the request loads");
            row.refuse("BillingPeriodStart", "out_of_range", detail);
        }
    }
}

/// The parameter `source`.
pub fn source(query: &mut Query) -> String {
    query.text("source").length(1..=128).or(SOURCE)
}

/// The parameter `billing_period`.
pub fn billing_period(query: &mut Query) -> Field<'_, Month> {
    let period = query.text("billing_period");
    period.convert("wrong_type", NO_MONTH, |text| Month::parse(&text))
}
