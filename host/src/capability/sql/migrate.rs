//! Bringing a plugin's schema up to its deployment.
//!
//! Each migration runs in a transaction of its own, as the owner role, under an
//! advisory lock which that transaction holds: hosts take turns, and whoever
//! comes second finds it done. In the same transaction the host writes its
//! policies (see [`super::tables`]), so no instant shows a table without them.
//! The last transaction stays open until the statements of the deployment have
//! been described: what does not fit leaves the last migration undone.

use deadpool_postgres::{Client, Transaction};
use sha2::{Digest, Sha256};

use super::describe;
use super::gate::Refusal;
use super::guard;
use super::lend::{Beside, LendError};
use super::roles::{self, Names};
use super::statement::Declared;
use super::tables;

/// One file of a plugin's migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The number at the beginning of the file's name. Migrations run in the
    /// order of their numbers, each once in the life of a database.
    pub version: u32,
    /// What follows the number, for people.
    pub name: String,
    pub sql: String,
}

/// A migration that passed the gate.
pub(super) struct Checked<'a> {
    pub migration: &'a Migration,
    pub statements: Vec<String>,
}

pub(super) struct Plan<'a> {
    pub plugin: &'a str,
    pub names: &'a Names,
    pub password: &'a str,
    /// In the order of their versions.
    pub migrations: &'a [Checked<'a>],
    pub shared: &'a [String],
    pub limits: Limits,
    pub beside: &'a Beside,
}

/// Milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub migration_ms_max: u64,
    pub lock_ms_max: u64,
}

/// The advisory lock of all plugins' migrations: "hrthplug" in ASCII. One for
/// all, for roles and rights are changed under it too.
const LOCK: i64 = 0x6872_7468_706c_7567;

const LEDGER: &str = "
    CREATE TABLE IF NOT EXISTS hearth.plugin_migrations (
        plugin text NOT NULL,
        version bigint NOT NULL,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (plugin, version)
    );
    REVOKE ALL ON hearth.plugin_migrations FROM PUBLIC";

/// The migrated schema before it is committed.
pub(super) struct Open<'c> {
    transaction: Transaction<'c>,
}

impl Open<'_> {
    /// Prepares statements as that runtime role would, and answers what does not
    /// fit. Another deployment's may be asked for as well as this one's.
    pub(super) async fn describe(
        &self,
        names: &Names,
        declared: &[Declared],
    ) -> Result<Vec<Refusal>, LendError> {
        describe_as_runtime(&self.transaction, names, declared).await
    }

    pub(super) async fn commit(self) -> Result<(), LendError> {
        Ok(self.transaction.commit().await?)
    }
}

/// Prepares statements with the rights and the search path of a request.
pub(super) async fn describe_as_runtime(
    transaction: &Transaction<'_>,
    names: &Names,
    declared: &[Declared],
) -> Result<Vec<Refusal>, LendError> {
    let Names {
        schema, runtime, ..
    } = names;
    let role = format!("SET LOCAL ROLE {runtime}; SET LOCAL search_path = {schema}, pg_temp");
    transaction.batch_execute(&role).await?;
    let refusals = describe::describe(transaction, declared).await?;
    transaction.batch_execute("SET LOCAL ROLE NONE").await?;
    Ok(refusals)
}

/// Runs what has not run yet. Everything is committed but the last migration.
pub(super) async fn migrate<'c>(
    client: &'c mut Client,
    plan: &Plan<'_>,
) -> Result<Open<'c>, LendError> {
    let transaction = start(client, plan.limits).await?;
    roles::ensure(&transaction, plan.names, plan.password).await?;
    transaction.batch_execute(LEDGER).await?;
    transaction.commit().await?;
    loop {
        let transaction = start(client, plan.limits).await?;
        let pending = pending(&transaction, plan).await?;
        if let [next, _, ..] = pending.as_slice() {
            step(&transaction, plan, &[next], None).await?;
            transaction.commit().await?;
        } else {
            break;
        }
    }
    let transaction = start(client, plan.limits).await?;
    let last = pending(&transaction, plan).await?;
    step(&transaction, plan, &last, Some(plan.shared)).await?;
    Ok(Open { transaction })
}

/// Migrations with the host's part, and a look at whether what serves can go on.
/// `shared` has the tables that must exist by then; `None` before the last one.
async fn step(
    transaction: &Transaction<'_>,
    plan: &Plan<'_>,
    migrations: &[&Checked<'_>],
    shared: Option<&[String]>,
) -> Result<(), LendError> {
    let before = guard::columns(transaction, plan.names).await?;
    for migration in migrations {
        apply(transaction, plan, migration).await?;
    }
    let mut shared = match shared {
        Some(all) => all.to_vec(),
        None => unfinished(transaction, plan, plan.shared).await?,
    };
    shared.extend(unfinished(transaction, plan, &plan.beside.shared).await?);
    write_host_part(transaction, plan, &shared).await?;
    match &plan.beside.serving {
        Some(serving) if !migrations.is_empty() => {
            guard::check(transaction, plan.names, serving, &before).await
        }
        _ => Ok(()),
    }
}

/// A transaction whose turn it is. Another host's migration may take as long as
/// one may; a lock on a table in use may not, for requests queue behind it.
async fn start(client: &mut Client, limits: Limits) -> Result<Transaction<'_>, LendError> {
    let transaction = client.transaction().await?;
    let Limits {
        migration_ms_max,
        lock_ms_max,
    } = limits;
    let bounds = format!(
        "SET LOCAL statement_timeout = {migration_ms_max}; \
         SET LOCAL lock_timeout = {migration_ms_max}; \
         SET LOCAL idle_in_transaction_session_timeout = {migration_ms_max}"
    );
    transaction.batch_execute(&bounds).await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    transaction
        .batch_execute(&format!("SET LOCAL lock_timeout = {lock_ms_max}"))
        .await?;
    Ok(transaction)
}

/// The migrations that have not run, after those that have were compared.
async fn pending<'p>(
    transaction: &Transaction<'_>,
    plan: &'p Plan<'_>,
) -> Result<Vec<&'p Checked<'p>>, LendError> {
    let applied = "SELECT version, checksum FROM hearth.plugin_migrations WHERE plugin = $1";
    let mut done = std::collections::BTreeMap::new();
    for row in transaction.query(applied, &[&plan.plugin]).await? {
        let (version, checksum): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        done.insert(version, checksum);
    }
    let newest = done.keys().next_back().copied().unwrap_or(-1);
    let (mut pending, mut refusals) = (Vec::new(), Vec::new());
    for checked in plan.migrations {
        let migration = checked.migration;
        match done.get(&i64::from(migration.version)) {
            Some(sum) if *sum == checksum(migration) => {}
            Some(_) => refusals.push(refuse(
                migration,
                "it was changed after it had run; write a new one",
            )),
            None if i64::from(migration.version) < newest => {
                refusals.push(refuse(
                    migration,
                    "a later one has run already; give it a higher number",
                ));
            }
            None => pending.push(checked),
        }
    }
    if refusals.is_empty() {
        Ok(pending)
    } else {
        Err(LendError::Refused(refusals))
    }
}

fn refuse(migration: &Migration, reason: &str) -> Refusal {
    Refusal {
        statement: title(migration),
        reason: reason.to_owned(),
        position: None,
    }
}

fn title(migration: &Migration) -> String {
    format!("migration {:04}_{}", migration.version, migration.name)
}

fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql.as_bytes()))
}

/// One migration, as the owner, with the rows of all customers in sight.
async fn apply(
    transaction: &Transaction<'_>,
    plan: &Plan<'_>,
    checked: &Checked<'_>,
) -> Result<(), LendError> {
    become_owner(transaction, plan.names).await?;
    for statement in &checked.statements {
        if let Err(error) = transaction.batch_execute(statement).await {
            let mut refusal = describe::refusal(statement, error)?;
            refusal.reason = format!("{}: {}", title(checked.migration), refusal.reason);
            return Err(LendError::Refused(vec![refusal]));
        }
    }
    become_host(transaction).await?;
    let migration = checked.migration;
    let ledger = "INSERT INTO hearth.plugin_migrations (plugin, version, name, checksum) VALUES ($1, $2, $3, $4)";
    let version = i64::from(migration.version);
    transaction
        .execute(
            ledger,
            &[
                &plan.plugin,
                &version,
                &migration.name,
                &checksum(migration),
            ],
        )
        .await?;
    Ok(())
}

/// Policies, defaults and rights, in the transaction of the migration.
async fn write_host_part(
    transaction: &Transaction<'_>,
    plan: &Plan<'_>,
    shared: &[String],
) -> Result<(), LendError> {
    become_owner(transaction, plan.names).await?;
    let refusals = tables::reconcile(transaction, plan.names, shared).await?;
    if !refusals.is_empty() {
        return Err(LendError::Refused(refusals));
    }
    become_host(transaction).await
}

/// Those of the tables that exist: between two migrations a shared table of a
/// later one need not yet.
async fn unfinished(
    transaction: &Transaction<'_>,
    plan: &Plan<'_>,
    shared: &[String],
) -> Result<Vec<String>, LendError> {
    let query = "SELECT relname::text FROM pg_catalog.pg_class \
                 WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND relname = ANY ($2)";
    let rows = transaction
        .query(query, &[&plan.names.schema, &shared])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Until the transaction ends or the host takes itself back.
async fn become_owner(transaction: &Transaction<'_>, names: &Names) -> Result<(), LendError> {
    let Names { schema, owner, .. } = names;
    let text = format!(
        "SET LOCAL ROLE {owner}; SET LOCAL search_path = {schema}, pg_temp; \
         SET LOCAL hearth.migration = 'on'"
    );
    Ok(transaction.batch_execute(&text).await?)
}

async fn become_host(transaction: &Transaction<'_>) -> Result<(), LendError> {
    let text = "SET LOCAL hearth.migration = 'off'; SET LOCAL search_path = pg_catalog; SET LOCAL ROLE NONE";
    Ok(transaction.batch_execute(text).await?)
}
