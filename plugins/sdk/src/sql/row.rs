//! Rows with typed columns.

use super::output::Members;
use super::value::Value;

/// A column of an answer, as its declaration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in the statement.
    pub name: &'static str,
    /// The code of its type in the record.
    pub code: u8,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// A row of an answer; declare it with [`row!`](crate::row!).
pub trait Row: Sized {
    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// Takes a row's values in the order of the columns; `None` where one is
    /// missing or of another type.
    fn from_values(values: &mut dyn Iterator<Item = Value>) -> Option<Self>;

    /// Writes each field as a member of a JSON object.
    #[doc(hidden)]
    fn write_members(&self, object: &mut dyn Members);
}
