//! The result types of declared statements.

use serde_json::{Map, Value as JsonValue};

pub use serde::{Serialize, Serializer};

use super::connection::Connection;
use super::error::Error;
use super::row::{Column, Row};
use super::value::Value;

/// The rows of an answer as the host sends them.
pub type Rows = Vec<Vec<Value>>;

/// What a declared statement may answer: `Vec<Row>`, `Option<Row>`, `Row` or
/// `u64`.
pub trait Output: Sized {
    /// The columns that the statement declares; none where the number of rows is
    /// wanted.
    const COLUMNS: &'static [Column];
    /// Whether rows are wanted.
    const WANTS_ROWS: bool;

    /// Makes the answer of rows. Never called where none are wanted.
    fn from_rows(rows: Rows) -> Result<Self, Error>;

    /// Makes the answer of the number of rows. Never called where rows are
    /// wanted.
    fn from_affected(affected: u64) -> Result<Self, Error> {
        let _ = affected;
        Err(Error::Unexpected)
    }

    /// Runs a statement for this answer.
    fn run(on: &dyn Connection, text: &str, parameters: Vec<Value>) -> Result<Self, Error> {
        if Self::WANTS_ROWS {
            Self::from_rows(on.query(text, &parameters)?)
        } else {
            Self::from_affected(on.execute(text, &parameters)?)
        }
    }
}

fn read<R: Row>(row: Vec<Value>) -> Result<R, Error> {
    R::from_values(&mut row.into_iter()).ok_or(Error::Unexpected)
}

impl<R: Row> Output for Vec<R> {
    const COLUMNS: &'static [Column] = R::COLUMNS;
    const WANTS_ROWS: bool = true;

    fn from_rows(rows: Rows) -> Result<Self, Error> {
        rows.into_iter().map(read).collect()
    }
}

impl<R: Row> Output for Option<R> {
    const COLUMNS: &'static [Column] = R::COLUMNS;
    const WANTS_ROWS: bool = true;

    fn from_rows(mut rows: Rows) -> Result<Self, Error> {
        match rows.len() {
            0 | 1 => rows.pop().map(read).transpose(),
            count => Err(Error::RowCount(count)),
        }
    }
}

impl<R: Row> Output for R {
    const COLUMNS: &'static [Column] = R::COLUMNS;
    const WANTS_ROWS: bool = true;

    fn from_rows(rows: Rows) -> Result<Self, Error> {
        Option::<R>::from_rows(rows)?.ok_or(Error::RowCount(0))
    }
}

impl Output for u64 {
    const COLUMNS: &'static [Column] = &[];
    const WANTS_ROWS: bool = false;

    fn from_rows(_: Rows) -> Result<Self, Error> {
        Err(Error::Unexpected)
    }

    fn from_affected(affected: u64) -> Result<Self, Error> {
        Ok(affected)
    }
}

/// The name of a field without the `r#` of a raw identifier.
pub const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Where a row writes its fields as JSON.
pub trait Members {
    /// Adds one member.
    fn member(&mut self, name: &'static str, value: JsonValue);
}

impl Members for Map<String, JsonValue> {
    fn member(&mut self, name: &'static str, value: JsonValue) {
        self.insert(name.to_string(), value);
    }
}

/// A row as a JSON object, to which a handler may add members.
///
/// ```
/// use hearth_plugin::prelude::*;
/// row! { pub struct Note { id: String, r#type: Option<String> } }
/// let mut object = sql::to_json(&Note { id: "n1".into(), r#type: None });
/// object.insert("url".into(), "/notes/n1".into());
/// assert_eq!(Json(object.into()).to_string(), r#"{"id":"n1","type":null,"url":"/notes/n1"}"#);
/// ```
pub fn to_json(row: &impl Row) -> Map<String, JsonValue> {
    let mut object = Map::new();
    row.write_members(&mut object);
    object
}
