//! The connection that a statement runs on: the database, a transaction or a batch.

use super::error::Error;
use super::output::Rows;
use super::value::Value;
use crate::bindings::imports::hearth::plugin::sql as wire;
use crate::context::Deadline;

mod sealed {
    /// Only this crate knows what a connection is.
    pub trait Sealed {}
    impl Sealed for super::Database {}
    impl Sealed for crate::sql::Transaction {}
}

/// What a declared statement runs on: a [`Database`], where it is a transaction
/// of its own, or a [`Transaction`](crate::sql::Transaction).
pub trait Connection: sealed::Sealed {
    /// Runs a declared text and answers its rows.
    #[doc(hidden)]
    fn query(&self, text: &str, parameters: &[Value]) -> Result<Rows, Error>;

    /// Runs a declared text and answers how many rows it changed.
    #[doc(hidden)]
    fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, Error>;
}

/// The plugin's schema, on behalf of the caller's customer: row-level security
/// shows that customer's rows and no others. Get it from
/// [`Request::database`](crate::Request::database).
#[derive(Clone, Copy, Debug)]
pub struct Database {
    deadline: Deadline,
}

impl Database {
    /// The database for a call that ends at `deadline`.
    pub fn until(deadline: Deadline) -> Self {
        Database { deadline }
    }

    /// When the call ends.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }
}

impl Connection for Database {
    fn query(&self, text: &str, parameters: &[Value]) -> Result<Rows, Error> {
        crate::host::require_postgres();
        Ok(wire::query(text, parameters)?.rows)
    }

    fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, Error> {
        crate::host::require_postgres();
        Ok(wire::execute(text, parameters)?)
    }
}
