//! The session in which a plugin's migrations run.
//!
//! It logged in as the plugin's owner: `session_user` is the owner, too. So there
//! is no other role to go back to, whatever a migration runs and whenever that
//! runs: a trigger at COMMIT, an index or default expression, a policy, a rule, a
//! RESET ROLE. What Postgres must be asked about the uncommitted schema is asked in
//! this session as well, about its catalogues alone.
//!
//! The owner can log in for the moment of connecting only, with a password of that
//! moment; the session lives on without it.

use tokio_postgres::Client;

use super::lend::LendError;
use super::migrate::Plan;
use super::roles;
use super::turn::{self, Turn};

/// Dropped, its connection closes, and what was not committed is undone.
pub(super) struct OwnerSession {
    pub client: Client,
    settings: String,
}

impl OwnerSession {
    pub async fn log_in(turn: &Turn, plan: &Plan<'_>) -> Result<OwnerSession, LendError> {
        let password = hex::encode(rand::random::<[u8; 32]>());
        roles::open_login(&turn.client, plan.names, &password).await?;
        let mut config = plan.server.connect_config();
        config.user(&plan.names.owner).password(&password);
        let connected = turn::connect(plan.server, &config).await;
        roles::close_login(&turn.client, plan.names).await?;
        let owner = OwnerSession {
            client: connected?,
            settings: settings(plan),
        };
        owner.client.batch_execute(&owner.settings).await?;
        owner.is_owner(plan).await?;
        Ok(owner)
    }

    /// A proxy or a map of users in between could have made somebody else of it.
    async fn is_owner(&self, plan: &Plan<'_>) -> Result<(), LendError> {
        let text = "SELECT session_user::text = $1 AND current_user::text = $1";
        let row = self.client.query_one(text, &[&plan.names.owner]).await?;
        match row.try_get(0)? {
            true => Ok(()),
            false => Err(LendError::Backend(format!(
                "a login as {} became another role: migrations need a direct connection to \
                 Postgres, without a user name map",
                plan.names.owner
            ))),
        }
    }

    /// Begins a transaction in which the plugin's statements may run. The rows of
    /// all customers are in sight (see [`super::tables`]).
    pub async fn begin(&self, plan: &Plan<'_>) -> Result<(), LendError> {
        let (settings, schema) = (&self.settings, &plan.names.schema);
        let text = format!(
            "BEGIN; {settings}; SET LOCAL search_path = {schema}, pg_temp; \
             SET LOCAL hearth.migration = 'on'"
        );
        Ok(self.client.batch_execute(&text).await?)
    }

    /// After the plugin's statements: what they left to the COMMIT runs now, and
    /// then the session's settings are the host's again.
    pub async fn settle(&self) -> Result<(), tokio_postgres::Error> {
        self.client
            .batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
            .await?;
        self.client.batch_execute(&self.settings).await
    }

    pub async fn commit(&self) -> Result<(), LendError> {
        Ok(self.client.batch_execute("COMMIT").await?)
    }
}

/// Names of a plugin's schema are not looked up in it: what the host asks of the
/// catalogues means Postgres's own.
fn settings(plan: &Plan<'_>) -> String {
    let (ms, lock_ms) = (plan.limits.migration_ms_max, plan.limits.lock_ms_max);
    format!(
        "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
         SET search_path = pg_catalog, pg_temp; SET statement_timeout = {ms}; \
         SET lock_timeout = {lock_ms}; SET idle_in_transaction_session_timeout = {ms}; \
         SET idle_session_timeout = 0"
    )
}
