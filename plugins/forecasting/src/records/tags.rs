//! The tags of a row, cut to the limits.

use std::collections::BTreeMap;

use hearth_plugin::prelude::*;

use super::column::{Cells, Column};
use super::mistakes::RowMistakes;
use super::record::{TEXT_CHARACTERS_MAX, cut};

/// Tags of a row; providers allow 50 of a customer's own, and add theirs.
pub const TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;

/// The tags as a JSON object of texts, in order: so equal ones are equal as texts.
/// Those past the limit are left out, in the order of their keys, and what is too long
/// is cut.
pub fn read(cells: &Cells, row: &mut RowMistakes<'_>) -> String {
    let Some(text) = cells.get(Column::Tags) else {
        return "{}".into();
    };
    let Some(Value::Object(members)) = Json::parse(text).map(|json| json.0) else {
        match hearth_plugin::json::has_name_twice(text) {
            true => row.refuse_twice("Tags", "this has a name twice; give each name once"),
            false => row.refuse("Tags", "wrong_type", "this must be a JSON object"),
        }
        return String::new();
    };
    let mut tags = BTreeMap::new();
    let mut is_cut = false;
    for (key, value) in members {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        let (key, key_is_cut) = cut(key, KEY_CHARACTERS_MAX);
        let (value, value_is_cut) = cut(value, TEXT_CHARACTERS_MAX);
        is_cut |= key_is_cut | value_is_cut;
        tags.entry(key).or_insert(value);
    }
    is_cut |= tags.len() > TAGS_MAX;
    if is_cut {
        let detail = format!(
            "of the tags {TAGS_MAX} are kept, with keys of {KEY_CHARACTERS_MAX} and values of \
             {TEXT_CHARACTERS_MAX} characters; the others were cut"
        );
        row.warn("Tags", detail);
    }
    let kept: BTreeMap<_, _> = tags.into_iter().take(TAGS_MAX).collect();
    let kept = json!(kept);
    if hearth_plugin::json::has_nul(&kept) {
        row.refuse("Tags", "nul_character", "NUL characters are not allowed");
    }
    kept.to_string()
}
