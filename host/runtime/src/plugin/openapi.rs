//! A plugin's part of the host's OpenAPI document: what its author wrote, checked,
//! with its paths below the mount and its names made the plugin's own.
//!
//! The part is an OpenAPI 3.1 document of its own (`openapi = "openapi.json"` in the
//! manifest). Its paths begin with the manifest's mount or are relative to it. It
//! may define `paths`, `webhooks` and `components`, and refer to what every plugin
//! shares ([`common`]). Servers and security schemes are the host's.
//!
//! ```
//! use hearth_runtime::plugin::openapi::{Fragment, Whose};
//! let text = r##"{
//!     "openapi": "3.1.0",
//!     "info": {"title": "Notes", "version": "1"},
//!     "paths": {"/notes": {"get": {
//!         "operationId": "listNotes",
//!         "responses": {"200": {"description": "All notes."}}
//!     }}}
//! }"##;
//! let whose = Whose { plugin: "notes", own_mount: "/n", mount: "/team/n" };
//! let part = Fragment::read(text, whose).unwrap();
//! assert_eq!(part.paths["/team/n/notes"]["get"]["operationId"], "notes.listNotes");
//! assert!(Fragment::read("[]", whose).is_err());
//! ```

mod mistakes;
mod operations;
mod references;

use serde_json::{Map, Value};

use mistakes::{DocumentMistakes, Pointer};

/// How many bytes a plugin's part may have. All parts together are kept in memory.
pub const OPENAPI_BYTES_MAX: usize = 1024 * 1024;
/// How many characters a name of a component, a webhook or an operation may have.
const NAME_CHARS_MAX: usize = 64;

/// The sections of `components` that a plugin may have. Security schemes are the
/// host's: it alone checks keys.
const SECTIONS: [&str; 9] = [
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "links",
    "callbacks",
    "pathItems",
];

/// Whose part it is, and where that is served.
#[derive(Clone, Copy, Debug)]
pub struct PartOwner<'w> {
    pub plugin: &'w str,
    /// The mount that the manifest names, which paths may begin with.
    pub own_mount: &'w str,
    /// The mount that the operator decided on.
    pub mount: &'w str,
}

/// A part that can be merged with others: each path begins with the mount, and each
/// operation, component and reference to one begins with the plugin's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
    pub title: Option<String>,
    pub description: Option<String>,
    pub paths: Map<String, Value>,
    /// By the names that the author gave: those are what receivers see.
    pub webhooks: Map<String, Value>,
    /// By section and name.
    pub components: Map<String, Value>,
}

impl Fragment {
    /// Reads a part. Its author is to blame for whatever is refused.
    ///
    /// # Errors
    /// With every mistake, each beginning with a JSON pointer to its place.
    pub fn read(text: &str, whose: PartOwner<'_>) -> Result<Fragment, Vec<String>> {
        let mut document = parse(text).map_err(|mistake| vec![mistake])?;
        let mut mistakes = DocumentMistakes::default();
        check_top(&document, &mut mistakes);
        operations::check(&document, &mut mistakes);
        check_components(&document, &mut mistakes);
        references::make_own(&mut document, whose.plugin, &mut mistakes);
        let paths = mounted(taken(&mut document, "paths"), whose, &mut mistakes);
        mistakes.finish()?;
        let info = taken(&mut document, "info");
        Ok(Fragment {
            title: text_of(&info, "title"),
            description: text_of(&info, "description"),
            paths,
            webhooks: taken(&mut document, "webhooks"),
            components: taken(&mut document, "components"),
        })
    }

    /// Method and path of each operation, for example `get` and `/support/tickets/{id}`.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.paths.iter().flat_map(|(path, item)| {
            let members = item.as_object().into_iter().flat_map(Map::keys);
            let methods = members.filter(|name| operations::METHODS.contains(&name.as_str()));
            methods.map(move |method| (method.as_str(), path.as_str()))
        })
    }
}

/// What every plugin's part may refer to and the host's document begins with: the
/// host's own paths, its security schemes, and the answers that it gives itself.
pub fn common() -> Map<String, Value> {
    // A test reads the file; at run time there is nobody to tell.
    serde_json::from_str(include_str!("openapi/common.json")).unwrap_or_default()
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > OPENAPI_BYTES_MAX {
        return Err(format!(
            "it is too large: {} bytes, and at most {OPENAPI_BYTES_MAX} are allowed \
             (openapi_bytes_max)",
            text.len()
        ));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err("it must be a JSON object".into()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn check_top(document: &Map<String, Value>, mistakes: &mut DocumentMistakes) {
    let version = document.get("openapi").and_then(Value::as_str);
    if !version.is_some_and(|version| version.starts_with("3.1.")) {
        mistakes.at(
            &Pointer::top("openapi"),
            "this must be version 3.1, for example \"3.1.0\"",
        );
    }
    for (name, member) in document {
        let place = Pointer::top(name);
        match name.as_str() {
            "openapi" | "tags" | "security" | "externalDocs" | "jsonSchemaDialect" => {}
            "info" | "paths" | "webhooks" | "components" => {
                mistakes.object(&place, member);
            }
            "servers" => mistakes.at(&place, "this is not allowed: the host adds the servers"),
            name if name.starts_with("x-") => {}
            _ => mistakes.at(&place, "unknown member"),
        }
    }
    let nothing = ["paths", "webhooks"]
        .iter()
        .all(|name| !document.contains_key(*name));
    if nothing {
        mistakes.at(&Pointer::ROOT, "it has neither paths nor webhooks");
    }
}

fn check_components(document: &Map<String, Value>, mistakes: &mut DocumentMistakes) {
    let top = Pointer::top("components");
    let components = document.get("components").and_then(Value::as_object);
    for (section, members) in components.into_iter().flatten() {
        let place = top.under(section);
        if section == "securitySchemes" {
            mistakes.at(
                &place,
                "this is not allowed: the host adds the security schemes",
            );
        } else if !SECTIONS.contains(&section.as_str()) {
            mistakes.at(&place, "unknown section of components");
        }
        for (name, member) in mistakes.object(&place, members).into_iter().flatten() {
            let place = place.under(name);
            if !is_name(name) {
                mistakes.at(&place, NAME_RULE);
            }
            // JSON Schema knows true and false as schemas.
            if !(member.is_object() || section == "schemas" && member.is_boolean()) {
                mistakes.at(&place, "this must be an object");
            }
        }
    }
}

const NAME_RULE: &str = "a name must have 1 to 64 letters, digits, `.`, `-` and `_`";

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(plain)
}

/// The paths below the mount that serves them.
fn mounted(
    paths: Map<String, Value>,
    whose: PartOwner<'_>,
    mistakes: &mut DocumentMistakes,
) -> Map<String, Value> {
    let (mut all, top) = (Map::new(), Pointer::top("paths"));
    for (path, item) in paths {
        let full = [whose.mount, below(&path, whose.own_mount)].concat();
        if all.insert(full, item).is_some() {
            mistakes.at(
                &top.under(&path),
                "this path is given twice, with the mount and without",
            );
        }
    }
    all
}

/// What follows the mount, where the path begins with all of it.
fn below<'p>(path: &'p str, mount: &str) -> &'p str {
    match path.strip_prefix(mount) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    }
}

fn taken(document: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match document.remove(name) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn text_of(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
