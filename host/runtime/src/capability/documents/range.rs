//! Which sort keys a query wants, as DynamoDB understands it, and where it goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::item::check_sort;
use super::{Error, Range};

/// Begins a cursor, so that a later form can be told from this one.
const VERSION: char = '1';

/// A condition on the sort key that DynamoDB takes: no empty text, no end before the
/// beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SortKeyCondition {
    All,
    BeginsWith(String),
    Between(String, String),
    After(String),
    AtMost(String),
    Before(String),
}

impl SortKeyCondition {
    /// `None` where no sort key can be in the range.
    pub(super) fn of(range: Range) -> Result<Option<SortKeyCondition>, Error> {
        let wanted = match range {
            Range::All => SortKeyCondition::All,
            Range::BeginsWith(text) | Range::After(text) if text.is_empty() => {
                SortKeyCondition::All
            }
            Range::Before(text) if text.is_empty() => return Ok(None),
            Range::Between((from, to)) if from > to || to.is_empty() => return Ok(None),
            Range::Between((from, to)) if from.is_empty() => SortKeyCondition::AtMost(to),
            Range::BeginsWith(text) => SortKeyCondition::BeginsWith(text),
            Range::Between((from, to)) => SortKeyCondition::Between(from, to),
            Range::After(text) => SortKeyCondition::After(text),
            Range::Before(text) => SortKeyCondition::Before(text),
        };
        wanted.texts().try_for_each(check_sort)?;
        Ok(Some(wanted))
    }

    /// The condition in DynamoDB's words, on the name `#sk` with the values `:a` and
    /// `:b`.
    pub(super) fn condition(&self) -> &'static str {
        match self {
            SortKeyCondition::All => "",
            SortKeyCondition::BeginsWith(_) => " AND begins_with(#sk, :a)",
            SortKeyCondition::Between(_, _) => " AND #sk BETWEEN :a AND :b",
            SortKeyCondition::After(_) => " AND #sk > :a",
            SortKeyCondition::AtMost(_) => " AND #sk <= :a",
            SortKeyCondition::Before(_) => " AND #sk < :a",
        }
    }

    /// What `:a` and `:b` stand for.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let (a, b) = match self {
            SortKeyCondition::All => (None, None),
            SortKeyCondition::BeginsWith(a)
            | SortKeyCondition::After(a)
            | SortKeyCondition::AtMost(a)
            | SortKeyCondition::Before(a) => (Some(a), None),
            SortKeyCondition::Between(a, b) => (Some(a), Some(b)),
        };
        a.into_iter().chain(b).map(String::as_str)
    }

    fn holds(&self, sort: &str) -> bool {
        match self {
            SortKeyCondition::All => true,
            SortKeyCondition::BeginsWith(text) => sort.starts_with(text.as_str()),
            SortKeyCondition::Between(from, to) => (from.as_str()..=to.as_str()).contains(&sort),
            SortKeyCondition::After(text) => sort > text.as_str(),
            SortKeyCondition::AtMost(text) => sort <= text.as_str(),
            SortKeyCondition::Before(text) => sort < text.as_str(),
        }
    }

    /// The sort key behind which a cursor goes on. It is one of the range: a cursor of
    /// another query is refused, and none leads out of its partition, which the host
    /// names.
    pub(super) fn read_cursor(&self, cursor: &str) -> Result<String, Error> {
        let read = || {
            let encoded = cursor.strip_prefix(VERSION)?;
            let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
            let sort = String::from_utf8(bytes).ok()?;
            (check_sort(&sort).is_ok() && self.holds(&sort)).then_some(sort)
        };
        read().ok_or_else(|| Error::Invalid("the cursor is of no such query".to_owned()))
    }
}

pub(super) fn cursor(sort: &str) -> String {
    format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sort))
}
