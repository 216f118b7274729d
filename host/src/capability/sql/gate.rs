//! The statement gate: what SQL a plugin may declare, and what a migration may
//! contain. Filled in shortly; these are the signatures.

use std::collections::BTreeSet;
use std::fmt;

use super::statement::{Access, Declared, beginning};

/// The functions that the operator approved for one plugin, by name: its own
/// functions (created by its migrations) and further ones of Postgres.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedFunctions {
    names: BTreeSet<String>,
}

/// Why the gate refuses a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The beginning of the statement, at most 120 characters.
    pub statement: String,
    /// What is wrong with it, in plain English.
    pub reason: String,
    /// Where in the text, in bytes from its beginning.
    pub position: Option<usize>,
}
