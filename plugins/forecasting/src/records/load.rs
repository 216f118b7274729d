//! Writes a load: its records, the sums of the months that they change, and the budget
//! alerts that follow, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use hearth_plugin::prelude::*;

use super::record::Record;
use super::target::Target;
use super::{part, put};
use crate::budgets::watch;
use crate::month::Month;
use crate::sql::loads::{LoadId, Span, unfinished_loads};
use crate::sql::records::{
    Changed, begin_load, remove_months, remove_period, remove_spans, sum_months,
};

/// Writes a load, or a part of one, or nothing of it. Answers what it did.
pub fn write(database: &Database, target: &Target, records: &[Record]) -> Result<Value, Problem> {
    database.transaction(Isolation::ReadCommitted, |tx| {
        begin_load(tx)?;
        match &target.part {
            None => whole(tx, target, records),
            Some(part) => part::write(tx, target, part, records),
        }
    })
}

/// Deletes a billing period of a source. Returns the result.
pub fn remove(database: &Database, source: &str, period: Month) -> Result<Value, Problem> {
    database.transaction(Isolation::ReadCommitted, |tx| {
        begin_load(tx)?;
        let hidden = hidden(tx)?;
        let changes = Changes::of(remove_period(tx, source, period.0, &hidden)?);
        let alerts = changes.settle(tx, &hidden)?;
        Ok(json!({
            "source": source,
            "billing_period": period.to_string(),
            "removed": changes.replaced,
            "months_changed": changes.months_json(),
            "budget_alerts": alerts,
        }))
    })
}

fn whole(tx: &Transaction, target: &Target, records: &[Record]) -> Result<Value, Problem> {
    let (own, others) = with_ids(records);
    let hidden = hidden(tx)?;
    let replaced = replaced(target, spans(&others));
    let mut changes = Changes::default();
    changes.add(take_away(tx, target, &replaced, &hidden)?);
    changes.add(put::all(tx, &target.source, &own, None)?);
    changes.add(put::all(tx, &target.source, &others, None)?);
    let alerts = changes.settle(tx, &hidden)?;
    let periods = billing_months(records);
    let periods = periods.chain(replaced.iter().map(|own| Month(own.billing_month)));
    Ok(changes.to_json(target, records.len(), periods.collect(), alerts))
}

/// The records with ids of their own, and the others.
pub fn with_ids(records: &[Record]) -> (Vec<&Record>, Vec<&Record>) {
    records.iter().partition(|record| record.row_id.is_some())
}

/// The unfinished loads, whose records do not count yet.
pub fn hidden(tx: &Transaction) -> Result<Vec<String>, Problem> {
    let ids = unfinished_loads(tx)?.into_iter();
    Ok(ids.map(|LoadId { id }| id).collect())
}

pub fn billing_months(records: &[Record]) -> impl Iterator<Item = Month> + '_ {
    records.iter().map(|record| record.billing_month)
}

/// What records without ids replace: the billing period that is named, or the days
/// that they cover.
pub fn replaced(target: &Target, covered: Vec<Span>) -> Vec<Span> {
    let whole = |period: Month| Span {
        billing_month: period.0,
        first_day: i64::MIN,
        last_day: i64::MAX,
    };
    target
        .billing_period
        .map_or(covered, |own| vec![whole(own)])
}

fn spans(records: &[&Record]) -> Vec<Span> {
    let mut days = BTreeMap::new();
    for record in records {
        let day = record.charge_day;
        let span = days.entry(record.billing_month.0).or_insert((day, day));
        *span = (span.0.min(day), span.1.max(day));
    }
    let spans = days.into_iter();
    spans
        .map(|(billing_month, (first_day, last_day))| Span {
            billing_month,
            first_day,
            last_day,
        })
        .collect()
}

pub fn take_away(
    tx: &Transaction,
    target: &Target,
    spans: &[Span],
    hidden: &[String],
) -> Result<Vec<Changed>, Problem> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let column = |of: fn(&Span) -> i64| -> Vec<i64> { spans.iter().map(of).collect() };
    Ok(remove_spans(
        tx,
        &target.source,
        &column(|span| span.billing_month),
        &column(|span| span.first_day),
        &column(|span| span.last_day),
        hidden,
    )?)
}

/// What a load has changed.
#[derive(Default)]
pub struct Changes {
    months: BTreeSet<Month>,
    replaced: i64,
}

impl Changes {
    fn of(changed: Vec<Changed>) -> Changes {
        let mut changes = Changes::default();
        changes.add(changed);
        changes
    }

    pub fn add(&mut self, changed: Vec<Changed>) {
        for Changed { month, replaced } in changed {
            self.months.insert(Month(month));
            self.replaced += replaced;
        }
    }

    pub fn add_months(&mut self, months: impl Iterator<Item = Month>) {
        self.months.extend(months);
    }

    /// Sums the months anew and looks at the budgets. Answers how many alerts were sent.
    pub fn settle(&self, tx: &Transaction, hidden: &[String]) -> Result<usize, Problem> {
        if self.months.is_empty() {
            return Ok(0);
        }
        let months: Vec<_> = self.months.iter().map(|month| month.0).collect();
        remove_months(tx, &months)?;
        sum_months(tx, &months, hidden)?;
        watch::all(tx)
    }

    pub fn months_json(&self) -> Value {
        months_json(&self.months)
    }

    /// The answer to a load of so many records.
    pub fn to_json(
        &self,
        target: &Target,
        records: usize,
        billing_periods: BTreeSet<Month>,
        alerts: usize,
    ) -> Value {
        json!({
            "records": records,
            "replaced": self.replaced,
            "source": target.source,
            "billing_periods": months_json(&billing_periods),
            "months_changed": self.months_json(),
            "budget_alerts": alerts,
            "load": null,
        })
    }
}

fn months_json(months: &BTreeSet<Month>) -> Value {
    months.iter().map(Month::to_string).collect()
}
