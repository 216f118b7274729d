//! Many items by their keys.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::time::sleep;

use super::item::{Attributes, key_attributes};
use super::{Error, Table};
use hearth_backend::dynamodb::writer::Key;
use hearth_backend::dynamodb::{DynamoError, PARTITION, SORT, failure};

/// Keys of one BatchGetItem. Source: DynamoDB API reference.
pub(super) const KEYS_MAX: usize = 100;
/// Before what DynamoDB left undone is asked for again, where it did nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// What DynamoDB has under some keys.
pub(super) struct FoundItems {
    items: HashMap<Key, Attributes>,
    undone: HashSet<Key>,
}

impl FoundItems {
    /// Whether it is known what lies there.
    pub(super) fn knows(&self, key: &Key) -> bool {
        !self.undone.contains(key)
    }

    pub(super) fn item(&self, key: &Key) -> Option<&Attributes> {
        self.items.get(key)
    }
}

/// Reads these keys, at most [`KEYS_MAX`]. What DynamoDB leaves undone, because it is too
/// much for one answer or because it throttles, is left to the caller, but never the
/// first key: for that one it is asked until the call's deadline.
pub(super) async fn find(table: &Table, keys: &[Key]) -> Result<FoundItems, Error> {
    loop {
        let found = ask(table, keys).await?;
        if keys.first().is_none_or(|first| found.knows(first)) {
            return Ok(found);
        }
        sleep(PAUSE).await;
    }
}

async fn ask(table: &Table, keys: &[Key]) -> Result<FoundItems, Error> {
    // DynamoDB takes no key twice.
    let single: HashSet<&Key> = keys.iter().collect();
    let wanted = KeysAndAttributes::builder()
        .set_keys(Some(single.into_iter().map(key_attributes).collect()))
        .consistent_read(table.config.consistent_reads)
        .build()
        .map_err(|error| DynamoError::Invalid(error.to_string()))?;
    let name = table.dynamo.documents_table();
    let asked = table.dynamo.client().batch_get_item();
    let answer = asked.request_items(name, wanted).send().await;
    let answer = answer.map_err(|error| failure(&error))?;
    let items = answer.responses.and_then(|mut tables| tables.remove(name));
    let items = items.unwrap_or_default().into_iter();
    let undone = answer
        .unprocessed_keys
        .and_then(|mut tables| tables.remove(name));
    let undone = undone.map(|undone| undone.keys).unwrap_or_default();
    Ok(FoundItems {
        items: items
            .filter_map(|item| Some((key_of(&item)?, item)))
            .collect(),
        undone: undone.iter().filter_map(key_of).collect(),
    })
}

fn key_of(attributes: &Attributes) -> Option<Key> {
    Some(Key {
        partition: attributes.get(PARTITION)?.as_s().ok()?.as_str().into(),
        sort: attributes.get(SORT)?.as_s().ok()?.as_str().into(),
    })
}
