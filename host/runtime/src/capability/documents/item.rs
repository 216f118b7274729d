//! Documents as items of the table.
//!
//! The partition key is plugin, customer and the plugin's own partition, in a
//! spelling that no two of them share; the sort key is the plugin's own. Beside the
//! plugin's attributes, whose names are marked (see `json`), there are [`TTL`] and
//! [`EXPIRES`].

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Config, Error, Item, Key, json};
use crate::capability::Call;
use hearth_backend::dynamodb::size::{
    PARTITION_BYTES_MAX, SORT_BYTES_MAX, WRITE_WIRE_BYTES, attribute_bytes, attribute_wire_bytes,
};
use hearth_backend::dynamodb::writer::{self, Write};
use hearth_backend::dynamodb::{PARTITION, SORT, TTL};

/// The millisecond since 1970 from which an item is gone. [`TTL`] is the same in
/// seconds, rounded up, and when DynamoDB removes it.
pub(super) const EXPIRES: &str = "expires";

pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The partition key of what the call names so. A plugin's name has no `#`, and a
/// customer's is told with its length.
pub(super) fn stamp(call: &Call, partition: &str) -> Result<Arc<str>, Error> {
    let plugin = &call.plugin;
    let stamped = match &call.customer {
        Some(customer) => format!("{plugin}#{}:{customer}#{partition}", customer.len()),
        None => format!("{plugin}#-#{partition}"),
    };
    match stamped.len() > PARTITION_BYTES_MAX {
        true => Err(Error::Invalid(format!(
            "the partition is too long: with plugin and customer it has {} bytes, and at most \
             {PARTITION_BYTES_MAX} are allowed",
            stamped.len()
        ))),
        false => Ok(stamped.into()),
    }
}

pub(super) fn key(call: &Call, key: &Key) -> Result<writer::Key, Error> {
    check_sort(&key.sort)?;
    Ok(writer::Key {
        partition: stamp(call, &key.partition)?,
        sort: key.sort.as_str().into(),
    })
}

pub(super) fn check_sort(sort: &str) -> Result<(), Error> {
    match sort.len() {
        0 => Err(Error::Invalid("the sort key is empty".to_owned())),
        bytes if bytes > SORT_BYTES_MAX => Err(Error::Invalid(format!(
            "the sort key is too long: {bytes} bytes, and at most {SORT_BYTES_MAX} are allowed"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The whole item as the writer puts it.
pub(super) fn put(call: &Call, config: &Config, item: &Item) -> Result<Write, Error> {
    let whole = Key {
        partition: item.partition.clone(),
        sort: item.sort.clone(),
    };
    let key = key(call, &whole)?;
    // An escape takes six bytes for one.
    if item.attributes.len() / 6 > config.item_bytes_max {
        return Err(Error::TooLarge);
    }
    let mut attributes = json::read_object(&item.attributes)?;
    if let Some(at) = item.expires_at_ms {
        attributes.push((EXPIRES.to_owned(), number(at)));
        attributes.push((TTL.to_owned(), number(at.div_ceil(1_000))));
    }
    let of_key = [(PARTITION, &key.partition), (SORT, &key.sort)];
    let own: usize = attributes.iter().map(|(n, v)| attribute_bytes(n, v)).sum();
    let keys: usize = of_key.iter().map(|(n, v)| n.len() + v.len()).sum();
    if own + keys > config.item_bytes_max {
        return Err(Error::TooLarge);
    }
    let wire = attributes.iter().map(|(n, v)| attribute_wire_bytes(n, v));
    Ok(Write {
        wire_bytes: wire.sum::<usize>() + key_wire_bytes(&key),
        attributes: Some(attributes),
        key,
    })
}

pub(super) fn delete(call: &Call, of: &Key) -> Result<Write, Error> {
    let key = key(call, of)?;
    Ok(Write {
        wire_bytes: key_wire_bytes(&key),
        attributes: None,
        key,
    })
}

fn key_wire_bytes(key: &writer::Key) -> usize {
    let of = |name, value: &str| attribute_wire_bytes(name, &text(value));
    of(PARTITION, &key.partition) + of(SORT, &key.sort) + WRITE_WIRE_BYTES
}

/// What DynamoDB has under a key, as attributes of a request.
pub(super) fn key_attributes(key: &writer::Key) -> Attributes {
    let attributes = [(PARTITION, &key.partition), (SORT, &key.sort)];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), text(value)));
    attributes.into_iter().collect()
}

/// The item as the plugin knows it, unless it is gone by then.
pub(super) fn shown(partition: &str, attributes: &Attributes, now_ms: u64) -> Option<Item> {
    let expires_at_ms = expires(attributes);
    if expires_at_ms.is_some_and(|at| at <= now_ms) {
        return None;
    }
    Some(Item {
        partition: partition.to_owned(),
        sort: sort(attributes)?.to_owned(),
        attributes: json::write_object(attributes),
        expires_at_ms,
    })
}

pub(super) fn sort(attributes: &Attributes) -> Option<&str> {
    let sort = attributes.get(SORT)?.as_s().ok()?;
    Some(sort)
}

pub(super) fn expires(attributes: &Attributes) -> Option<u64> {
    attributes.get(EXPIRES)?.as_n().ok()?.parse().ok()
}
