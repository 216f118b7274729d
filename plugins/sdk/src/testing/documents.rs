//! The documents of a test: a table in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::lend;
use crate::Timestamp;

pub use crate::bindings::imports::hearth::plugin::documents::{
    Change, Condition, Error, Item, Key, Page, Range,
};

/// Bytes of an item at most, about: DynamoDB's limit.
const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Items by partition and sort key.
#[derive(Default)]
pub(super) struct Table(BTreeMap<(String, String), Stored>);

#[derive(Clone)]
struct Stored {
    attributes: Map<String, Value>,
    expires_at_ms: Option<u64>,
}

impl Stored {
    fn is_there(&self) -> bool {
        let now = u64::try_from(Timestamp::now().micros() / 1_000).unwrap_or_default();
        self.expires_at_ms.is_none_or(|at| at > now)
    }

    fn item(&self, partition: &str, sort: &str) -> Item {
        Item {
            partition: partition.into(),
            sort: sort.into(),
            attributes: Value::Object(self.attributes.clone()).to_string(),
            expires_at_ms: self.expires_at_ms,
        }
    }
}

impl Table {
    fn find(&self, key: &Key) -> Option<&Stored> {
        let stored = self.0.get(&place(key));
        stored.filter(|stored| stored.is_there())
    }

    fn put(&mut self, item: &Item) -> Result<(), Error> {
        if item.attributes.len() > ITEM_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let stored = Stored {
            attributes: object(&item.attributes)?,
            expires_at_ms: item.expires_at_ms,
        };
        let place = (item.partition.clone(), item.sort.clone());
        self.0.insert(place, stored);
        Ok(())
    }

    fn update(
        &mut self,
        key: &Key,
        changes: &[Change],
        condition: &Condition,
    ) -> Result<Item, Error> {
        let old = self.find(key).cloned();
        if !holds(condition, old.as_ref())? {
            return Err(Error::ConditionFailed);
        }
        let mut new = old.unwrap_or(Stored {
            attributes: Map::new(),
            expires_at_ms: None,
        });
        for change in changes {
            apply(change, &mut new.attributes)?;
        }
        let item = new.item(&key.partition, &key.sort);
        self.0.insert(place(key), new);
        Ok(item)
    }

    /// Items of a partition in a range, in order.
    fn within(&self, partition: &str, range: &Range) -> Vec<Item> {
        let from = (partition.to_owned(), String::new());
        let all = self.0.range((Bound::Included(from), Bound::Unbounded));
        let own = all.take_while(|((own, _), _)| own == partition);
        let wanted = own.filter(|((_, sort), stored)| stored.is_there() && is_in(range, sort));
        wanted
            .map(|((partition, sort), stored)| stored.item(partition, sort))
            .collect()
    }
}

fn place(key: &Key) -> (String, String) {
    (key.partition.clone(), key.sort.clone())
}

fn object(text: &str) -> Result<Map<String, Value>, Error> {
    match value(text)? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::Invalid("the attributes are no JSON object".into())),
    }
}

fn value(text: &str) -> Result<Value, Error> {
    let value = serde_json::from_str(text);
    value.map_err(|error| Error::Invalid(format!("this is not JSON: {error}")))
}

fn holds(condition: &Condition, item: Option<&Stored>) -> Result<bool, Error> {
    Ok(match condition {
        Condition::None => true,
        Condition::Exists => item.is_some(),
        Condition::Absent => item.is_none(),
        Condition::Equals((name, wanted)) => {
            let wanted = value(wanted)?;
            item.is_some_and(|item| item.attributes.get(name) == Some(&wanted))
        }
    })
}

fn apply(change: &Change, attributes: &mut Map<String, Value>) -> Result<(), Error> {
    match change {
        Change::Set((name, new)) => {
            attributes.insert(name.clone(), value(new)?);
        }
        Change::Remove(name) => {
            attributes.remove(name);
        }
        Change::Add((name, amount)) => {
            let no_number = || Error::Invalid(format!("{name:?} is not a whole number"));
            let amount = value(amount)?.as_i64().ok_or_else(no_number)?;
            let old = match attributes.get(name) {
                Some(old) => old.as_i64().ok_or_else(no_number)?,
                None => 0,
            };
            let sum = old.checked_add(amount).ok_or_else(no_number)?;
            attributes.insert(name.clone(), sum.into());
        }
    }
    Ok(())
}

fn is_in(range: &Range, sort: &str) -> bool {
    match range {
        Range::All => true,
        Range::BeginsWith(text) => sort.starts_with(text.as_str()),
        Range::Between((from, to)) => (from.as_str()..=to.as_str()).contains(&sort),
        Range::After(text) => sort > text.as_str(),
        Range::Before(text) => sort < text.as_str(),
    }
}

pub(crate) fn get(key: &Key) -> Result<Option<Item>, Error> {
    Ok(lend(|state| {
        let stored = state.documents.find(key);
        stored.map(|stored| stored.item(&key.partition, &key.sort))
    }))
}

pub(crate) fn get_many(keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
    keys.iter().map(get).collect()
}

pub(crate) fn put(item: &Item) -> Result<(), Error> {
    lend(|state| state.documents.put(item))
}

pub(crate) fn put_many(items: &[Item]) -> Vec<Result<(), Error>> {
    items.iter().map(put).collect()
}

pub(crate) fn update(key: &Key, changes: &[Change], condition: &Condition) -> Result<Item, Error> {
    lend(|state| state.documents.update(key, changes, condition))
}

/// The cursor is the sort key behind which the next page begins.
pub(crate) fn query(
    partition: &str,
    range: &Range,
    limit: u32,
    cursor: Option<&str>,
    descending: bool,
) -> Result<Page, Error> {
    if limit == 0 {
        let reason = "a page must have at least one item";
        return Err(Error::Invalid(reason.into()));
    }
    let mut items = lend(|state| state.documents.within(partition, range));
    if descending {
        items.reverse();
    }
    if let Some(cursor) = cursor {
        items.retain(|item| match descending {
            true => item.sort.as_str() < cursor,
            false => item.sort.as_str() > cursor,
        });
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().map(|item| item.sort.clone());
    Ok(Page {
        items,
        cursor: last.filter(|_| has_more),
    })
}

pub(crate) fn query_attributes(
    partition: &str,
    range: &Range,
    limit: u32,
    cursor: Option<&str>,
    descending: bool,
    attributes: &[String],
) -> Result<Page, Error> {
    let mut page = query(partition, range, limit, cursor, descending)?;
    for item in &mut page.items {
        let mut object = object(&item.attributes)?;
        object.retain(|name, _| attributes.contains(name));
        item.attributes = Value::Object(object).to_string();
    }
    Ok(page)
}

pub(crate) fn count(partition: &str, range: &Range, limit: u32) -> Result<u32, Error> {
    let found = lend(|state| state.documents.within(partition, range).len());
    Ok(u32::try_from(found).unwrap_or(u32::MAX).min(limit))
}

pub(crate) fn delete(key: &Key) -> Result<(), Error> {
    lend(|state| state.documents.0.remove(&place(key)));
    Ok(())
}

pub(crate) fn delete_many(keys: &[Key]) -> Vec<Result<(), Error>> {
    keys.iter().map(delete).collect()
}
