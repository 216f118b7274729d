//! Migrations that run outside a transaction: `-- no-transaction`.
//!
//! `CREATE INDEX CONCURRENTLY` lets requests write meanwhile, and cannot be
//! undone by a rollback. So such a file may hold nothing that could break what
//! serves, or that the host would refuse afterwards: indexes that are not unique,
//! and no more. It runs in the owner's session, as every migration does.
//!
//! A host that ends between an index and the row of the ledger leaves the index: the
//! next run takes what this very file has made as done.

use tokio_postgres::error::SqlState;

use super::gate::Refusal;
use super::ledger;
use super::lend::LendError;
use super::migrate::{self, CheckedMigration, Plan};
use super::owner::OwnerSession;
use super::turn::Turn;

/// What an interrupted CREATE INDEX CONCURRENTLY leaves behind.
const INVALID: &str = "
    SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = to_regnamespace($1) AND NOT i.indisvalid AND c.relkind = 'i'";

pub(super) async fn run(
    plan: &Plan<'_>,
    turn: &Turn,
    owner: &OwnerSession,
    checked: &CheckedMigration<'_>,
) -> Result<(), LendError> {
    allowed(checked)?;
    let (key, again) = ledger::announce(turn, plan, checked.migration).await?;
    drop_invalid(plan, owner).await?;
    begin(plan, owner).await?;
    for statement in &checked.statements {
        // One at a time: several in one message would be one transaction.
        match owner.client.batch_execute(statement).await {
            Ok(()) => {}
            Err(error) if again && error.code() == Some(&SqlState::DUPLICATE_TABLE) => {}
            Err(error) => {
                ledger::withdraw(turn, plan).await?;
                drop_invalid(plan, owner).await?;
                return Err(migrate::refused(checked, statement, error));
            }
        }
    }
    let end = "SET search_path = pg_catalog, pg_temp";
    owner.client.batch_execute(end).await?;
    ledger::record(owner, &key).await
}

/// The plugin's names are looked up, and whoever writes may take as long as a
/// migration may.
async fn begin(plan: &Plan<'_>, owner: &OwnerSession) -> Result<(), LendError> {
    let (schema, ms) = (&plan.names.schema, plan.limits.migration_ms_max);
    let text = format!("SET search_path = {schema}, pg_temp; SET lock_timeout = {ms}");
    Ok(owner.client.batch_execute(&text).await?)
}

async fn drop_invalid(plan: &Plan<'_>, owner: &OwnerSession) -> Result<(), LendError> {
    let end = "SET search_path = pg_catalog, pg_temp";
    owner.client.batch_execute(end).await?;
    for row in owner.client.query(INVALID, &[&plan.names.schema]).await? {
        let index: String = row.try_get(0)?;
        let text = format!("DROP INDEX IF EXISTS {index}");
        owner.client.batch_execute(&text).await?;
    }
    Ok(())
}

fn allowed(checked: &CheckedMigration<'_>) -> Result<(), LendError> {
    let other = checked.statements.iter().find(|text| !makes_index(text));
    match other {
        None => Ok(()),
        Some(text) => Err(LendError::Refused(vec![Refusal {
            statement: super::statement::beginning(text),
            reason: format!(
                "{}: only CREATE INDEX without UNIQUE is allowed outside a transaction: nothing \
                 else could be undone if it failed",
                migrate::title(checked.migration)
            ),
            position: None,
        }])),
    }
}

fn makes_index(text: &str) -> bool {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let words = code.flat_map(str::split_whitespace).take(2);
    words.map(str::to_uppercase).eq(["CREATE", "INDEX"])
}

#[cfg(test)]
mod tests {
    use super::makes_index;

    #[test]
    fn only_indexes_that_are_not_unique_run_outside_a_transaction() {
        let first = "-- no-transaction\n-- why\ncreate index CONCURRENTLY i ON t (a)";
        assert!(makes_index(first));
        for text in [
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
            "ALTER TABLE t DROP COLUMN a",
            "DROP INDEX CONCURRENTLY i",
            "",
        ] {
            assert!(!makes_index(text), "{text}");
        }
    }
}
