//! JSON text to DynamoDB's attributes and back, without loss.
//!
//! A text is read value by value and not into a tree of serde_json's: there a number
//! is read as an object with a name of serde_json's own, so that such an object, sent
//! by a guest, would come back as a number. The names of an object must differ, since
//! an attribute has one value.
//!
//! Every name begins with [`MARK`] in the table, at any depth: none is then one of the
//! host's own, and none is empty, which DynamoDB would not take.

use std::collections::{HashMap, HashSet};
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Error, number};
use hearth_backend::dynamodb::size::{DEPTH_MAX, NAME_BYTES_MAX};

/// Stands before each name that is the plugin's.
const MARK: char = '.';

/// A name of the plugin's as it is in the table.
pub(super) fn marked(name: &str) -> Result<String, Error> {
    match name.len() {
        bytes if bytes >= NAME_BYTES_MAX => Err(Error::Invalid(format!(
            "an attribute's name has {bytes} bytes and may have {}",
            NAME_BYTES_MAX - 1
        ))),
        _ => Ok(format!("{MARK}{name}")),
    }
}

/// The members of a JSON object, as attributes.
///
/// # Errors
/// [`Error::Invalid`] for what is no JSON object, or holds what DynamoDB does not.
pub(super) fn read_object(text: &str) -> Result<Vec<(String, AttributeValue)>, Error> {
    let members: Members<'_> = serde_json::from_str(text).map_err(no_json)?;
    members.read(DEPTH_MAX)
}

/// One JSON value.
pub(super) fn read_value(text: &str) -> Result<AttributeValue, Error> {
    let raw: &RawValue = serde_json::from_str(text).map_err(no_json)?;
    read(raw, DEPTH_MAX)
}

/// `depth` is how many maps and lists may be around a value within this one.
fn read(raw: &RawValue, depth: usize) -> Result<AttributeValue, Error> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(text).map_err(no_json)?;
            AttributeValue::M(members.read(deeper(depth)?)?.into_iter().collect())
        }
        Some(b'[') => {
            let depth = deeper(depth)?;
            let values: Vec<&RawValue> = serde_json::from_str(text).map_err(no_json)?;
            let values = values.into_iter().map(|value| read(value, depth));
            AttributeValue::L(values.collect::<Result<_, _>>()?)
        }
        Some(b'"') => AttributeValue::S(serde_json::from_str(text).map_err(no_json)?),
        Some(b't') => AttributeValue::Bool(true),
        Some(b'f') => AttributeValue::Bool(false),
        Some(b'n') => AttributeValue::Null(true),
        _ => AttributeValue::N(number::canonical(text)?),
    })
}

fn deeper(depth: usize) -> Result<usize, Error> {
    depth.checked_sub(1).ok_or_else(|| {
        let text = "attributes are nested more than 32 levels deep";
        Error::Invalid(text.to_owned())
    })
}

fn no_json(error: serde_json::Error) -> Error {
    Error::Invalid(format!("the attributes are no JSON: {error}"))
}

/// An object's members as they stand in its text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn read(self, depth: usize) -> Result<Vec<(String, AttributeValue)>, Error> {
        let mut names = HashSet::with_capacity(self.0.len());
        if let Some((twice, _)) = self.0.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Error::Invalid(format!("the name {twice:?} stands twice")));
        }
        let member = |(name, raw): (String, _)| Ok((marked(&name)?, read(raw, depth)?));
        self.0.into_iter().map(member).collect()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reads)
    }
}

/// The object of those attributes that are the plugin's, in the order of their names.
pub(super) fn write_object(attributes: &HashMap<String, AttributeValue>) -> String {
    let mut text = String::new();
    write_members(attributes, &mut text);
    text
}

fn write_members(attributes: &HashMap<String, AttributeValue>, text: &mut String) {
    let own = |(name, value): (&'_ String, _)| Some((name.strip_prefix(MARK)?.to_owned(), value));
    let mut members: Vec<_> = attributes.iter().filter_map(own).collect();
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let write = |(name, value): (String, _), text: &mut String| {
        write_string(&name, text);
        text.push(':');
        write_value(value, text);
    };
    separated('{', members, '}', text, write);
}

fn separated<T>(
    open: char,
    all: impl IntoIterator<Item = T>,
    close: char,
    text: &mut String,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (place, one) in all.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write(one, text);
    }
    text.push(close);
}

/// Binary values and sets are none of a guest's. Whoever else wrote them into the
/// table sees them as texts and lists.
fn write_value(value: &AttributeValue, text: &mut String) {
    match value {
        AttributeValue::S(string) => write_string(string, text),
        AttributeValue::N(number) => write_number(number, text),
        AttributeValue::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        AttributeValue::M(members) => write_members(members, text),
        AttributeValue::L(values) => separated('[', values, ']', text, write_value),
        AttributeValue::B(bytes) => write_string(&STANDARD.encode(bytes), text),
        AttributeValue::Ss(all) => separated('[', all, ']', text, |one, text| {
            write_string(one, text);
        }),
        AttributeValue::Ns(all) => separated('[', all, ']', text, |one, text| {
            write_number(one, text);
        }),
        AttributeValue::Bs(all) => separated('[', all, ']', text, |one, text| {
            write_string(&STANDARD.encode(one), text);
        }),
        _ => text.push_str("null"),
    }
}

/// What a server says is a number is spelled as one, or it is a text.
fn write_number(number: &str, text: &mut String) {
    match number::canonical(number) {
        Ok(canonical) => text.push_str(&canonical),
        Err(_) => write_string(number, text),
    }
}

fn write_string(string: &str, text: &mut String) {
    // A string is never refused.
    text.push_str(&serde_json::to_string(string).unwrap_or_default());
}
