//! Merges the documents of the plugins into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::describe;
use hearth_runtime::plugin::openapi::{Fragment, common};

/// A plugin that serves, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Part {
    pub plugin: Arc<str>,
    /// Empty for a plugin without routes.
    pub mount: Arc<str>,
    /// Whether its routes want no key.
    pub public: bool,
    pub fragment: Arc<Fragment>,
}

/// One document of all parts: what the host adds to each is in [`describe`].
pub fn merge(parts: &[Part]) -> Map<String, Value> {
    let mut document = common();
    let mut info = taken(&mut document, "info");
    info.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    let mut paths = taken(&mut document, "paths");
    paths.values_mut().for_each(describe::host_path);
    let mut components = taken(&mut document, "components");
    let mut answers = taken(&mut components, "responses");
    answers.values_mut().for_each(describe::host_answer);
    components.insert("responses".into(), Value::Object(answers));
    for part in parts {
        add_paths(&mut paths, part);
        add_components(&mut components, &part.fragment);
    }
    document.insert("info".into(), Value::Object(info));
    document.insert("tags".into(), tags(parts));
    document.insert("paths".into(), Value::Object(paths));
    document.insert("webhooks".into(), Value::Object(webhooks(parts)));
    document.insert("components".into(), Value::Object(components));
    document
}

fn taken(document: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match document.remove(name) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn add_paths(paths: &mut Map<String, Value>, part: &Part) {
    for (path, item) in &part.fragment.paths {
        let mut item = item.clone();
        describe::path(&mut item, part);
        paths.insert(path.clone(), item);
    }
}

fn add_components(components: &mut Map<String, Value>, fragment: &Fragment) {
    for (section, members) in &fragment.components {
        let mut all = taken(components, section);
        for (name, component) in members.as_object().into_iter().flatten() {
            let mut component = component.clone();
            if section == "responses" {
                describe::response(&mut component);
            }
            all.insert(name.clone(), component);
        }
        components.insert(section.clone(), Value::Object(all));
    }
}

/// Webhooks keep the names that receivers see, unless two plugins have one.
fn webhooks(parts: &[Part]) -> Map<String, Value> {
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for name in parts.iter().flat_map(|part| part.fragment.webhooks.keys()) {
        *users.entry(name).or_default() += 1;
    }
    let mut all = Map::new();
    for part in parts {
        for (name, item) in &part.fragment.webhooks {
            let shared = users.get(name.as_str()).is_some_and(|users| *users > 1);
            let name = match shared {
                true => format!("{}.{name}", part.plugin),
                false => name.clone(),
            };
            let mut item = item.clone();
            describe::webhook(&mut item, part);
            all.insert(name, item);
        }
    }
    all
}

/// One tag for each plugin that has routes or webhooks, and one for the host.
fn tags(parts: &[Part]) -> Value {
    let mut all: Vec<Value> = parts.iter().filter_map(tag).collect();
    all.push(json!({
        "name": describe::HOST,
        "x-displayName": "The host",
        "description": "Paths of the host itself, which need no key.",
    }));
    Value::Array(all)
}

/// A plugin that says nothing of itself is listed all the same.
fn tag(part: &Part) -> Option<Value> {
    let Fragment {
        title, description, ..
    } = &*part.fragment;
    let is_silent = part.fragment.paths.is_empty() && part.fragment.webhooks.is_empty();
    let description = match is_silent {
        true if part.mount.is_empty() => return None,
        true => Some(format!(
            "This plugin has no OpenAPI document. It answers at `{}`.",
            part.mount
        )),
        false => description.clone(),
    };
    let mut tag = Map::from_iter([("name".to_string(), json!(&*part.plugin))]);
    for (name, text) in [("x-displayName", title), ("description", &description)] {
        tag.extend(text.iter().map(|text| (name.to_string(), json!(text))));
    }
    Some(Value::Object(tag))
}
