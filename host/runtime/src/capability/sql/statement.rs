//! A declared statement, and the records that carry it in a component.
//!
//! The SDK's `sql!` puts each statement into the custom section `hearth:sql` of
//! the core module. The section is a plain sequence of records, so that a linker
//! may join the records of several call sites by laying them end to end:
//!
//! | bytes | meaning |
//! |---|---|
//! | u32 | length of all that follows in this record |
//! | u8 | version, 2 |
//! | u8 | access: 0 read, 1 write |
//! | u16, bytes | length of the name, then the name; version 1 has neither |
//! | u32, bytes | length of the text, then the text in UTF-8 |
//! | u16, u8 each | number of parameters, then a type code for each |
//! | u16, columns | number of columns, then each column |
//!
//! A column is a type code (u8), whether it may be NULL (u8, 0 or 1), and its
//! name (u16 length, then UTF-8). All numbers are little-endian.
//!
//! ```
//! use hearth_runtime::capability::sql::statement::{Access, Column, Declared, Type, encode, parse_section};
//! let declared = Declared {
//!     name: "of_status".into(),
//!     text: "SELECT id FROM ticket WHERE status = $1".into(),
//!     params: vec![Type::Text],
//!     columns: vec![Column { name: "id".into(), kind: Type::Text, nullable: false }],
//!     access: Access::Read,
//! };
//! assert_eq!(parse_section(&encode(&[declared.clone()])), Ok(vec![declared]));
//! ```

mod record;

use indexmap::IndexMap;
use tokio_postgres::types::Type as PgType;

use super::gate::pinned;

pub use record::{encode, parse_section};

/// How many statements one plugin may declare.
pub const STATEMENTS_MAX: usize = 4_096;
/// How many bytes the text of one statement may have.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How many parameters or columns one statement may have.
pub const FIELDS_MAX: usize = 1_000;
/// How many bytes the name of a column may have: Postgres's own limit.
pub const NAME_BYTES_MAX: usize = 63;

/// The version of the record that is written, and the one before it, whose statements
/// have no names.
const VERSION: u8 = 2;
const VERSION_UNNAMED: u8 = 1;

/// What a statement is called whose author gave it no name.
pub const UNNAMED: &str = "statement";

/// A type that a parameter or a column may have. The number is its code in the
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    Bool = 1,
    Int4 = 2,
    Int8 = 3,
    Float8 = 4,
    Text = 5,
    Bytea = 6,
    Uuid = 7,
    Timestamptz = 8,
    Date = 9,
    Numeric = 10,
    Json = 11,
    TextArray = 12,
    Int8Array = 13,
    UuidArray = 14,
}

/// Every type with its name in `plugin.toml`, in the order of the codes.
const TYPES: [(Type, &str); 14] = [
    (Type::Bool, "bool"),
    (Type::Int4, "int4"),
    (Type::Int8, "int8"),
    (Type::Float8, "float8"),
    (Type::Text, "text"),
    (Type::Bytea, "bytea"),
    (Type::Uuid, "uuid"),
    (Type::Timestamptz, "timestamptz"),
    (Type::Date, "date"),
    (Type::Numeric, "numeric"),
    (Type::Json, "json"),
    (Type::TextArray, "text[]"),
    (Type::Int8Array, "int8[]"),
    (Type::UuidArray, "uuid[]"),
];

impl Type {
    /// The code in the record.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The type with that code, if there is one.
    pub fn from_code(code: u8) -> Option<Type> {
        TYPES
            .iter()
            .map(|(kind, _)| *kind)
            .find(|kind| kind.code() == code)
    }

    /// The name in `plugin.toml` and in messages, as Postgres spells it.
    pub fn name(self) -> &'static str {
        TYPES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The type with that name, if there is one.
    pub fn from_name(name: &str) -> Option<Type> {
        TYPES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    /// Every type name, for messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TYPES.iter().map(|(_, name)| *name)
    }

    /// Whether a parameter that Postgres describes as `postgres` may be declared
    /// as this type: a value of it can be sent.
    pub fn accepts_param(self, postgres: &PgType) -> bool {
        match self {
            Type::Bool => *postgres == PgType::BOOL,
            Type::Int4 => *postgres == PgType::INT4,
            Type::Int8 => *postgres == PgType::INT8,
            Type::Float8 => *postgres == PgType::FLOAT8,
            Type::Text => {
                [PgType::TEXT, PgType::VARCHAR, PgType::BPCHAR, PgType::NAME].contains(postgres)
            }
            Type::Bytea => *postgres == PgType::BYTEA,
            Type::Uuid => *postgres == PgType::UUID,
            Type::Timestamptz => *postgres == PgType::TIMESTAMPTZ,
            Type::Date => *postgres == PgType::DATE,
            Type::Numeric => *postgres == PgType::NUMERIC,
            Type::Json => [PgType::JSON, PgType::JSONB].contains(postgres),
            Type::TextArray => [PgType::TEXT_ARRAY, PgType::VARCHAR_ARRAY].contains(postgres),
            Type::Int8Array => *postgres == PgType::INT8_ARRAY,
            Type::UuidArray => *postgres == PgType::UUID_ARRAY,
        }
    }

    /// Whether a column that Postgres describes as `postgres` may be declared as
    /// this type. What a parameter accepts, and the narrower numbers, which are
    /// widened on the way out.
    pub fn accepts_column(self, postgres: &PgType) -> bool {
        match self {
            Type::Int4 => [PgType::INT4, PgType::INT2].contains(postgres),
            Type::Float8 => [PgType::FLOAT8, PgType::FLOAT4].contains(postgres),
            other => other.accepts_param(postgres),
        }
    }
}

/// A column of a statement's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Type,
    /// Whether the guest is ready to find NULL in it.
    pub nullable: bool,
}

/// What a statement does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// It cannot write, as its parse tree shows.
    Read,
    /// It may write, or lock, or call something volatile.
    Write,
}

/// One statement as its author declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What its author calls it: the name of the function that `sql!` makes of it.
    pub name: String,
    /// The text, which is also what the guest names it by in a call.
    pub text: String,
    /// The types of `$1`, `$2` and so on.
    pub params: Vec<Type>,
    /// The columns of the answer, in order. Empty where no rows are wanted.
    pub columns: Vec<Column>,
    pub access: AccessMode,
}

impl Declared {
    /// What approves that it reads all rows of a customer: its name and the digest of
    /// its text. Another text wants another approval.
    pub fn approval(&self) -> String {
        pinned(&self.name, &self.text)
    }

    /// Whether only the names differ: the first of several counts.
    fn is_like(&self, other: &Declared) -> bool {
        let of = |one: &Declared| (one.text.clone(), one.params.clone(), one.columns.clone());
        of(self) == of(other) && self.access == other.access
    }
}

/// Why a section or a list of statements is refused. The author of the plugin,
/// or of its SDK, is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    #[error("the section hearth:sql ends in the middle of a record (at byte {offset})")]
    Truncated { offset: usize },
    #[error("a record of hearth:sql (at byte {offset}) has {bytes} bytes too many")]
    Trailing { offset: usize, bytes: usize },
    #[error("a record of hearth:sql has version {0}; this host knows versions 1 and {VERSION}")]
    Version(u8),
    #[error("a record of hearth:sql has the unknown {what} {code}")]
    Code { what: &'static str, code: u8 },
    #[error("a record of hearth:sql (at byte {offset}) contains text that is not UTF-8")]
    NotUtf8 { offset: usize },
    #[error("more than {STATEMENTS_MAX} statements are declared (statements_max)")]
    TooMany,
    #[error(
        "`{0}…`: the statement is too long: at most {TEXT_BYTES_MAX} bytes are allowed (text_bytes_max)"
    )]
    TextTooLong(String),
    #[error("`{0}`: a statement may have at most {FIELDS_MAX} parameters and {FIELDS_MAX} columns")]
    TooManyFields(String),
    #[error("`{0}`: the name of a column must have 1 to {NAME_BYTES_MAX} bytes")]
    Name(String),
    #[error(
        "`{0}`: the name of a statement must have 1 to {NAME_BYTES_MAX} letters, digits and _, no others"
    )]
    StatementName(String),
    #[error("`{0}` is declared twice, with different types")]
    Conflict(String),
}

/// How many characters of a statement a message shows.
pub const SHOWN_CHARS: usize = 120;

/// The beginning of a text, for a message.
pub fn beginning(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

/// Joins statements of several sources under the same rules as one section:
/// bounded in number and size, each text once.
pub fn join(sources: impl IntoIterator<Item = Declared>) -> Result<Vec<Declared>, SectionError> {
    let mut statements = StatementSet::default();
    for declared in sources {
        statements.add(declared)?;
    }
    Ok(statements.into_list())
}

/// Statements by text, in the order in which they came.
#[derive(Default)]
struct StatementSet {
    statements: IndexMap<String, Declared>,
}

impl StatementSet {
    fn add(&mut self, declared: Declared) -> Result<(), SectionError> {
        check_bounds(&declared)?;
        match self.statements.get(&declared.text) {
            Some(known) if known.is_like(&declared) => return Ok(()),
            Some(_) => return Err(SectionError::Conflict(beginning(&declared.text))),
            None if self.statements.len() >= STATEMENTS_MAX => return Err(SectionError::TooMany),
            None => {}
        }
        self.statements.insert(declared.text.clone(), declared);
        Ok(())
    }

    fn into_list(self) -> Vec<Declared> {
        self.statements.into_values().collect()
    }
}

fn check_bounds(declared: &Declared) -> Result<(), SectionError> {
    if declared.text.len() > TEXT_BYTES_MAX {
        return Err(SectionError::TextTooLong(beginning(&declared.text)));
    }
    if declared.params.len().max(declared.columns.len()) > FIELDS_MAX {
        return Err(SectionError::TooManyFields(beginning(&declared.text)));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let name = &declared.name;
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(letter) {
        return Err(SectionError::StatementName(beginning(&declared.text)));
    }
    let fits = |column: &Column| (1..=NAME_BYTES_MAX).contains(&column.name.len());
    match declared.columns.iter().all(fits) {
        true => Ok(()),
        false => Err(SectionError::Name(beginning(&declared.text))),
    }
}
