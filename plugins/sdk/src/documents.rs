//! A DynamoDB table lent to the plugin. The host puts the plugin and the customer
//! before each partition, and merges the plain puts and deletes of all requests
//! into batches. Wants the grant `documents`.
//!
//! ```no_run
//! use hearth_plugin::documents::{self, Item, Range};
//! use serde_json::json;
//! # fn example() -> Result<(), documents::Error> {
//! documents::put(&Item::new("inbox", "2026-11-23", &json!({"title": "Hello"})))?;
//! let page = documents::query("inbox", &Range::All, 50, None, true)?;
//! assert_eq!(page.items.len(), 1);
//! # Ok(())
//! # }
//! ```

use serde_json::Value;

use crate::host::documents as host;
use crate::json::Json;
use crate::problem::Problem;
use crate::time::Timestamp;

pub use host::{Key, Range};

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Chosen by the plugin; the customer is implied.
    pub partition: String,
    /// Items of a partition are ordered by it, byte by byte.
    pub sort: String,
    /// A JSON object.
    pub attributes: Value,
    /// When it is gone.
    pub expires_at: Option<Timestamp>,
}

impl Item {
    /// An item that stays until it is deleted.
    pub fn new(partition: &str, sort: &str, attributes: &Value) -> Self {
        Item {
            partition: partition.into(),
            sort: sort.into(),
            attributes: attributes.clone(),
            expires_at: None,
        }
    }

    /// Gone after this instant.
    pub fn until(mut self, instant: Timestamp) -> Self {
        self.expires_at = Some(instant);
        self
    }

    fn to_host(&self) -> host::Item {
        host::Item {
            partition: self.partition.clone(),
            sort: self.sort.clone(),
            attributes: self.attributes.to_string(),
            expires_at_ms: self
                .expires_at
                .map(|at| u64::try_from(at.micros() / 1_000).unwrap_or_default()),
        }
    }

    fn of_host(item: host::Item) -> Self {
        Item {
            partition: item.partition,
            sort: item.sort,
            attributes: Json::parse(&item.attributes).unwrap_or_default().0,
            expires_at: instant(item.expires_at_ms),
        }
    }
}

fn instant(ms: Option<u64>) -> Option<Timestamp> {
    let micros = |ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    ms.map(|ms| Timestamp::from_micros(micros(ms)))
}

/// A change of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Gives an attribute a value.
    Set(String, Value),
    /// Removes an attribute.
    Remove(String),
    /// Adds to a number, which begins as zero.
    Add(String, i64),
}

impl Change {
    fn to_host(&self) -> host::Change {
        match self {
            Change::Set(name, value) => host::Change::Set((name.clone(), value.to_string())),
            Change::Remove(name) => host::Change::Remove(name.clone()),
            Change::Add(name, amount) => host::Change::Add((name.clone(), amount.to_string())),
        }
    }
}

/// What must hold for an update to happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Nothing.
    None,
    /// The item is there.
    Exists,
    /// The item is not there.
    Absent,
    /// An attribute has this value.
    Equals(String, Value),
}

impl Condition {
    fn to_host(&self) -> host::Condition {
        match self {
            Condition::None => host::Condition::None,
            Condition::Exists => host::Condition::Exists,
            Condition::Absent => host::Condition::Absent,
            Condition::Equals(name, value) => {
                host::Condition::Equals((name.clone(), value.to_string()))
            }
        }
    }
}

/// Some items of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// In the order of their sort keys, or the other way round.
    pub items: Vec<Item>,
    /// Where to go on; `None` at the end.
    pub cursor: Option<String>,
}

/// An item as it came: for a plugin that looks into few of many.
#[derive(Clone, Debug, PartialEq)]
pub struct RawItem {
    /// Items of a partition are ordered by it, byte by byte.
    pub sort: String,
    /// A JSON object, its names in the order of their bytes.
    pub attributes: String,
    /// When it is gone.
    pub expires_at: Option<Timestamp>,
}

/// Some items of a query, as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct RawPage {
    /// In the order of their sort keys, or the other way round.
    pub items: Vec<RawItem>,
    /// Where to go on; `None` at the end.
    pub cursor: Option<String>,
}

/// Why a document was not read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The item is larger than 400 KB, or the batch than it may be.
    TooLarge,
    /// The condition of an update did not hold.
    ConditionFailed,
    /// The call's deadline passed first.
    DeadlineExceeded,
    /// DynamoDB is unavailable or throttles, or the writer's queue is full.
    Unavailable,
    /// A key or value that DynamoDB does not take.
    Invalid(String),
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::TooLarge => Error::TooLarge,
            host::Error::ConditionFailed => Error::ConditionFailed,
            host::Error::DeadlineExceeded => Error::DeadlineExceeded,
            host::Error::Unavailable => Error::Unavailable,
            host::Error::Invalid(reason) => Error::Invalid(reason),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable => Problem::new(503, "unavailable", "Documents unavailable")
                .detail("try again in a moment")
                .header("retry-after", "1"),
            Error::DeadlineExceeded => Problem::new(504, "deadline-exceeded", "Deadline exceeded"),
            Error::TooLarge => Problem::new(413, "item-too-large", "Item too large"),
            Error::ConditionFailed => Problem::new(409, "conflict", "Conflict"),
            Error::Invalid(_) => Problem::internal(),
        }
    }
}

fn results(results: Vec<Result<(), host::Error>>) -> Vec<Result<(), Error>> {
    let results = results.into_iter();
    results.map(|result| result.map_err(Error::from)).collect()
}

/// An item, unless it is gone.
pub fn get(key: &Key) -> Result<Option<Item>, Error> {
    Ok(host::get(key)?.map(Item::of_host))
}

/// The items of these keys, in order; a hundred are one request to DynamoDB.
pub fn get_many(keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
    let items = get_many_host(keys)?.into_iter();
    Ok(items.map(|item| item.map(Item::of_host)).collect())
}

/// The same with attributes that are not read yet.
pub fn get_many_raw(keys: &[Key]) -> Result<Vec<Option<RawItem>>, Error> {
    let items = get_many_host(keys)?.into_iter();
    Ok(items.map(|item| item.map(raw)).collect())
}

fn get_many_host(keys: &[Key]) -> Result<Vec<Option<host::Item>>, Error> {
    let mut items = Vec::new();
    while let Some(rest) = keys.get(items.len()..).filter(|rest| !rest.is_empty()) {
        let more = host::get_many(rest)?;
        // The host answers one at least.
        if more.is_empty() {
            return Err(Error::Unavailable);
        }
        items.extend(more);
    }
    Ok(items)
}

/// Writes an item whole; answers once DynamoDB has it.
pub fn put(item: &Item) -> Result<(), Error> {
    Ok(host::put(&item.to_host())?)
}

/// Writes items whole, each with a result of its own, in order. The host bounds what one
/// call moves: many large ones are several calls.
pub fn put_many(items: &[Item]) -> Vec<Result<(), Error>> {
    let items: Vec<_> = items.iter().map(Item::to_host).collect();
    let (mut rest, mut outcomes) = (items.as_slice(), Vec::new());
    while let (1.., Some((some, more))) = (rest.len(), rest.split_at_checked(fitting(rest))) {
        outcomes.extend(results(host::put_many(some)));
        rest = more;
    }
    outcomes
}

/// Bytes of attributes that one call puts, unless it has a single item: half of what a
/// call may move (`engine.host_call_bytes_max`).
const PUT_BYTES_MAX: usize = 2 << 20;

/// How many of the first items go with one call: one at least.
fn fitting(items: &[host::Item]) -> usize {
    let mut bytes = 0;
    let fits = |item: &&host::Item| {
        let is_first = bytes == 0;
        bytes += item.attributes.len();
        is_first || bytes <= PUT_BYTES_MAX
    };
    items.iter().take_while(fits).count()
}

/// Changes attributes of an item, which is made where there is none and the condition
/// lets it. Answers the item as it is then.
pub fn update(key: &Key, changes: &[Change], condition: &Condition) -> Result<Item, Error> {
    let changes: Vec<_> = changes.iter().map(Change::to_host).collect();
    let item = host::update(key, &changes, &condition.to_host())?;
    Ok(Item::of_host(item))
}

/// Items of a partition, at most `limit`, in order or in the opposite one.
pub fn query(
    partition: &str,
    range: &Range,
    limit: u32,
    cursor: Option<&str>,
    descending: bool,
) -> Result<Page, Error> {
    let page = host::query(partition, range, limit, cursor, descending)?;
    Ok(Page {
        items: page.items.into_iter().map(Item::of_host).collect(),
        cursor: page.cursor,
    })
}

/// The same with attributes that are not read yet.
pub fn query_raw(
    partition: &str,
    range: &Range,
    limit: u32,
    cursor: Option<&str>,
    descending: bool,
) -> Result<RawPage, Error> {
    let page = host::query(partition, range, limit, cursor, descending)?;
    Ok(raw_page(page))
}

/// The same with these attributes of each item alone, where it has them.
pub fn query_attributes(
    partition: &str,
    range: &Range,
    limit: u32,
    cursor: Option<&str>,
    descending: bool,
    attributes: &[&str],
) -> Result<RawPage, Error> {
    let names: Vec<String> = attributes.iter().map(|name| (*name).into()).collect();
    let page = host::query_attributes(partition, range, limit, cursor, descending, &names)?;
    Ok(raw_page(page))
}

fn raw(item: host::Item) -> RawItem {
    RawItem {
        sort: item.sort,
        attributes: item.attributes,
        expires_at: instant(item.expires_at_ms),
    }
}

fn raw_page(page: host::Page) -> RawPage {
    RawPage {
        items: page.items.into_iter().map(raw).collect(),
        cursor: page.cursor,
    }
}

/// Counts items of a partition, up to `limit`.
pub fn count(partition: &str, range: &Range, limit: u32) -> Result<u32, Error> {
    Ok(host::count(partition, range, limit)?)
}

/// Deletes an item; it is no error where there is none.
pub fn delete(key: &Key) -> Result<(), Error> {
    Ok(host::delete(key)?)
}

/// Deletes items, each with a result of its own, in order.
pub fn delete_many(keys: &[Key]) -> Vec<Result<(), Error>> {
    results(host::delete_many(keys))
}
