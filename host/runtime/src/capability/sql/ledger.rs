//! Which migrations have run: `hearth.plugin_migrations`.
//!
//! A migration and its row commit together, in the owner's session. The owner has
//! no right to the table; the host announces the row beforehand, under the digest of
//! a key of its own, and `hearth.record_migration` writes what was announced to
//! whoever shows that key. Code of a plugin does not have it, and even with it could
//! write nothing but the one row that is about to be written.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::gate::Refusal;
use super::lend::LendError;
use super::migrate::{CheckedMigration, Migration, Plan, title};
use super::owner::OwnerSession;
use super::turn::Turn;

/// The migrations that have not run, after those that have were compared.
pub(super) async fn pending<'p>(
    turn: &Turn,
    plan: &'p Plan<'_>,
) -> Result<Vec<&'p CheckedMigration<'p>>, LendError> {
    let done = done(&turn.client, plan.plugin).await?;
    let newest = done.keys().next_back().copied().unwrap_or(-1);
    let (mut pending, mut refusals) = (Vec::new(), Vec::new());
    for checked in plan.migrations {
        let migration = checked.migration;
        let version = i64::from(migration.version);
        match done.get(&version) {
            Some(sum) if *sum == checksum(migration) => {}
            Some(_) => {
                let reason = "it was changed after it had run; write a new one";
                refusals.push(refuse(migration, reason));
            }
            None if version < newest => {
                let reason = "a later one has run already; give it a higher number";
                refusals.push(refuse(migration, reason));
            }
            None => pending.push(checked),
        }
    }
    if plan.migrations.is_empty() && !done.is_empty() && !plan.beside.is_return {
        refusals.push(nothing_of(done.len()));
    }
    match refusals.is_empty() {
        true => Ok(pending),
        false => Err(LendError::Refused(refusals)),
    }
}

/// The versions that have run, with their checksums.
pub(super) async fn done(
    client: &Client,
    plugin: &str,
) -> Result<BTreeMap<i64, String>, LendError> {
    let text = "SELECT version, checksum FROM hearth.plugin_migrations WHERE plugin = $1";
    let rows = client.query(text, &[&plugin]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// A manifest that lost its `[sql]` would go on with a schema that it says nothing of.
fn nothing_of(done: usize) -> Refusal {
    Refusal {
        statement: "[sql] migrations".to_owned(),
        reason: format!(
            "{done} migrations of this plugin have run here, and this file has none: name their \
             folder in its plugin.toml, as `[sql] migrations = \"migrations\"`"
        ),
        position: None,
    }
}

fn refuse(migration: &Migration, reason: &str) -> Refusal {
    Refusal {
        statement: title(migration),
        reason: reason.to_owned(),
        position: None,
    }
}

pub(super) fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql.as_bytes()))
}

/// What lets one migration be recorded, once.
pub(super) struct LedgerKey([u8; 32]);

/// Says which row comes next, and whether it had been said before: then a host ended
/// between the beginning and the end of this migration.
pub(super) async fn announce(
    turn: &Turn,
    plan: &Plan<'_>,
    migration: &Migration,
) -> Result<(LedgerKey, bool), LendError> {
    let key = LedgerKey(rand::random());
    let digest = Sha256::digest(key.0);
    let (version, sum) = (i64::from(migration.version), checksum(migration));
    // Each part of a WITH sees the table as it was before.
    let text = "
        WITH earlier AS (
            DELETE FROM hearth.migration_intents WHERE plugin = $2 RETURNING version, checksum
        ), next AS (
            INSERT INTO hearth.migration_intents (key_digest, plugin, version, name, checksum)
            VALUES ($1, $2, $3, $4, $5)
        )
        SELECT EXISTS (SELECT FROM earlier WHERE version = $3 AND checksum = $5)";
    let row = turn
        .client
        .query_one(
            text,
            &[
                &digest.as_slice(),
                &plan.plugin,
                &version,
                &migration.name,
                &sum,
            ],
        )
        .await?;
    Ok((key, row.try_get(0)?))
}

/// Takes back what was announced, for a migration that was refused.
pub(super) async fn withdraw(turn: &Turn, plan: &Plan<'_>) -> Result<(), LendError> {
    let text = "DELETE FROM hearth.migration_intents WHERE plugin = $1";
    turn.client.execute(text, &[&plan.plugin]).await?;
    Ok(())
}

/// Writes the row that was announced, in the transaction of the migration.
pub(super) async fn record(owner: &OwnerSession, key: &LedgerKey) -> Result<(), LendError> {
    let text = "SELECT hearth.record_migration($1)";
    owner.client.query_one(text, &[&key.0.as_slice()]).await?;
    Ok(())
}
