//! One row: the stored columns of FOCUS, validated.

use hearth_plugin::prelude::*;

use super::column::{Cells, Column};
use super::mistakes::RowMistakes;
use super::{instant, tags};
use crate::money;
use crate::month::Month;
use crate::selection::{Metric, NO_CURRENCY, is_currency};

/// Characters of a name, an id or the value of a tag.
pub const TEXT_CHARACTERS_MAX: usize = 256;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A row that can be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The client's own.
    pub row_id: Option<String>,
    pub billing_month: Month,
    pub month: Month,
    /// The day from which on it charges, since 1970.
    pub charge_day: i64,
    pub currency: String,
    pub service: String,
    pub account: String,
    pub provider: String,
    pub region: String,
    pub charge_category: String,
    /// A JSON object of texts.
    pub tags: String,
    /// In the order of [`Metric::ALL`], decimals.
    pub costs: [String; Metric::ALL.len()],
    pub charged_until: Option<Timestamp>,
}

impl Record {
    /// Reads a row; `None`, and what is wrong with it among the mistakes.
    pub fn read(cells: &Cells, row: &mut RowMistakes<'_>) -> Option<Record> {
        let before = row.count();
        for column in cells.refused() {
            row.refuse(column.name(), "wrong_type", "this must be a string");
        }
        for column in cells.twice() {
            row.refuse_twice(column.name(), "this is given twice; give each name once");
        }
        let charged = instant(cells, Column::ChargePeriodStart, row);
        let billed = instant(cells, Column::BillingPeriodStart, row);
        let charged_until = instant(cells, Column::ChargePeriodEnd, row);
        let start = charged.or(billed);
        if start.is_none() && row.count() == before {
            row.refuse("ChargePeriodStart", "required", "this is required");
        }
        if let (Some(start), Some(end)) = (charged, charged_until)
            && end < start
        {
            let detail = "this is before its start";
            row.refuse("ChargePeriodEnd", "out_of_range", detail);
        }
        let (costs, currency) = (costs(cells, row), currency(cells, row));
        let service = name(cells, &[Column::ServiceName], row);
        let provider = name(cells, &PROVIDERS, row);
        let region = name(cells, &[Column::RegionId, Column::RegionName], row);
        let charge_category = name(cells, &[Column::ChargeCategory], row);
        let account = [Column::SubAccountId, Column::BillingAccountId];
        let account = account.map(|column| id(cells, column, row));
        let (tags, row_id) = (tags::read(cells, row), id(cells, Column::RowId, row));
        let start = start.filter(|_| row.count() == before)?;
        Some(Record {
            row_id,
            billing_month: Month::of(billed.unwrap_or(start)),
            month: Month::of(start),
            charge_day: start.micros().div_euclid(MICROS_PER_DAY),
            currency,
            service,
            account: account.into_iter().flatten().next().unwrap_or_default(),
            provider,
            region,
            charge_category,
            tags,
            costs,
            charged_until,
        })
    }
}

/// Who provides a service: FOCUS 1.3 has put the first name in the place of the second,
/// and 1.4 has the second no more. The last is the provider that it runs on.
const PROVIDERS: [Column; 3] = [
    Column::ServiceProviderName,
    Column::ProviderName,
    Column::HostProviderName,
];

/// A date and time of FOCUS, in UTC; the time may be left out.
fn instant(cells: &Cells, column: Column, row: &mut RowMistakes<'_>) -> Option<Timestamp> {
    let text = cells.get(column)?;
    let instant = instant::read(text);
    if instant.is_none() {
        let detail = "this must be a date or a time, such as 2026-09-01 or 2026-09-01T00:00:00Z";
        row.refuse(column.name(), "wrong_type", detail);
    }
    instant
}

/// The four costs. One that is not given is what is invoiced, or else the first of
/// the others.
fn costs(cells: &Cells, row: &mut RowMistakes<'_>) -> [String; Metric::ALL.len()] {
    let columns = [
        Column::BilledCost,
        Column::EffectiveCost,
        Column::ListCost,
        Column::ContractedCost,
    ];
    let before = row.count();
    let given = columns.map(|column| {
        let text = cells.get(column)?;
        let amount = money::parse_exported(text);
        if amount.is_none() {
            let detail = "this must be a decimal number below 10^15, such as 12.5";
            row.refuse(column.name(), "wrong_type", detail);
        }
        amount.map(|amount| amount.0)
    });
    let first = given.iter().flatten().next().cloned();
    if first.is_none() && row.count() == before {
        row.refuse("BilledCost", "required", "this is required");
    }
    given.map(|own| own.or(first.clone()).unwrap_or_default())
}

fn currency(cells: &Cells, row: &mut RowMistakes<'_>) -> String {
    let currency = cells.get(Column::BillingCurrency).unwrap_or("USD");
    if !is_currency(currency) {
        row.refuse("BillingCurrency", "not_allowed", NO_CURRENCY);
    }
    currency.into()
}

/// The first of these columns that has a name; what is too long is cut.
fn name(cells: &Cells, columns: &[Column], row: &mut RowMistakes<'_>) -> String {
    let given = |column: &Column| Some((*column, cells.get(*column)?));
    let Some((column, text)) = columns.iter().find_map(given) else {
        return String::new();
    };
    refuse_nul(text, column, row);
    let (name, is_cut) = cut(text.into(), TEXT_CHARACTERS_MAX);
    if is_cut {
        let detail = format!("this was cut to {TEXT_CHARACTERS_MAX} characters");
        row.warn(column.name(), detail);
    }
    name
}

/// An id, which no longer is one where it is cut.
fn id(cells: &Cells, column: Column, row: &mut RowMistakes<'_>) -> Option<String> {
    let text = cells.get(column)?;
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        let detail = format!("this must have at most {TEXT_CHARACTERS_MAX} characters");
        row.refuse(column.name(), "too_long", detail);
    }
    refuse_nul(text, column, row);
    Some(text.into())
}

fn refuse_nul(text: &str, column: Column, row: &mut RowMistakes<'_>) {
    if text.contains('\0') {
        let detail = "NUL characters are not allowed";
        row.refuse(column.name(), "nul_character", detail);
    }
}

/// The first characters of a text, and whether it had more.
pub fn cut(mut text: String, characters_max: usize) -> (String, bool) {
    let end = text.char_indices().nth(characters_max);
    let end = end.map(|(end, _)| end);
    if let Some(end) = end {
        text.truncate(end);
    }
    (text, end.is_some())
}
