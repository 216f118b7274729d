//! Documents that a client replaces whole: preferences and templates.

use hearth_plugin::documents::{self, Change, Condition, Error, Item, Key};
use hearth_plugin::prelude::*;
use serde::Serialize;

/// How often it is tried where other requests come first.
const ATTEMPTS_MAX: u32 = 5;
/// The attribute that tells one version of a document from another.
const UPDATED_AT: &str = "updated_at";

/// What is stored there; null where nothing is.
pub fn stored(key: &Key) -> Result<Value, Error> {
    let item = documents::get(key)?;
    Ok(item.map_or(Value::Null, |item| item.attributes))
}

/// Replaces what is stored there, and says when that was, in microseconds since 1970. A
/// client's conditions are judged by what GET shows of what is stored (`shown`; 404 where
/// there is nothing to show), and the write wants it to be still the same.
pub fn replace(
    request: &Request,
    key: &Key,
    document: &impl Serialize,
    shown: impl Fn(Value) -> Answer,
) -> Result<i64, Problem> {
    let mut attributes = serde_json::to_value(document).unwrap_or_default();
    if !request.has_preconditions() {
        let at = stamp(&mut attributes, None);
        documents::put(&Item::new(&key.partition, &key.sort, &attributes))?;
        return Ok(at);
    }
    for _ in 0..ATTEMPTS_MAX {
        let before = stored(key)?;
        request.check_preconditions(tag(shown(before.clone()))?.as_deref())?;
        let at = stamp(&mut attributes, before[UPDATED_AT].as_i64());
        match update(key, &attributes, &before) {
            Err(Error::ConditionFailed) => {}
            updated => return Ok(updated.map(|()| at)?),
        }
    }
    Err(sql::Error::SerializationConflict.into())
}

/// A later version than that one, whatever the clock says.
fn stamp(attributes: &mut Value, before: Option<i64>) -> i64 {
    let after = before.map_or(i64::MIN, |before| before.saturating_add(1));
    let at = Timestamp::now().micros().max(after);
    attributes[UPDATED_AT] = at.into();
    at
}

fn tag(shown: Answer) -> Result<Option<String>, Problem> {
    match shown {
        Ok(shown) => Ok(Some(shown.etag())),
        Err(problem) if problem.status() == 404 => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Writes all attributes, if the version is still the one before.
fn update(key: &Key, attributes: &Value, before: &Value) -> Result<(), Error> {
    let condition = match before.get(UPDATED_AT) {
        Some(version) => Condition::Equals(UPDATED_AT.into(), version.clone()),
        None => Condition::Absent,
    };
    let members = attributes.as_object().into_iter().flatten();
    let set = |(name, value): (&String, &Value)| Change::Set(name.clone(), value.clone());
    documents::update(key, &members.map(set).collect::<Vec<_>>(), &condition).map(drop)
}
