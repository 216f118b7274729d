//! The host's schema `hearth` and its migrations.
//!
//! A new table is a new file in `migrations/` and a line in [`MIGRATIONS`]. A
//! file that has been released is never changed: its checksum is kept in the
//! database, and a host whose file differs refuses to start.

use deadpool_postgres::{Client, Transaction};
use sha2::{Digest, Sha256};

use super::error::chain;
use super::{Config, OpenError};

struct Migration {
    version: i32,
    text: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        text: include_str!("migrations/0001_customers_and_keys.sql"),
    },
    Migration {
        version: 2,
        text: include_str!("migrations/0002_deployments.sql"),
    },
    Migration {
        version: 3,
        text: include_str!("migrations/0003_idempotency.sql"),
    },
    Migration {
        version: 4,
        text: include_str!("migrations/0004_rate_buckets.sql"),
    },
    Migration {
        version: 5,
        text: include_str!("migrations/0005_cache_invalidations.sql"),
    },
    Migration {
        version: 6,
        text: include_str!("migrations/0006_queues.sql"),
    },
    Migration {
        version: 7,
        text: include_str!("migrations/0007_schedules.sql"),
    },
    Migration {
        version: 8,
        text: include_str!("migrations/0008_push.sql"),
    },
    Migration {
        version: 9,
        text: include_str!("migrations/0009_cache_clock.sql"),
    },
    Migration {
        version: 10,
        text: include_str!("migrations/0010_plugin_migrations.sql"),
    },
    Migration {
        version: 11,
        text: include_str!("migrations/0011_root_secret.sql"),
    },
    Migration {
        version: 12,
        text: include_str!("migrations/0012_idempotency_scopes.sql"),
    },
    Migration {
        version: 13,
        text: concat!(
            include_str!("migrations/0013_queue_tables.sql"),
            include_str!("migrations/0013_queue_tables_receive.sql"),
            include_str!("migrations/0013_queue_tables_settle.sql"),
        ),
    },
    Migration {
        version: 14,
        text: include_str!("migrations/0014_scans.sql"),
    },
];

/// The advisory lock under which hosts take turns, "hearth" in ASCII.
const LOCK: i64 = 0x6865_6172_7468;

const LEDGER: &str = "
    CREATE SCHEMA IF NOT EXISTS hearth;
    GRANT USAGE ON SCHEMA hearth TO PUBLIC;
    CREATE TABLE IF NOT EXISTS hearth.migrations (
        version integer PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

pub(super) async fn migrate(client: &mut Client, config: &Config) -> Result<(), OpenError> {
    for migration in MIGRATIONS {
        apply(client, config, migration).await?;
    }
    Ok(())
}

/// One migration in one transaction. A second host that starts at the same
/// moment waits for the lock, then finds the migration done.
async fn apply(
    client: &mut Client,
    config: &Config,
    migration: &Migration,
) -> Result<(), OpenError> {
    let transaction = client.transaction().await?;
    take_turn(&transaction, config).await?;
    transaction.batch_execute(LEDGER).await?;
    if done_before(&transaction, migration).await? {
        return Ok(transaction.rollback().await?);
    }
    let version = migration.version;
    let failed = |error| OpenError::Migration {
        version,
        reason: chain(&error),
    };
    transaction
        .batch_execute(migration.text)
        .await
        .map_err(failed)?;
    transaction
        .execute(
            "INSERT INTO hearth.migrations (version, checksum) VALUES ($1, $2)",
            &[&version, &checksum(migration)],
        )
        .await?;
    transaction.commit().await?;
    tracing::info!(version, "the schema hearth was migrated");
    Ok(())
}

/// Another host's migrations may take as long as a start may; a lock on a table
/// that is in use may not, for others queue behind it.
pub(super) async fn take_turn(
    transaction: &Transaction<'_>,
    config: &Config,
) -> Result<(), OpenError> {
    let start = config.start_ms_max;
    let bounds = format!("SET LOCAL statement_timeout = {start}; SET LOCAL lock_timeout = {start}");
    transaction.batch_execute(&bounds).await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let lock = format!("SET LOCAL lock_timeout = {}", config.lock_ms_max);
    Ok(transaction.batch_execute(&lock).await?)
}

async fn done_before(
    transaction: &Transaction<'_>,
    migration: &Migration,
) -> Result<bool, OpenError> {
    let known = "SELECT checksum FROM hearth.migrations WHERE version = $1";
    let Some(row) = transaction.query_opt(known, &[&migration.version]).await? else {
        return Ok(false);
    };
    let found: String = row.try_get(0)?;
    if found != checksum(migration) {
        return Err(OpenError::MigrationChanged {
            version: migration.version,
        });
    }
    Ok(true)
}

fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.text.as_bytes()))
}
