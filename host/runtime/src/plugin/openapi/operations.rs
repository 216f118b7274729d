//! Paths, webhooks and their operations: what OpenAPI 3.1 wants of them, as far as
//! the merged document, its page and generated clients depend on it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::mistakes::{DocumentMistakes, Pointer};
use super::{NAME_RULE, common, is_name};

pub(super) const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

const OPERATION: [&str; 11] = [
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "callbacks",
    "deprecated",
    "security",
];

/// Checks `paths` and `webhooks`.
pub(super) fn check(document: &Map<String, Value>, mistakes: &mut DocumentMistakes) {
    let mut checker = Checker {
        document,
        common: common(),
        mistakes,
        operations: BTreeSet::new(),
    };
    checker.paths();
    checker.webhooks();
}

struct Checker<'c> {
    document: &'c Map<String, Value>,
    common: Map<String, Value>,
    mistakes: &'c mut DocumentMistakes,
    /// The ids so far, each of which must be there once.
    operations: BTreeSet<&'c str>,
}

impl<'c> Checker<'c> {
    fn members(&self, name: &str) -> impl Iterator<Item = (&'c String, &'c Value)> + use<'c> {
        let members = self.document.get(name).and_then(Value::as_object);
        members.into_iter().flatten()
    }

    fn paths(&mut self) {
        let (top, mut templates) = (Pointer::top("paths"), BTreeSet::new());
        for (path, item) in self.members("paths") {
            let place = top.under(path);
            let Some(parameters) = template(path) else {
                let rule = "a path must begin with `/` and have segments of letters, digits, `-`, \
                            `.`, `_`, `~`, `%` and parameters in braces, none of them `.` or `..`";
                self.mistakes.at(&place, rule);
                continue;
            };
            if !templates.insert(shape(path)) {
                self.mistakes.at(
                    &place,
                    "another path differs only in the names of its parameters",
                );
            }
            self.item(&place, item, Some(&parameters));
        }
    }

    fn webhooks(&mut self) {
        let top = Pointer::top("webhooks");
        for (name, item) in self.members("webhooks") {
            let place = top.under(name);
            if !is_name(name) {
                self.mistakes.at(&place, NAME_RULE);
            }
            self.item(&place, item, None);
        }
    }

    /// A path item. `names` are the parameters of its path; a webhook has none and
    /// needs no operation ids.
    fn item(&mut self, place: &Pointer<'_>, item: &'c Value, names: Option<&[&str]>) {
        let Some(members) = self.mistakes.object(place, item) else {
            return;
        };
        let shared = members.get("parameters");
        for (name, member) in members {
            let place = place.under(name);
            match name.as_str() {
                method if METHODS.contains(&method) => {
                    self.operation(&place, member, shared, names)
                }
                "parameters" => self.parameters(&place, member),
                "summary" | "description" => {}
                name if name.starts_with("x-") => {}
                _ => self.mistakes.at(&place, "unknown member of a path"),
            }
        }
    }

    fn operation(
        &mut self,
        place: &Pointer<'_>,
        operation: &'c Value,
        shared: Option<&'c Value>,
        names: Option<&[&str]>,
    ) {
        let Some(members) = self.mistakes.object(place, operation) else {
            return;
        };
        for name in members.keys() {
            if !OPERATION.contains(&name.as_str()) && !name.starts_with("x-") {
                self.mistakes
                    .at(&place.under(name), "unknown member of an operation");
            }
        }
        if let Some(parameters) = members.get("parameters") {
            self.parameters(&place.under("parameters"), parameters);
        }
        self.responses(place, members.get("responses"));
        self.security(&place.under("security"), members.get("security"));
        let Some(names) = names else {
            return;
        };
        self.operation_id(&place.under("operationId"), members.get("operationId"));
        self.path_parameters(place, [shared, members.get("parameters")], names);
    }

    /// Whether the parameters of the path are those that are declared.
    fn path_parameters(
        &mut self,
        place: &Pointer<'_>,
        lists: [Option<&'c Value>; 2],
        names: &[&str],
    ) {
        let declared: BTreeSet<String> = lists
            .into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|parameter| self.path_parameter(parameter).map(str::to_owned))
            .collect();
        for name in names.iter().filter(|name| !declared.contains(**name)) {
            let what = format!("the path's parameter `{name}` is not among its parameters");
            self.mistakes.at(place, what);
        }
        for name in declared
            .iter()
            .filter(|name| !names.contains(&name.as_str()))
        {
            let what = format!("the path has no parameter `{name}`");
            self.mistakes.at(place, what);
        }
    }

    fn operation_id(&mut self, place: &Pointer<'_>, id: Option<&'c Value>) {
        match id.and_then(Value::as_str) {
            Some(id) if !is_name(id) => self.mistakes.at(place, NAME_RULE),
            Some(id) if !self.operations.insert(id) => {
                self.mistakes.at(place, format!("`{id}` is given twice"));
            }
            Some(_) => {}
            None => self
                .mistakes
                .at(place, "this is required: clients are generated with it"),
        }
    }

    fn parameters(&mut self, place: &Pointer<'_>, parameters: &'c Value) {
        for (index, parameter) in self.mistakes.list(place, parameters).iter().enumerate() {
            let index = index.to_string();
            let place = place.under(&index);
            let parameter = self.mistakes.object(&place, parameter);
            let Some(parameter) = parameter.filter(|one| !one.contains_key("$ref")) else {
                continue;
            };
            let kind = parameter.get("in").and_then(Value::as_str);
            if !matches!(kind, Some("query" | "header" | "path" | "cookie")) {
                self.mistakes.at(
                    &place.under("in"),
                    "this must be query, header, path or cookie",
                );
            }
            if !parameter.get("name").is_some_and(Value::is_string) {
                self.mistakes.at(&place.under("name"), "this is required");
            }
            if !["schema", "content"]
                .iter()
                .any(|name| parameter.contains_key(*name))
            {
                self.mistakes
                    .at(&place, "a parameter must have a schema or a content");
            }
            if kind == Some("path") && parameter.get("required") != Some(&Value::Bool(true)) {
                self.mistakes.at(
                    &place.under("required"),
                    "a parameter of a path must be required",
                );
            }
        }
    }

    /// The name of a parameter that stands in a path.
    fn path_parameter<'s>(&'s self, parameter: &'s Value) -> Option<&'s str> {
        let found = match parameter.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.component(reference)?,
            None => parameter,
        };
        let is_path = found.get("in").and_then(Value::as_str) == Some("path");
        found
            .get("name")
            .and_then(Value::as_str)
            .filter(|_| is_path)
    }

    fn component(&self, reference: &str) -> Option<&Value> {
        let pointer = reference.strip_prefix("#/components")?;
        let of = |document: &'c Map<String, Value>| document.get("components")?.pointer(pointer);
        of(self.document).or_else(|| self.common.get("components")?.pointer(pointer))
    }

    fn responses(&mut self, place: &Pointer<'_>, responses: Option<&'c Value>) {
        let place = place.under("responses");
        let Some(responses) = responses
            .and_then(Value::as_object)
            .filter(|all| !all.is_empty())
        else {
            self.mistakes
                .at(&place, "an operation must have at least one response");
            return;
        };
        for (status, response) in responses
            .iter()
            .filter(|(status, _)| !status.starts_with("x-"))
        {
            let place = place.under(status);
            if !is_status(status) {
                self.mistakes.at(
                    &place,
                    "this must be a status such as 200 or 4XX, or default",
                );
            }
            let described = response.get("description").is_some_and(Value::is_string);
            if !described && response.get("$ref").is_none() {
                self.mistakes
                    .at(&place, "a response must have a description");
            }
        }
    }

    fn security(&mut self, place: &Pointer<'_>, security: Option<&'c Value>) {
        let Some(security) = security else {
            return;
        };
        let schemes = self
            .common
            .get("components")
            .and_then(|all| all.get("securitySchemes"));
        let known = schemes
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for item in self.mistakes.list(place, security) {
            let unknown = |name: &&String| !known.contains_key(*name);
            for name in item
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .filter(unknown)
            {
                let what = format!("`{name}` is not a security scheme of the host");
                self.mistakes.at(place, what);
            }
        }
    }
}

/// The names of a path's parameters; nothing where it is no path.
fn template(path: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for segment in path.strip_prefix('/')?.split('/') {
        let mut rest = segment;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            if !is_name(name) || !before.chars().all(is_plain) {
                return None;
            }
            names.push(name);
            rest = after;
        }
        if !rest.chars().all(is_plain) || [".", ".."].contains(&segment) {
            return None;
        }
    }
    Some(names)
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~%".contains(character)
}

/// The path without the names in its braces.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        inside = (inside || character == '{') && character != '}';
        if !inside {
            shape.push(character);
        }
    }
    shape
}

fn is_status(status: &str) -> bool {
    match status.as_bytes() {
        [b'1'..=b'5', b'X', b'X'] => true,
        [b'1'..=b'5', tens, ones] => tens.is_ascii_digit() && ones.is_ascii_digit(),
        _ => status == "default",
    }
}
