//! What a deployment borrows of the database for as long as it serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::run::{Ready, Want};
use super::statement::Declared;
use super::usage::StatementAccount;
use super::value::{self, Param};
use super::{Config, Error, Value};
use crate::capability::Call;
use hearth_backend::postgres::connection::Prepared;
use hearth_backend::postgres::lease::PooledConnection;
use hearth_backend::postgres::plugin::{LeaseError, PluginPool, PoolStatus};
use hearth_backend::postgres::tenancy::Tenant;
use hearth_backend::queues::Sender;
use hearth_base::telemetry::{BackendCall, BackendWatch};

/// A declared statement and how it is sent.
pub(super) struct KnownStatement {
    pub declared: Declared,
    pub prepared: Prepared,
    pub account: StatementAccount,
}

/// The database as one deployment may use it: its declared statements and its
/// plugin's connections. Dropped, it is retired.
pub struct Lent {
    pub(super) number: u64,
    pub(super) statements: HashMap<String, KnownStatement>,
    /// `None` where the plugin has no grant, and so no role to log in with.
    pub(super) pool: Option<PluginPool>,
    pub(super) config: Arc<Config>,
    /// The queues that its transactions may send to.
    pub(super) sender: Sender,
    /// What is told of Postgres.
    pub(super) watch: Option<Arc<BackendWatch>>,
}

impl Lent {
    /// Drops what this deployment prepared on the plugin's connections: at once
    /// on idle ones, on others when they come back.
    pub fn retire(&self) {
        if let Some(pool) = &self.pool {
            pool.retire(self.number);
        }
    }

    /// What a plugin without the grant `sql` gets: everything is denied.
    pub fn nothing() -> Lent {
        Lent {
            number: 0,
            statements: HashMap::new(),
            pool: None,
            config: Arc::default(),
            sender: Sender::nobody(),
            watch: None,
        }
    }

    /// The same, with queues that its transactions may send to.
    pub fn sending(mut self, sender: Sender) -> Lent {
        self.sender = sender;
        self
    }

    fn connections(&self) -> Result<&PluginPool, Error> {
        self.pool
            .as_ref()
            .ok_or_else(|| Error::Denied("no grant for sql".into()))
    }

    /// The state of the plugin's pool, for metrics.
    pub fn pool(&self) -> Option<PoolStatus> {
        self.pool.as_ref().map(PluginPool::status)
    }

    /// A connection for a call and the statement that wants it. That all are taken says
    /// nothing of Postgres: who holds them is told.
    pub(super) async fn lease(
        &self,
        call: &Call,
        tenant: &Tenant,
        statement: Option<&str>,
    ) -> Result<PooledConnection, Error> {
        let began = Instant::now();
        let lease = self.connections()?.lease(tenant).await;
        let waited = began.elapsed();
        call.spent.add_sql_wait(waited);
        if let (Some(watch), Err(LeaseError::Away(reason))) = (&self.watch, &lease) {
            watch.unavailable(backend_call(call, statement), waited, reason);
        }
        Ok(lease?)
    }

    /// What became of the beginning or the end of a call's transaction.
    pub(super) fn tell<T>(
        &self,
        call: &Call,
        step: &'static str,
        took: Duration,
        result: &Result<T, Error>,
    ) {
        let (Some(watch), asked) = (&self.watch, backend_call(call, Some(step))) else {
            return;
        };
        match result {
            Err(error @ (Error::Unavailable(_) | Error::OutcomeUnknown)) => {
                watch.unavailable(asked, took, error);
            }
            _ => watch.answered(asked, took),
        }
    }

    /// The statement of that text with these parameters, if both were declared.
    pub(super) fn ready(
        &self,
        text: &str,
        values: Vec<Value>,
        want: Want,
    ) -> Result<Ready<'_>, Error> {
        let known = self.statements.get(text);
        let known = known.ok_or_else(|| Error::Denied("the statement is not declared".into()))?;
        Ok(Ready {
            params: self.params(known, values)?,
            known,
            want,
        })
    }

    fn params(&self, known: &KnownStatement, values: Vec<Value>) -> Result<Vec<Param>, Error> {
        let kinds = &known.declared.params;
        if values.len() != kinds.len() {
            let (given, declared) = (values.len(), kinds.len());
            return Err(Error::Invalid(format!(
                "{given} parameters were given, but {declared} are declared"
            )));
        }
        self.check_sizes(&values)?;
        let values = values.into_iter().zip(kinds).enumerate();
        values
            .map(|(index, (value, kind))| value::param(value, *kind, index + 1))
            .collect()
    }

    fn check_sizes(&self, values: &[Value]) -> Result<(), Error> {
        let mut sum = 0u64;
        for value in values {
            let size = value::size(value) as u64;
            sum = sum.saturating_add(size);
            if size > self.config.value_bytes_max || sum > self.config.params_bytes_max {
                return Err(Error::TooLarge);
            }
        }
        Ok(())
    }
}

fn backend_call<'c>(call: &'c Call, statement: Option<&'c str>) -> BackendCall<'c> {
    BackendCall {
        plugin: Some(&call.plugin),
        statement,
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.retire();
    }
}
