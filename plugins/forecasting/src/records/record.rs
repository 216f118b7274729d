//! One row: the columns that are kept of FOCUS, checked.

use std::collections::{BTreeMap, HashMap};

use hearth_plugin::prelude::*;
use hearth_plugin::{FieldError, problem::Place};

use crate::money;
use crate::month::Month;
use crate::selection::{Metric, NO_CURRENCY, is_currency};

/// Mistakes that are named; the rest would only grow the answer.
const MISTAKES_MAX: usize = 100;
/// Characters of a name or an id.
const TEXT_CHARACTERS_MAX: usize = 256;
const TAGS_MAX: usize = 50;
const TAG_KEY_CHARACTERS_MAX: usize = 128;

macro_rules! columns {
    ($($column:ident $name:literal;)*) => {
        /// A column of FOCUS that is kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($column),* }

        impl Column {
            const COUNT: usize = [$($name),*].len();

            /// The column of a name, as FOCUS writes it.
            pub fn named(name: &str) -> Option<Column> {
                match name {
                    $($name => Some(Column::$column),)*
                    _ => None,
                }
            }

            fn name(self) -> &'static str {
                match self { $(Column::$column => $name),* }
            }

            /// Whether it holds a name or an id, which may be empty.
            pub fn may_be_empty(self) -> bool {
                let texts = [
                    Column::ServiceName,
                    Column::SubAccountId,
                    Column::BillingAccountId,
                    Column::RowId,
                ];
                texts.contains(&self)
            }

            /// Whether it need not be text: a number, or tags.
            pub fn may_be_bare(self) -> bool {
                let bare = [
                    Column::BilledCost,
                    Column::EffectiveCost,
                    Column::ListCost,
                    Column::ContractedCost,
                    Column::Tags,
                ];
                bare.contains(&self)
            }
        }
    };
}

columns! {
    BilledCost "BilledCost";
    EffectiveCost "EffectiveCost";
    ListCost "ListCost";
    ContractedCost "ContractedCost";
    BillingCurrency "BillingCurrency";
    BillingPeriodStart "BillingPeriodStart";
    ChargePeriodStart "ChargePeriodStart";
    ChargePeriodEnd "ChargePeriodEnd";
    ServiceName "ServiceName";
    SubAccountId "SubAccountId";
    BillingAccountId "BillingAccountId";
    Tags "Tags";
    RowId "x_RowId";
}

/// What a row says in those columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    texts: [Option<String>; Column::COUNT],
    refused: Vec<Column>,
}

impl Cells {
    pub fn set(&mut self, column: Column, text: Option<String>) {
        if let Some(cell) = self.texts.get_mut(column as usize) {
            *cell = text.filter(|text| !text.is_empty());
        }
    }

    /// Remembers that a column has something that it cannot have.
    pub fn refuse(&mut self, column: Column) {
        self.refused.push(column);
    }

    fn get(&self, column: Column) -> Option<&str> {
        self.texts.get(column as usize)?.as_deref()
    }
}

/// A row that can be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The client's own.
    pub row_id: Option<String>,
    pub billing_month: Month,
    pub month: Month,
    pub currency: String,
    pub service: String,
    pub account: String,
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
        for column in &cells.refused {
            let detail = match column.may_be_empty() {
                true => "this must be text",
                false => "this must not be empty, nor of this type",
            };
            row.refuse(column.name(), "wrong_type", detail);
        }
        let charged = instant(cells, Column::ChargePeriodStart, row);
        let billed = instant(cells, Column::BillingPeriodStart, row);
        let charged_until = instant(cells, Column::ChargePeriodEnd, row);
        let month = charged.or(billed).map(Month::of);
        if month.is_none() && row.count() == before {
            row.refuse("ChargePeriodStart", "required", "this must be given");
        }
        if let (Some(start), Some(end)) = (charged, charged_until)
            && end < start
        {
            row.refuse(
                "ChargePeriodEnd",
                "out_of_range",
                "this is before its start",
            );
        }
        let costs = costs(cells, row);
        let currency = currency(cells, row);
        let service = text(cells, Column::ServiceName, row).unwrap_or_default();
        let account = [Column::SubAccountId, Column::BillingAccountId];
        let account = account.map(|column| text(cells, column, row));
        let tags = tags(cells, row);
        let row_id = text(cells, Column::RowId, row);
        let month = month.filter(|_| row.count() == before)?;
        Some(Record {
            row_id,
            billing_month: billed.map_or(month, Month::of),
            month,
            currency,
            service,
            account: account.into_iter().flatten().next().unwrap_or_default(),
            tags,
            costs,
            charged_until,
        })
    }
}

/// A date and time of FOCUS, in UTC; the time may be left out.
fn instant(cells: &Cells, column: Column, row: &mut RowMistakes<'_>) -> Option<Timestamp> {
    let text = cells.get(column)?;
    let whole = match text.len() {
        10 => [text, "T00:00:00Z"].concat(),
        19 => [text, "Z"].concat(),
        _ => text.into(),
    };
    let instant = Timestamp::parse(&whole);
    if instant.is_none() {
        let detail = "this must be a date or an RFC 3339 time";
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
        let amount = money::parse(text);
        if amount.is_none() {
            let detail = "this must be a decimal number below 10^15, as 12.5";
            row.refuse(column.name(), "wrong_type", detail);
        }
        amount.map(|amount| amount.0)
    });
    let first = given.iter().flatten().next().cloned();
    if first.is_none() && row.count() == before {
        row.refuse("BilledCost", "required", "this must be given");
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

fn text(cells: &Cells, column: Column, row: &mut RowMistakes<'_>) -> Option<String> {
    let text = cells.get(column)?;
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        let detail = format!("this must have at most {TEXT_CHARACTERS_MAX} characters");
        row.refuse(column.name(), "too_long", detail);
    }
    if text.contains('\0') {
        let detail = "NUL characters cannot be stored";
        row.refuse(column.name(), "nul_character", detail);
    }
    Some(text.into())
}

/// The tags, each a text, in order: so equal ones are equal as texts.
fn tags(cells: &Cells, row: &mut RowMistakes<'_>) -> String {
    let Some(text) = cells.get(Column::Tags) else {
        return "{}".into();
    };
    let Some(Value::Object(members)) = Json::parse(text).map(|json| json.0) else {
        row.refuse("Tags", "wrong_type", "this must be a JSON object");
        return String::new();
    };
    let mut tags = BTreeMap::new();
    for (key, value) in members {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                row.refuse("Tags", "wrong_type", "the value of a tag must be text");
                continue;
            }
        };
        tags.insert(key, value);
    }
    let too_long = |(key, value): (&String, &String)| {
        key.chars().count() > TAG_KEY_CHARACTERS_MAX || value.chars().count() > TEXT_CHARACTERS_MAX
    };
    let tags_json = json!(tags);
    if tags.len() > TAGS_MAX || tags.iter().any(too_long) {
        let detail = format!(
            "there may be {TAGS_MAX} tags, with keys of {TAG_KEY_CHARACTERS_MAX} and values of \
             {TEXT_CHARACTERS_MAX} characters"
        );
        row.refuse("Tags", "too_long", detail);
    }
    if hearth_plugin::json::has_nul(&tags_json) {
        row.refuse("Tags", "nul_character", "NUL characters cannot be stored");
    }
    tags_json.to_string()
}

/// What is wrong with the rows of a load.
#[derive(Default)]
pub struct Mistakes {
    errors: Vec<FieldError>,
    count: usize,
}

/// What is wrong with one row.
pub struct RowMistakes<'m> {
    mistakes: &'m mut Mistakes,
    index: usize,
    line: usize,
}

impl Mistakes {
    pub fn of_row(&mut self, index: usize, line: usize) -> RowMistakes<'_> {
        RowMistakes {
            mistakes: self,
            index,
            line,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Refuses rows that have the id of an earlier one: only one could be kept.
    pub fn refuse_twins(&mut self, records: &[Record]) {
        let mut first = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            let Some(id) = &record.row_id else {
                continue;
            };
            if let Some(earlier) = first.get(id) {
                let detail = format!("the row {earlier} has the same id");
                self.push(index, "x_RowId", "repeated", detail);
            } else {
                first.insert(id, index);
            }
        }
    }

    /// 422 where anything was wrong.
    pub fn finish(self) -> Result<(), Problem> {
        if self.is_empty() {
            return Ok(());
        }
        let detail = match self.count > self.errors.len() {
            true => format!(
                "nothing was loaded: {} mistakes, of which these are the first {MISTAKES_MAX}",
                self.count
            ),
            false => "nothing was loaded".into(),
        };
        Err(Problem::invalid_fields(self.errors).detail(detail))
    }

    fn push(&mut self, index: usize, column: &str, code: &'static str, detail: String) {
        self.count += 1;
        if self.errors.len() < MISTAKES_MAX {
            let separator = if column.is_empty() { "" } else { "/" };
            let place = Place::Pointer(format!("/{index}{separator}{column}"));
            self.errors.push(FieldError {
                place,
                code,
                detail,
            });
        }
    }
}

impl RowMistakes<'_> {
    /// Names a mistake by the row's index, from 0, and its column.
    pub fn refuse(&mut self, column: &str, code: &'static str, detail: impl Into<String>) {
        let detail = format!("line {}: {}", self.line, detail.into());
        self.mistakes.push(self.index, column, code, detail);
    }

    fn count(&self) -> usize {
        self.mistakes.count
    }
}
