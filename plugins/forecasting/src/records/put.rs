//! Writes records into the database, a thousand with each statement.

use hearth_plugin::prelude::*;

use super::record::Record;
use crate::selection::Metric;
use crate::sql::records::{Changed, put_records};

/// Records of one statement.
const BATCH: usize = 1_000;

/// The load in parts with which records count, and the part that brings them.
#[derive(Clone, Copy, Debug)]
pub struct PartKey<'k> {
    pub load_id: &'k str,
    pub number: i64,
}

/// Puts records under their own ids, or under new ones where they have none.
pub fn all(
    tx: &Transaction,
    source: &str,
    records: &[&Record],
    part: Option<PartKey<'_>>,
) -> Result<Vec<Changed>, Problem> {
    let mut changed = Vec::new();
    for batch in records.chunks(BATCH) {
        changed.extend(one(tx, source, batch, part)?);
    }
    Ok(changed)
}

/// Records that all have ids of their own, or none of which has.
fn one(
    tx: &Transaction,
    source: &str,
    batch: &[&Record],
    part: Option<PartKey<'_>>,
) -> Result<Vec<Changed>, Problem> {
    let has_own_id = batch.iter().all(|record| record.row_id.is_some());
    let new = id::new("row");
    let ids = batch.iter().enumerate();
    let ids = ids.map(|(index, record)| match &record.row_id {
        Some(id) => id.clone(),
        None => format!("{new}/{index}"),
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
        part.map(|own| own.load_id),
        part.map(|own| own.number),
        &ids,
        &numbers(|record| record.billing_month.0),
        &numbers(|record| record.month.0),
        &numbers(|record| record.charge_day),
        &texts(|record| &record.currency),
        &texts(|record| &record.service),
        &texts(|record| &record.account),
        &texts(|record| &record.provider),
        &texts(|record| &record.region),
        &texts(|record| &record.charge_category),
        &texts(|record| &record.tags),
        &costs(Metric::Billed),
        &costs(Metric::Effective),
        &costs(Metric::List),
        &costs(Metric::Contracted),
        &numbers(|record| record.charged_until.map_or(0, Timestamp::micros)),
    )?)
}
