//! What a deployment borrows of the database for as long as it serves.

use std::collections::HashMap;
use std::sync::Arc;

use super::run::{Ready, Want};
use super::statement::Declared;
use super::value::{self, Param};
use super::{Config, Error, Value};
use crate::backend::postgres::connection::Prepared;
use crate::backend::postgres::plugin::{PluginPool, PoolStatus};
use crate::backend::queue::Sender;

/// A declared statement and how it is sent.
pub(super) struct Known {
    pub declared: Declared,
    pub prepared: Prepared,
}

/// The database as one deployment may use it: its declared statements and its
/// plugin's connections. Dropped, it is retired.
pub struct Lent {
    pub(super) number: u64,
    pub(super) statements: HashMap<String, Known>,
    /// `None` where the plugin has no grant, and so no role to log in with.
    pub(super) pool: Option<PluginPool>,
    pub(super) config: Arc<Config>,
    /// The queues that its transactions may send to.
    pub(super) sender: Sender,
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
        }
    }

    /// The same, with queues that its transactions may send to.
    pub fn sending(mut self, sender: Sender) -> Lent {
        self.sender = sender;
        self
    }

    pub(super) fn connections(&self) -> Result<&PluginPool, Error> {
        self.pool
            .as_ref()
            .ok_or_else(|| Error::Denied("no grant for sql".into()))
    }

    /// The state of the plugin's pool, for metrics.
    pub fn pool(&self) -> Option<PoolStatus> {
        self.pool.as_ref().map(PluginPool::status)
    }

    /// The statement of that text with these parameters, if both were declared.
    pub(super) fn ready(
        &self,
        text: &str,
        values: Vec<Value>,
        want: Want,
    ) -> Result<Ready<'_>, Error> {
        let known = self.statements.get(text);
        let known = known.ok_or_else(|| Error::Denied("the statement was not declared".into()))?;
        Ok(Ready {
            params: self.params(known, values)?,
            known,
            want,
        })
    }

    fn params(&self, known: &Known, values: Vec<Value>) -> Result<Vec<Param>, Error> {
        let kinds = &known.declared.params;
        if values.len() != kinds.len() {
            let (given, declared) = (values.len(), kinds.len());
            return Err(Error::Invalid(format!(
                "{given} parameters, and {declared} were declared"
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

impl Drop for Lent {
    fn drop(&mut self) {
        self.retire();
    }
}
