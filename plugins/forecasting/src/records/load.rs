//! Writing a load: its records, the sums of the months that they change, and the
//! budget alerts that follow, in one transaction.

use std::collections::BTreeSet;

use hearth_plugin::prelude::*;

use super::record::Record;
use crate::budgets::watch;
use crate::month::Month;
use crate::selection::Metric;
use crate::sql::records::{
    Changed, begin_load, put_records, remove_months, remove_periods, sum_months,
};

/// Records of one statement.
const BATCH: usize = 1_000;

/// What a load did.
pub struct Loaded {
    months: BTreeSet<Month>,
    alerts: usize,
}

impl Loaded {
    pub fn to_json(&self, source: &str, records: &[Record]) -> Value {
        let text = |months: BTreeSet<Month>| -> Vec<String> {
            months.iter().map(Month::to_string).collect()
        };
        json!({
            "records": records.len(),
            "source": source,
            "billing_periods": text(billing_months(records).collect()),
            "months_changed": text(self.months.clone()),
            "budget_alerts": self.alerts,
        })
    }
}

/// Writes a load, or nothing of it.
pub fn write(database: &Database, source: &str, records: &[Record]) -> Result<Loaded, Problem> {
    let (own, others): (Vec<_>, Vec<_>) = records.iter().partition(|row| row.row_id.is_some());
    database.transaction(Isolation::ReadCommitted, |tx| {
        begin_load(tx)?;
        let replaced: BTreeSet<_> = billing_months(others.iter().copied()).collect();
        let replaced: Vec<_> = replaced.into_iter().map(|month| month.0).collect();
        let mut changed = match replaced.is_empty() {
            true => Vec::new(),
            false => remove_periods(tx, source, &replaced)?,
        };
        for (batch, has_own_id) in batches(&own, true).chain(batches(&others, false)) {
            changed.extend(put(tx, source, batch, has_own_id)?);
        }
        let months: BTreeSet<_> = changed
            .into_iter()
            .map(|Changed { month }| Month(month))
            .collect();
        let numbers: Vec<_> = months.iter().map(|month| month.0).collect();
        remove_months(tx, &numbers)?;
        sum_months(tx, &numbers)?;
        let alerts = watch::all(tx)?;
        Ok(Loaded { months, alerts })
    })
}

fn batches<'r>(
    records: &'r [&'r Record],
    has_own_id: bool,
) -> impl Iterator<Item = (&'r [&'r Record], bool)> {
    records.chunks(BATCH).map(move |batch| (batch, has_own_id))
}

fn billing_months<'r>(
    records: impl IntoIterator<Item = &'r Record>,
) -> impl Iterator<Item = Month> {
    records.into_iter().map(|record| record.billing_month)
}

fn put(
    tx: &Transaction,
    source: &str,
    batch: &[&Record],
    has_own_id: bool,
) -> Result<Vec<Changed>, Problem> {
    let load = id::new("row");
    let ids = batch
        .iter()
        .enumerate()
        .map(|(index, record)| match &record.row_id {
            Some(id) => id.clone(),
            None => format!("{load}/{index}"),
        });
    let ids: Vec<_> = ids.collect();
    let texts = |column: fn(&Record) -> &String| -> Vec<String> {
        batch.iter().map(|record| column(record).clone()).collect()
    };
    let numbers = |column: fn(&Record) -> i64| -> Vec<i64> {
        batch.iter().map(|record| column(record)).collect()
    };
    let costs = |metric: Metric| -> Vec<String> {
        let cost = |record: &&Record| record.costs.get(metric as usize).cloned();
        batch.iter().filter_map(cost).collect()
    };
    Ok(put_records(
        tx,
        source,
        has_own_id,
        &ids,
        &numbers(|record| record.billing_month.0),
        &numbers(|record| record.month.0),
        &texts(|record| &record.currency),
        &texts(|record| &record.service),
        &texts(|record| &record.account),
        &texts(|record| &record.tags),
        &costs(Metric::Billed),
        &costs(Metric::Effective),
        &costs(Metric::List),
        &costs(Metric::Contracted),
        &numbers(|record| record.charged_until.map_or(0, Timestamp::micros)),
    )?)
}
