//! Whether a version that serves can go on after a migration of the next one.
//!
//! Between the migration's commit and the swap, and during the drain, the old
//! version's statements meet the new schema. Postgres prepares them in the
//! migration's own transaction, which finds every table, column and type that is
//! gone. What preparing does not find is an insert that would newly fail, for a
//! column that has become required.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Client;

use super::gate::Refusal;
use super::lend::{LendError, Serving};
use super::migrate::describe_as_runtime;
use super::owner::OwnerSession;
use super::roles::RoleNames;

/// Every column of the plugin's tables, and whether an insert must name it.
const COLUMNS: &str = "
    SELECT c.oid, c.relname::text, a.attname::text,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p')";

/// By table and name: the table's name, and whether the column is required.
pub(super) type Columns = HashMap<(u32, String), (String, bool)>;

pub(super) async fn columns(client: &Client, names: &RoleNames) -> Result<Columns, LendError> {
    let rows = client.query(COLUMNS, &[&names.schema]).await?;
    rows.iter()
        .map(|row| {
            let column = (row.try_get(0)?, row.try_get(2)?);
            Ok((column, (row.try_get(1)?, row.try_get(3)?)))
        })
        .collect()
}

/// Refuses what the serving version would not survive.
pub(super) async fn check(
    owner: &OwnerSession,
    names: &RoleNames,
    serving: &Serving,
    before: &Columns,
) -> Result<(), LendError> {
    let label = &serving.label;
    let mut refusals = describe_as_runtime(owner, names, &serving.declared).await?;
    for refusal in &mut refusals {
        refusal.reason = format!(
            "the migration breaks a statement of {label}, which serves: {}",
            refusal.reason
        );
    }
    let after = columns(&owner.client, names).await?;
    refusals.extend(newly_required(before, &after, label));
    match refusals.is_empty() {
        true => Ok(()),
        false => Err(LendError::Refused(refusals)),
    }
}

fn newly_required(before: &Columns, after: &Columns, label: &str) -> Vec<Refusal> {
    let tables: HashSet<u32> = before.keys().map(|(table, _)| *table).collect();
    let was_required = |column| before.get(column).is_some_and(|(_, required)| *required);
    let mut refusals: Vec<Refusal> = after
        .iter()
        .filter(|(column, (_, required))| {
            *required && tables.contains(&column.0) && !was_required(column)
        })
        .map(|((_, column), (table, _))| Refusal {
            statement: format!("table {table}"),
            reason: format!(
                "the migration makes column `{column}` NOT NULL without a default, and inserts of \
                 {label}, which serves, would fail: give it a default"
            ),
            position: None,
        })
        .collect();
    refusals.sort_by(|one, other| one.reason.cmp(&other.reason));
    refusals
}
