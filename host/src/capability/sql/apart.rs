//! Migrations that run outside a transaction: `-- no-transaction`.
//!
//! `CREATE INDEX CONCURRENTLY` lets requests write meanwhile, and cannot be
//! undone by a rollback. So such a file may hold nothing that could break what
//! serves, or that the host would refuse afterwards: indexes that are not unique,
//! and no more. It runs on a connection of its own, which closes whatever
//! happens, so no role and no setting goes back to a pool. The migrations' lock
//! is not held meanwhile: whoever waited for it would hold a snapshot, for which
//! Postgres waits here in turn. A deploy holds the plugin's own lock.

use tokio_postgres::Client;

use super::describe;
use super::gate::Refusal;
use super::lend::LendError;
use super::migrate::{self, Checked, Plan};
use super::roles::Names;

/// What an interrupted CREATE INDEX CONCURRENTLY leaves behind.
const INVALID: &str = "
    SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = to_regnamespace($1) AND NOT i.indisvalid AND c.relkind = 'i'";

pub(super) async fn run(plan: &Plan<'_>, checked: &Checked<'_>) -> Result<(), LendError> {
    allowed(checked)?;
    let (config, tls) = (plan.server.connect_config(), plan.server.tls());
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection of a migration ended");
        }
    });
    let ms = plan.limits.migration_ms_max;
    let bounds = format!(
        "SET statement_timeout = {ms}; SET lock_timeout = {ms}; SET search_path = pg_catalog"
    );
    client.batch_execute(&bounds).await?;
    drop_invalid(&client, plan.names).await?;
    let Names { schema, owner, .. } = plan.names;
    let role = format!("SET ROLE {owner}; SET search_path = {schema}, pg_temp");
    client.batch_execute(&role).await?;
    for statement in &checked.statements {
        // One at a time: several in one message would be one transaction.
        if let Err(error) = client.batch_execute(statement).await {
            become_host(&client).await?;
            drop_invalid(&client, plan.names).await?;
            let mut refusal = describe::refusal(statement, error)?;
            refusal.reason = format!("{}: {}", migrate::title(checked.migration), refusal.reason);
            return Err(LendError::Refused(vec![refusal]));
        }
    }
    become_host(&client).await?;
    let migration = checked.migration;
    let version = i64::from(migration.version);
    let sum = migrate::checksum(migration);
    client
        .execute(
            "INSERT INTO hearth.plugin_migrations (plugin, version, name, checksum)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[&plan.plugin, &version, &migration.name, &sum],
        )
        .await?;
    Ok(())
}

async fn become_host(client: &Client) -> Result<(), LendError> {
    let text = "RESET ROLE; SET search_path = pg_catalog";
    Ok(client.batch_execute(text).await?)
}

async fn drop_invalid(client: &Client, names: &Names) -> Result<(), LendError> {
    for row in client.query(INVALID, &[&names.schema]).await? {
        let index: String = row.try_get(0)?;
        let owner = &names.owner;
        let text = format!("SET ROLE {owner}; DROP INDEX IF EXISTS {index}; RESET ROLE");
        client.batch_execute(&text).await?;
    }
    Ok(())
}

fn allowed(checked: &Checked<'_>) -> Result<(), LendError> {
    let other = checked.statements.iter().find(|text| !makes_index(text));
    match other {
        None => Ok(()),
        Some(text) => Err(LendError::Refused(vec![Refusal {
            statement: super::statement::beginning(text),
            reason: format!(
                "{}: outside a transaction only CREATE INDEX can run, and not for a unique one: \
                 nothing else could be undone where it does not fit",
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
