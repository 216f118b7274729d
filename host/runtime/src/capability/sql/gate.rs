//! The statement gate: what SQL a plugin may declare, and what its migrations
//! may contain. Every text is parsed with Postgres's own grammar, and every node
//! of its tree is looked at.
//!
//! The gate is an allow-list throughout: a kind of node, a function or a type
//! name that it does not know is refused. It is the first of several locks (the
//! database's roles and policies are the others), and the one that tells an
//! author what is wrong before anything runs.
//!
//! ```
//! use hearth_runtime::capability::sql::gate::{ApprovedFunctions, check_statement};
//! use hearth_runtime::capability::sql::statement::Access;
//! let none = ApprovedFunctions::default();
//! let access = check_statement("SELECT id FROM ticket WHERE status = $1", "tickets", &none);
//! assert_eq!(access, Ok(Access::Read));
//! let refusal = check_statement("SELECT set_config('a', 'b', false)", "tickets", &none);
//! assert!(refusal.unwrap_err().to_string().contains("calls set_config, which plugins may not call"));
//! ```

mod definition;
mod functions;
mod migration;
mod parse;
mod rules;
mod walk;

use std::collections::BTreeSet;
use std::fmt;

use super::statement::{AccessMode, Declared, SHOWN_CHARS, TEXT_BYTES_MAX, beginning};

pub use definition::{Definition, approved_name, definitions, is_approval, is_pinned, pinned};

/// How many bytes a whole migration may have.
const MIGRATION_BYTES_MAX: usize = 1024 * 1024;

/// The functions that the operator approved for one plugin, by name: functions
/// that its own migrations create, and further ones of Postgres. An approved
/// function counts as one that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedFunctions {
    names: BTreeSet<String>,
}

/// An operator approved a function that no approval can allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function {0} cannot be approved: plugins may not call it")]
pub struct NeverApproved(pub String);

impl ApprovedFunctions {
    /// Takes names as Postgres folds them, without a schema.
    pub fn new(names: impl IntoIterator<Item = String>) -> Result<Self, NeverApproved> {
        let names = names.into_iter().collect::<BTreeSet<_>>();
        match names.iter().find(|name| functions::is_never(name)) {
            Some(name) => Err(NeverApproved(name.clone())),
            None => Ok(ApprovedFunctions { names }),
        }
    }

    /// Whether a function is approved.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// Why the gate refuses a statement. The plugin's author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The beginning of the statement, at most 120 characters.
    pub statement: String,
    /// What is wrong with it, in plain English.
    pub reason: String,
    /// Where in the text that was given to the gate, in bytes from its beginning.
    pub position: Option<usize>,
}

impl Refusal {
    fn new(text: &str, reason: impl Into<String>, position: Option<usize>) -> Refusal {
        Refusal {
            statement: beginning(text.trim_start()),
            reason: reason.into(),
            position,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.statement.chars().count() < SHOWN_CHARS {
            ""
        } else {
            "…"
        };
        write!(f, "`{}{cut}`: {}", self.statement, self.reason)?;
        match self.position {
            Some(position) => write!(f, " (at byte {position})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

/// Checks one statement for a plugin whose tables are in `schema`. Answers
/// whether it can write.
pub fn check_statement(
    text: &str,
    schema: &str,
    approved: &ApprovedFunctions,
) -> Result<AccessMode, Refusal> {
    let tree = parse::parse(text, TEXT_BYTES_MAX)?;
    rules::statement(text, &tree, schema, approved)
}

/// Checks a declared statement: as `check_statement`, and what is declared to
/// read must not be able to write.
pub fn check_declared(
    declared: &Declared,
    schema: &str,
    approved: &ApprovedFunctions,
) -> Result<AccessMode, Refusal> {
    let access = check_statement(&declared.text, schema, approved)?;
    if declared.access == AccessMode::Read && access == AccessMode::Write {
        let reason = "is declared to read, but it can write, lock or call a volatile function: \
                      declare it to write";
        return Err(Refusal::new(&declared.text, reason, None));
    }
    Ok(access)
}

/// Whether each OFFSET of a statement stands beside a LIMIT. By itself it limits nothing,
/// and in a plan the two are one node.
pub fn limits_rows(text: &str) -> bool {
    let mut limits = |node: &walk::Node| {
        let count = node.node("limit_count");
        let is_limit = count.is_some_and(|count| !count.flag("isnull"));
        match node.node("limit_offset") {
            Some(_) if !is_limit => Err(()),
            _ => Ok(()),
        }
    };
    parse::parse(text, TEXT_BYTES_MAX).is_ok_and(|tree| tree.visit(&mut limits).is_ok())
}

/// Checks a migration and splits it into its statements, in order.
///
/// A migration runs in one transaction, unless its first line is
/// `-- no-transaction` (see `runs_without_transaction`).
pub fn check_migration(
    sql: &str,
    schema: &str,
    approved: &ApprovedFunctions,
) -> Result<Vec<String>, Refusal> {
    let tree = parse::parse(sql, MIGRATION_BYTES_MAX)?;
    migration::check(sql, &tree, schema, approved)
}

/// Whether a migration asks to run outside a transaction, which
/// `CREATE INDEX CONCURRENTLY` wants.
pub fn runs_without_transaction(sql: &str) -> bool {
    sql.lines()
        .next()
        .is_some_and(|line| line.trim() == "-- no-transaction")
}
