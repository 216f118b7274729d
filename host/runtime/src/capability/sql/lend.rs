//! From a deployment's declarations to what its calls borrow.

use std::collections::HashMap;
use std::sync::Arc;

use super::gate::{self, ApprovedFunctions, Refusal};
use super::lent::{KnownStatement, Lent};
use super::migrate::{self, CheckedMigration, Limits, MigratedSchema, Migration, Plan};
use super::roles::{self, RoleNames};
use super::scans::Scan;
use super::statement::Declared;
use super::usage::StatementAccount;
use super::{Client, Config};
use hearth_backend::postgres::chain;
use hearth_backend::postgres::connection::{Credentials, Prepared};
use hearth_backend::queues::Sender;

/// What a deployment brings along, out of its package and the operator's config.
pub struct SqlDeployment<'a> {
    pub plugin: &'a str,
    /// Its number within the plugin.
    pub number: u64,
    pub declared: Vec<Declared>,
    pub migrations: Vec<Migration>,
    /// Tables without a customer, by name.
    pub shared: Vec<String>,
    pub approved: ApprovedFunctions,
}

/// Why a deployment gets no database.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// The plugin is to blame: everything that is wrong with its SQL, as far as
    /// it could be found out together.
    #[error("{} errors in the plugin's SQL", .0.len())]
    Refused(Vec<Refusal>),
    /// Postgres is unavailable or refuses the host; a later attempt may succeed.
    #[error("Postgres: {0}")]
    Backend(String),
}

impl From<tokio_postgres::Error> for LendError {
    fn from(error: tokio_postgres::Error) -> LendError {
        match error.as_db_error() {
            Some(db) => {
                LendError::Backend(format!("{} (SQLSTATE {})", db.message(), db.code().code()))
            }
            None => LendError::Backend(chain(&error)),
        }
    }
}

impl From<deadpool_postgres::PoolError> for LendError {
    fn from(error: deadpool_postgres::PoolError) -> LendError {
        LendError::Backend(chain(&error))
    }
}

/// What stands beside a deployment that is about to borrow.
#[derive(Clone, Debug, Default)]
pub struct LendContext {
    /// What serves while the migrations run: they must leave it able to.
    pub serving: Option<Serving>,
    /// Tables that other deployments of the plugin list as shared. Given where
    /// an older deployment returns to a schema that has gone on.
    pub shared: Vec<String>,
    /// An older deployment returns: it may be from before the first migration.
    pub is_return: bool,
}

/// A deployment that serves: its label and its statements.
#[derive(Clone, Debug)]
pub struct Serving {
    pub label: String,
    pub declared: Vec<Declared>,
}

/// A deployment whose migrations ran and whose statements fit, in a transaction
/// that is still open. Dropped, the last migration is undone.
pub struct Lending {
    open: MigratedSchema,
    names: RoleNames,
    lent: Lent,
}

impl Lending {
    /// Prepares the statements of another deployment of the same plugin against
    /// the migrated schema, and answers those that would no longer run.
    pub async fn describe(&self, declared: &[Declared]) -> Result<Vec<Refusal>, LendError> {
        self.open.describe(&self.names, declared).await
    }

    /// Which of the statements read all rows of a customer, in the migrated schema.
    pub async fn scans(&self, declared: &[Declared]) -> Result<Vec<Scan>, LendError> {
        self.open.scans(&self.names, declared).await
    }

    /// Makes the migrations durable. From then on calls may borrow.
    pub async fn commit(self) -> Result<Lent, LendError> {
        self.open.commit(&self.names).await?;
        Ok(self.lent)
    }
}

impl Client {
    /// Checks a deployment's SQL, migrates its schema and opens its pool.
    ///
    /// # Errors
    /// [`LendError::Refused`] with each statement's beginning, the reason and,
    /// where Postgres gave one, the position.
    pub async fn lend(&self, deployment: SqlDeployment<'_>) -> Result<Lent, LendError> {
        self.lend_beside(deployment, &LendContext::default()).await
    }

    /// As [`Client::lend`], while another deployment may be serving.
    pub async fn lend_beside(
        &self,
        deployment: SqlDeployment<'_>,
        beside: &LendContext,
    ) -> Result<Lent, LendError> {
        let lending = self.begin_lending_with(deployment, beside).await?;
        lending.commit().await
    }

    /// As [`Client::lend`], and leaves the transaction open in which the last
    /// migration ran, so that the caller can look before it commits.
    pub async fn begin_lending(&self, deployment: SqlDeployment<'_>) -> Result<Lending, LendError> {
        self.begin_lending_with(deployment, &LendContext::default())
            .await
    }

    /// As [`Client::begin_lending`], while another deployment may be serving:
    /// each migration is refused in its own transaction where that one could not
    /// go on.
    pub async fn begin_lending_with(
        &self,
        deployment: SqlDeployment<'_>,
        beside: &LendContext,
    ) -> Result<Lending, LendError> {
        let names = self.names(deployment.plugin).await?;
        let checked = check(&deployment, &names)?;
        let password = roles::password(&self.secret, deployment.plugin);
        let plan = Plan {
            plugin: deployment.plugin,
            names: &names,
            password: &password,
            migrations: &checked,
            shared: &deployment.shared,
            limits: self.limits(),
            beside,
            server: &self.server,
        };
        let open = migrate::migrate(&plan).await?;
        let refusals = open.describe(&names, &deployment.declared).await?;
        if !refusals.is_empty() {
            return Err(LendError::Refused(refusals));
        }
        let lent = self.open_pool(&names, password, &deployment)?;
        Ok(Lending { open, names, lent })
    }

    pub(super) async fn names(&self, plugin: &str) -> Result<RoleNames, LendError> {
        let database = self.database().await?;
        RoleNames::of(plugin, &database).ok_or_else(unnamed)
    }

    pub(super) async fn database(&self) -> Result<String, LendError> {
        let connection = self.server.host().get().await?;
        let text = "SELECT current_database()::text";
        Ok(connection.query_one(text, &[]).await?.try_get(0)?)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            migration_ms_max: self.config.migration_ms_max,
            lock_ms_max: self.server.config().lock_ms_max,
        }
    }

    fn open_pool(
        &self,
        names: &RoleNames,
        password: String,
        deployment: &SqlDeployment<'_>,
    ) -> Result<Lent, LendError> {
        let (role, schema) = (names.runtime.clone(), names.schema.clone());
        let credentials = Credentials {
            role,
            password,
            schema,
        };
        let pool = self.pools.of(deployment.plugin, &credentials);
        let pool = pool.map_err(|error| LendError::Backend(error.to_string()))?;
        pool.serve(deployment.number);
        let config: Arc<Config> = self.config.clone();
        Ok(Lent {
            number: deployment.number,
            statements: self.known_statements(deployment),
            pool: Some(pool),
            config,
            sender: Sender::nobody(),
            watch: Some(self.watch.clone()),
        })
    }

    /// The comment keeps plans of plugins and deployments apart, in Postgres and in
    /// whatever stands in between. The plugin's name cannot end it.
    fn known_statements(&self, deployment: &SqlDeployment<'_>) -> HashMap<String, KnownStatement> {
        let (plugin, number) = (Arc::<str>::from(deployment.plugin), deployment.number);
        let declared = deployment.declared.iter().enumerate();
        let known = declared.map(|(index, declared)| {
            let known = KnownStatement {
                declared: declared.clone(),
                prepared: Prepared {
                    deployment: number,
                    index,
                    text: format!("/* {plugin}@{number} */ {}", declared.text),
                },
                account: StatementAccount {
                    metrics: self.statements.of(&plugin, &declared.name),
                    watch: self.watch.clone(),
                },
            };
            (declared.text.clone(), known)
        });
        known.collect()
    }
}

fn unnamed() -> LendError {
    LendError::Refused(vec![Refusal {
        statement: String::new(),
        reason:
            "the plugin's name is invalid: it must consist of a-z, 0-9 and -, and begin with a \
             letter"
                .into(),
        position: None,
    }])
}

/// Everything that can be found out without a database, together.
fn check<'d>(
    deployment: &'d SqlDeployment<'_>,
    names: &RoleNames,
) -> Result<Vec<CheckedMigration<'d>>, LendError> {
    let mut refusals: Vec<_> = deployment
        .declared
        .iter()
        .filter_map(|declared| {
            gate::check_declared(declared, &names.schema, &deployment.approved).err()
        })
        .collect();
    let mut migrations: Vec<_> = deployment.migrations.iter().collect();
    migrations.sort_by_key(|migration| migration.version);
    let mut checked = Vec::new();
    for migration in &migrations {
        match gate::check_migration(&migration.sql, &names.schema, &deployment.approved) {
            Ok(statements) => checked.push(CheckedMigration {
                migration,
                statements,
            }),
            Err(mut refusal) => {
                let title = format!("migration {:04}_{}", migration.version, migration.name);
                refusal.reason = format!("{title}: {}", refusal.reason);
                refusals.push(refusal);
            }
        }
    }
    refusals.extend(twice(&migrations));
    if refusals.is_empty() {
        Ok(checked)
    } else {
        Err(LendError::Refused(refusals))
    }
}

fn twice(migrations: &[&Migration]) -> Vec<Refusal> {
    let same = migrations.windows(2).filter_map(|pair| match pair {
        [first, second] if first.version == second.version => Some(second),
        _ => None,
    });
    same.map(|migration| Refusal {
        statement: format!("migration {:04}_{}", migration.version, migration.name),
        reason: "its number is taken by another migration".into(),
        position: None,
    })
    .collect()
}
