//! One connection of a plugin's pool, and what the host knows of its session:
//! whose rows it sees, what is prepared on it, and whether something runs.
//!
//! The order is always the same: mark, send, wait for the answer, unmark. What
//! is dropped half-way leaves the mark, and a marked connection goes through
//! [`super::lease`]'s cleaning before anyone else gets it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio_postgres::{CancelToken, Client, Statement};

use super::slots::{Slot, Slots};
use super::tenancy::Tenant;
use super::{Server, Tls};

/// Where a session stands, as far as the host knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Outside a transaction, and everything sent has been answered.
    Idle,
    /// In a transaction, and everything sent has been answered.
    InTransaction,
    /// Something was sent and its answer has not been read to the end.
    InFlight,
}

/// A statement as a deployment declared it.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub deployment: u64,
    /// Its place among the deployment's statements.
    pub index: usize,
    /// What is sent: the declared text behind a comment that names plugin and
    /// deployment. Postgres keeps no plan that two deployments share.
    pub text: String,
}

/// Stands for the host among the deployments, whose numbers begin at 1.
const HOST: u64 = 0;

impl Prepared {
    /// A statement that the host itself runs on plugins' connections, numbered among
    /// those.
    pub fn of_host((index, text): (usize, &str)) -> Prepared {
        Prepared {
            deployment: HOST,
            index,
            text: text.to_owned(),
        }
    }
}

/// How long a statement's first plan is kept, and any at most: each lasts twice as
/// long as the one before it.
const PLAN_AGE_FIRST: Duration = Duration::from_secs(5);
const PLAN_AGE_MAX: Duration = Duration::from_secs(600);

/// How Postgres plans what a plugin declares: along indexes, which have a page in its
/// order, and by no scan that reads whatever there is first. Its estimates come from
/// statistics, which a table that grows has too late; without them it would read all of
/// a customer's rows. Sorting is left to it: of few rows it is better than to walk along
/// an index that has the order and little else.
pub const PLANNING: &str =
    "-c enable_seqscan=off -c enable_bitmapscan=off -c max_parallel_workers_per_gather=0";

/// How long a plan is kept. Postgres plans a statement for the tables as they are when
/// it is prepared, and keeps that until somebody analyses them; so it is prepared again
/// now and then, soon at first, when tables grow from nothing.
#[derive(Clone, Copy)]
struct PlanAge {
    since: Instant,
    max: Duration,
}

impl PlanAge {
    fn new(before: Option<PlanAge>, now: Instant) -> PlanAge {
        let max = before.map_or(PLAN_AGE_FIRST, |before| before.max * 2);
        PlanAge {
            since: now,
            max: max.min(PLAN_AGE_MAX),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= self.max
    }
}

/// A deployment's prepared statements, by their index.
type Plans = HashMap<usize, (Statement, PlanAge)>;

pub struct Connection {
    client: Arc<Client>,
    task: AbortHandle,
    standing: SessionState,
    /// `None` while it is not known.
    tenant: Option<Tenant>,
    /// By deployment.
    statements: Mutex<HashMap<u64, Plans>>,
    _slot: Slot,
}

impl Connection {
    pub fn client(&self) -> Arc<Client> {
        self.client.clone()
    }

    pub fn standing(&self) -> SessionState {
        self.standing
    }

    /// Whether the server or the way to it is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// To be called before anything is sent.
    pub fn mark(&mut self) {
        self.standing = SessionState::InFlight;
    }

    /// To be called once everything sent has been answered.
    pub fn unmark(&mut self, standing: SessionState) {
        self.standing = standing;
    }

    /// Whether the session is known to stand for `tenant`.
    pub fn carries(&self, tenant: &Tenant) -> bool {
        self.tenant.as_ref() == Some(tenant)
    }

    /// To be called before a setting of the tenant is sent: from then on nobody
    /// knows whom the session stands for, until it has been answered.
    pub fn forget_tenant(&mut self) {
        self.tenant = None;
    }

    /// To be called once the setting of the tenant has been answered.
    pub fn remember_tenant(&mut self, tenant: &Tenant) {
        self.tenant = Some(tenant.clone());
    }

    /// What this session has prepared of that statement, unless its plan is too old.
    pub fn statement(&self, prepared: &Prepared) -> Option<Statement> {
        let statements = self.statements.lock();
        let (statement, age) = statements.get(&prepared.deployment)?.get(&prepared.index)?;
        (!age.is_over(Instant::now())).then(|| statement.clone())
    }

    pub fn keep_statement(&self, prepared: &Prepared, statement: Statement) {
        let mut statements = self.statements.lock();
        let own = statements.entry(prepared.deployment).or_default();
        let before = own.get(&prepared.index).map(|(_, age)| *age);
        let age = PlanAge::new(before, Instant::now());
        own.insert(prepared.index, (statement, age));
    }

    /// Drops what deployments prepared that serve no longer; the driver tells
    /// the server. What the host prepared stays.
    pub fn keep_deployments(&self, serves: impl Fn(u64) -> bool) {
        self.statements
            .lock()
            .retain(|deployment, _| *deployment == HOST || serves(*deployment));
    }

    /// Drops what is prepared of a statement, for example because a table changed
    /// under it.
    pub fn forget_statement(&self, prepared: &Prepared) {
        if let Some(statements) = self.statements.lock().get_mut(&prepared.deployment) {
            statements.remove(&prepared.index);
        }
    }

    /// How many statements are prepared on this session.
    pub fn statement_count(&self) -> usize {
        self.statements.lock().values().map(HashMap::len).sum()
    }

    pub(super) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver would keep the socket until the running statement ends.
        if self.standing != SessionState::Idle {
            self.task.abort();
        }
    }
}

/// How a plugin's pool logs in.
pub struct Login {
    connect: tokio_postgres::Config,
    tls: Tls,
    slots: Arc<Slots>,
}

/// Why there is no new connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no connection to Postgres: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the host is shutting down")]
    Stopping,
}

/// The name and password of a role that may log in, and its schema.
pub struct Credentials {
    pub role: String,
    pub password: String,
    pub schema: String,
}

impl Login {
    pub(super) fn new(server: &Server, slots: Arc<Slots>, credentials: &Credentials) -> Login {
        let mut connect = server.connect_config();
        connect
            .user(&credentials.role)
            .password(&credentials.password)
            .options(session_options(server.config(), &credentials.schema));
        Login {
            connect,
            tls: server.tls(),
            slots,
        }
    }

    pub(super) fn connect_config(&self) -> &tokio_postgres::Config {
        &self.connect
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }
}

/// `pg_temp` last, or a temporary table would be found before the plugin's own.
fn session_options(config: &super::Config, schema: &str) -> String {
    format!(
        "-c search_path={schema},pg_temp -c TimeZone=UTC -c statement_timeout={} \
         -c lock_timeout={} -c idle_in_transaction_session_timeout={} \
         -c client_connection_check_interval=1000 {PLANNING}",
        config.statement_ms_max, config.lock_ms_max, config.idle_in_transaction_ms_max,
    )
}

impl managed::Manager for Login {
    type Type = Connection;
    type Error = ConnectError;

    async fn create(&self) -> Result<Connection, ConnectError> {
        let slot = self.slots.take().await.ok_or(ConnectError::Stopping)?;
        let (client, driver) = self.connect.connect(self.tls.clone()).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to Postgres was lost");
            }
        });
        Ok(Connection {
            client: Arc::new(client),
            task: task.abort_handle(),
            standing: SessionState::Idle,
            tenant: None,
            statements: Mutex::default(),
            _slot: slot,
        })
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &Metrics,
    ) -> RecycleResult<ConnectError> {
        match connection.standing {
            SessionState::Idle if !connection.is_closed() => Ok(()),
            _ => Err(RecycleError::message(
                "the connection is closed, or has state of an earlier session",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plan_is_kept_twice_as_long_as_the_one_before_up_to_ten_minutes() {
        let now = Instant::now();
        let (mut age, mut kept) = (None, Vec::new());
        for _ in 0..9 {
            let next = PlanAge::new(age, now);
            assert!(!next.is_over(now + next.max - Duration::from_millis(1)));
            assert!(next.is_over(now + next.max));
            kept.push(next.max.as_secs());
            age = Some(next);
        }
        assert_eq!(kept, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }
}
