//! Names that several plugins may use become one plugin's own: each operation id
//! and each component gets the plugin's name in front, and so does every reference
//! to one. A reference leads to a component of the part, or to a common one.

use serde_json::{Map, Value};

use super::common;
use super::mistakes::{DocumentMistakes, Pointer};

/// Members whose members have names of the author's choice, which mean nothing to
/// OpenAPI: a schema may well have a property called `example`.
const NAMED: [&str; 15] = [
    "properties",
    "patternProperties",
    "$defs",
    "dependentSchemas",
    "responses",
    "headers",
    "content",
    "links",
    "callbacks",
    "examples",
    "schemas",
    "parameters",
    "requestBodies",
    "pathItems",
    "encoding",
];

/// Members that hold data and no part of the document.
const LITERAL: [&str; 5] = ["example", "default", "const", "enum", "value"];

/// Renames all that the part defines and refers to.
pub(super) fn make_own(
    document: &mut Map<String, Value>,
    plugin: &str,
    mistakes: &mut DocumentMistakes,
) {
    let own = document.get("components").cloned().unwrap_or_default();
    let common = common().remove("components").unwrap_or_default();
    let mut renaming = Renaming {
        plugin,
        own,
        common,
        mistakes,
    };
    for name in ["paths", "webhooks"] {
        if let Some(member) = document.get_mut(name) {
            renaming.walk(member, &Pointer::top(name), true);
        }
    }
    let (top, sections) = (Pointer::top("components"), document.get_mut("components"));
    for (name, section) in sections
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        renaming.walk(section, &top.under(name), true);
        if let Value::Object(members) = section {
            let before = std::mem::take(members).into_iter();
            members.extend(before.map(|(name, member)| (owned(plugin, &name), member)));
        }
    }
}

fn owned(plugin: &str, name: &str) -> String {
    [plugin, ".", name].concat()
}

struct Renaming<'r> {
    plugin: &'r str,
    own: Value,
    common: Value,
    mistakes: &'r mut DocumentMistakes,
}

impl Renaming<'_> {
    /// `named` says that the members' names are the author's.
    fn walk(&mut self, value: &mut Value, place: &Pointer<'_>, named: bool) {
        match value {
            Value::Object(members) => {
                for (key, member) in members.iter_mut() {
                    self.member(key, member, &place.under(key), named);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, &place.under(&index.to_string()), false);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, key: &str, member: &mut Value, place: &Pointer<'_>, named: bool) {
        if named {
            return self.walk(member, place, false);
        }
        match (key, &mut *member) {
            ("$ref", Value::String(reference)) => self.refer(reference, place),
            ("operationId", Value::String(id)) => *id = owned(self.plugin, id),
            ("mapping", Value::Object(mapping)) => self.mapping(mapping, place),
            ("examples", Value::Array(_)) => {}
            ("operationRef", _) => self.mistakes.at(place, "links must use operationId"),
            ("$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor", _) => {
                self.mistakes
                    .at(place, "references must begin with #/components/");
            }
            (key, _) if LITERAL.contains(&key) => {}
            (key, member) => {
                let names = NAMED.contains(&key) && member.is_object();
                self.walk(member, place, names);
            }
        }
    }

    /// A discriminator's mapping: references, or names of schemas.
    fn mapping(&mut self, mapping: &mut Map<String, Value>, place: &Pointer<'_>) {
        for (key, target) in mapping.iter_mut() {
            if let Value::String(target) = target {
                if !target.starts_with('#') {
                    *target = ["#/components/schemas/", target.as_str()].concat();
                }
                self.refer(target, &place.under(key));
            }
        }
    }

    fn refer(&mut self, reference: &mut String, place: &Pointer<'_>) {
        let Some(pointer) = reference.strip_prefix("#/components") else {
            self.mistakes
                .at(place, "references must begin with #/components/");
            return;
        };
        if self
            .own
            .pointer(pointer)
            .is_some_and(|_| pointer.matches('/').count() >= 2)
        {
            let (section, rest) = pointer
                .strip_prefix('/')
                .and_then(|rest| rest.split_once('/'))
                .unwrap_or_default();
            *reference = format!("#/components/{section}/{}", owned(self.plugin, rest));
        } else if self.common.pointer(pointer).is_none() {
            let what = format!("`{reference}` was not found in the document");
            self.mistakes.at(place, what);
        }
    }
}
