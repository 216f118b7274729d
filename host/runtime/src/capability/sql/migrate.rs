//! Bringing a plugin's schema up to its deployment.
//!
//! Each migration runs in a transaction of its own, in a session of the plugin's
//! owner (see [`super::owner`]), while the host holds the plugin's advisory lock in
//! a session of its own (see [`super::turn`]): hosts take turns, and whoever comes
//! second finds it done. In the same transaction the host's policies are written
//! (see [`super::tables`]), so no instant shows a table without them, and the row of
//! the ledger (see [`super::ledger`]). A file that begins with `-- no-transaction`
//! runs outside one (see [`super::concurrent_index`]). The last transaction stays open until the
//! statements of the deployment have been described: what does not fit leaves the
//! last migration undone.

use serde::{Deserialize, Serialize};

use super::analyse;
use super::concurrent_index;
use super::describe;
use super::gate::Refusal;
use super::gate::runs_without_transaction;
use super::guard;
use super::ledger::{self, LedgerKey};
use super::lend::{LendContext, LendError};
use super::owner::OwnerSession;
use super::roles::{self, RoleNames};
use super::scans::{self, Scan};
use super::statement::Declared;
use super::tables;
use super::turn::Turn;
use hearth_backend::postgres::Server;

/// One file of a plugin's migrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// The number at the beginning of the file's name. Migrations run in the
    /// order of their numbers, each once in the life of a database.
    pub version: u32,
    /// What follows the number, for people: `create_ticket` of `0001_create_ticket.sql`.
    pub name: String,
    pub sql: String,
}

/// A migration that passed the gate.
pub(super) struct CheckedMigration<'a> {
    pub migration: &'a Migration,
    pub statements: Vec<String>,
}

pub(super) struct Plan<'a> {
    pub plugin: &'a str,
    pub names: &'a RoleNames,
    pub password: &'a str,
    /// In the order of their versions.
    pub migrations: &'a [CheckedMigration<'a>],
    pub shared: &'a [String],
    pub limits: Limits,
    pub beside: &'a LendContext,
    /// For the two connections of a migration: the host's and the owner's.
    pub server: &'a Server,
}

/// Milliseconds. The first bounds each statement of a migration, the other the wait
/// for a table in use: requests queue behind whoever waits for one.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub migration_ms_max: u64,
    pub lock_ms_max: u64,
}

/// The migrated schema before it is committed.
pub(super) struct MigratedSchema {
    owner: OwnerSession,
    /// Whether any migration ran.
    has_migrated: bool,
    /// Ends after the owner's session.
    _turn: Turn,
}

impl MigratedSchema {
    /// Prepares statements as that runtime role would, and answers what does not
    /// fit. Another deployment's may be asked for as well as this one's.
    pub(super) async fn describe(
        &self,
        names: &RoleNames,
        declared: &[Declared],
    ) -> Result<Vec<Refusal>, LendError> {
        describe_as_runtime(&self.owner, names, declared).await
    }

    /// Which of the statements read all rows of a customer.
    pub(super) async fn scans(
        &self,
        names: &RoleNames,
        declared: &[Declared],
    ) -> Result<Vec<Scan>, LendError> {
        scans::find(&self.owner.client, names, declared).await
    }

    /// Commits, and analyses what migrations made.
    pub(super) async fn commit(self, names: &RoleNames) -> Result<(), LendError> {
        self.owner.commit().await?;
        if self.has_migrated {
            analyse::migrated(&self.owner, names).await;
        }
        Ok(())
    }
}

/// Prepares statements with the rights and the search path of a request.
pub(super) async fn describe_as_runtime(
    owner: &OwnerSession,
    names: &RoleNames,
    declared: &[Declared],
) -> Result<Vec<Refusal>, LendError> {
    let RoleNames {
        schema, runtime, ..
    } = names;
    let role = format!("SET LOCAL ROLE {runtime}; SET LOCAL search_path = {schema}, pg_temp");
    owner.client.batch_execute(&role).await?;
    let refusals = describe::describe(&owner.client, declared).await?;
    let back = "SET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog, pg_temp";
    owner.client.batch_execute(back).await?;
    Ok(refusals)
}

/// Runs what has not run yet. Everything is committed but the last migration.
pub(super) async fn migrate(plan: &Plan<'_>) -> Result<MigratedSchema, LendError> {
    let mut turn = Turn::take(plan).await?;
    roles::ensure(&mut turn.client, plan.names, plan.password).await?;
    let pending = ledger::pending(&turn, plan).await?;
    let owner = OwnerSession::log_in(&turn, plan).await?;
    let mut last = None;
    for (index, next) in pending.iter().copied().enumerate() {
        if runs_without_transaction(&next.migration.sql) {
            concurrent_index::run(plan, &turn, &owner, next).await?;
        } else if index + 1 < pending.len() {
            step(plan, &turn, &owner, Some(next), None).await?;
            owner.commit().await?;
        } else {
            last = Some(next);
        }
    }
    step(plan, &turn, &owner, last, Some(plan.shared)).await?;
    Ok(MigratedSchema {
        owner,
        has_migrated: !pending.is_empty(),
        _turn: turn,
    })
}

/// A migration with the host's part, and a look at whether what serves can go on.
/// `shared` has the tables that must exist by then; `None` before the last one.
async fn step(
    plan: &Plan<'_>,
    turn: &Turn,
    owner: &OwnerSession,
    migration: Option<&CheckedMigration<'_>>,
    shared: Option<&[String]>,
) -> Result<(), LendError> {
    let before = guard::columns(&owner.client, plan.names).await?;
    match migration {
        Some(checked) => {
            let (key, _) = ledger::announce(turn, plan, checked.migration).await?;
            owner.begin(plan).await?;
            apply(owner, checked, &key).await?;
        }
        None => owner.begin(plan).await?,
    }
    let mut shared = match shared {
        Some(all) => all.to_vec(),
        None => unfinished(owner, plan, plan.shared).await?,
    };
    shared.extend(unfinished(owner, plan, &plan.beside.shared).await?);
    let refusals = tables::reconcile(&owner.client, plan.names, &shared).await?;
    if !refusals.is_empty() {
        return Err(LendError::Refused(refusals));
    }
    match &plan.beside.serving {
        Some(serving) if migration.is_some() => {
            guard::check(owner, plan.names, serving, &before).await
        }
        _ => Ok(()),
    }
}

pub(super) fn title(migration: &Migration) -> String {
    format!("migration {:04}_{}", migration.version, migration.name)
}

/// One migration, with the rows of all customers in sight, and its row in the ledger.
async fn apply(
    owner: &OwnerSession,
    checked: &CheckedMigration<'_>,
    key: &LedgerKey,
) -> Result<(), LendError> {
    for statement in &checked.statements {
        if let Err(error) = owner.client.batch_execute(statement).await {
            return Err(refused(checked, statement, error));
        }
    }
    if let Err(error) = owner.settle().await {
        let text = "SET CONSTRAINTS ALL IMMEDIATE";
        return Err(refused(checked, text, error));
    }
    ledger::record(owner, key).await
}

/// What Postgres said of one statement of a migration.
pub(super) fn refused(
    checked: &CheckedMigration<'_>,
    statement: &str,
    error: tokio_postgres::Error,
) -> LendError {
    match describe::refusal(statement, error) {
        Ok(mut refusal) => {
            refusal.reason = format!("{}: {}", title(checked.migration), refusal.reason);
            LendError::Refused(vec![refusal])
        }
        Err(error) => error,
    }
}

/// Those of the tables that exist: between two migrations a shared table of a
/// later one need not yet.
async fn unfinished(
    owner: &OwnerSession,
    plan: &Plan<'_>,
    shared: &[String],
) -> Result<Vec<String>, LendError> {
    let query = "SELECT relname::text FROM pg_catalog.pg_class \
                 WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND relname = ANY ($2)";
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&plan.names.schema, &shared];
    let rows = owner.client.query(query, &parameters).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
