//! What changes between two packed plugins, computed from what they say about
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;
use serde_json::Value;

use hearth_runtime::capability::sql::gate::{Definition, definitions};
use hearth_runtime::capability::sql::statement::{AccessMode, Declared, Type};
use hearth_runtime::capability::sql::{Outlook, Scan};
use hearth_runtime::plugin::limits::LimitOverrides;
use hearth_runtime::plugin::manifest::Manifest;
use hearth_runtime::plugin::package::{Migration, Package};

/// The methods that a path of an OpenAPI document may have.
const METHODS: [&str; 8] = [
    "get", "head", "post", "put", "patch", "delete", "options", "trace",
];

/// What changes from an old version of a plugin to a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Both files are the same, byte for byte.
    pub same: bool,
    /// Name, version, mount, world, whether it is public, the self-test.
    pub manifest: Vec<Change>,
    pub grants: Named,
    /// SQL functions that it wants approved; changed is one with another body.
    pub functions: Named,
    /// The bodies of those that came or changed.
    pub bodies: Vec<Definition>,
    /// Tables whose rows every customer sees.
    pub shared_tables: Named,
    pub limits: Vec<Change>,
    pub instances: Vec<Change>,
    /// Queues that it consumes, with how.
    pub queues: Named,
    /// Messages that the host sends for it by the clock, with when and where to.
    pub schedules: Named,
    /// By method and path; changed is one that is described in another way.
    pub routes: Named,
    pub statements: Statements,
    /// Statements that read all rows of a customer, as far as a host was asked.
    pub scans: Scans,
    pub migrations: Migrations,
    pub bytes: Option<Change>,
    pub digest: Option<Change>,
}

/// A value that changes. Absent is what the manifest leaves to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: &'static str,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What came, went or became other, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

/// Statements; two are the same one if their texts are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statements {
    pub added: Vec<Statement>,
    pub removed: Vec<Statement>,
    pub changed: Vec<Retyped>,
}

/// A statement as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The first line of its text.
    pub line: String,
    pub access: &'static str,
}

/// What a host says of the plans of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scans {
    /// With their plans, for they want approval.
    pub added: Vec<Scan>,
    pub removed: Vec<String>,
    /// Those whose tables or columns are yet to be made.
    pub unjudged: Vec<String>,
}

impl Scans {
    pub fn between(old: Outlook, new: Outlook) -> Scans {
        let absent = |one: &Scan, there: &[Scan]| {
            let same = |other: &Scan| other.approval == one.approval;
            !there.iter().any(same)
        };
        let (before, mut added) = (old.scans, new.scans);
        let removed = before.iter().filter(|one| absent(one, &added));
        let removed = removed.map(|one| one.approval.clone()).collect();
        added.retain(|one| absent(one, &before));
        Scans {
            added,
            removed,
            unjudged: new.unjudged,
        }
    }
}

/// A statement whose text stays and whose types do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retyped {
    pub line: String,
    pub changes: Vec<Change>,
}

/// Migrations, by version and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migrations {
    pub added: Vec<String>,
    /// No longer in the file. What they did stays in the database.
    pub removed: Vec<String>,
    /// Another text under the same number: where the old one has run, a deploy
    /// refuses it.
    pub changed: Vec<String>,
}

/// Compares two plugins.
pub fn diff(old: &Package, new: &Package) -> Diff {
    let (a, b) = (&old.manifest, &new.manifest);
    let grants = |manifest: &Manifest| texts(manifest.grants.iter());
    let (had, has) = (functions(old), functions(new));
    let news = |(name, body): &(&String, &Option<Definition>)| had.get(*name) != Some(body);
    Diff {
        same: old.digest == new.digest,
        manifest: changes(&described(a), &described(b)),
        grants: named(&grants(a), &grants(b)),
        functions: named(&had, &has),
        bodies: has
            .iter()
            .filter(news)
            .filter_map(|(_, body)| body.clone())
            .collect(),
        shared_tables: named(&texts(&a.sql.shared), &texts(&b.sql.shared)),
        limits: changes(&limits(&a.limits), &limits(&b.limits)),
        instances: changes(&instances(a), &instances(b)),
        queues: named(&texts(&a.queues), &texts(&b.queues)),
        schedules: named(&texts(&a.schedules), &texts(&b.schedules)),
        routes: named(&routes(old), &routes(new)),
        statements: statements(&old.statements, &new.statements),
        scans: Scans::default(),
        migrations: migrations(&old.migrations, &new.migrations),
        bytes: change("bytes", &old.component.len(), &new.component.len()),
        digest: change("digest", &old.digest, &new.digest),
    }
}

/// A name and a value, where there is one.
pub type Row = (&'static str, Option<String>);

fn changes(old: &[Row], new: &[Row]) -> Vec<Change> {
    let pairs = old.iter().zip(new).filter(|(old, new)| old != new);
    let change = |(old, new): (&Row, &Row)| Change {
        name: old.0,
        before: old.1.clone(),
        after: new.1.clone(),
    };
    pairs.map(change).collect()
}

fn change(name: &'static str, old: &dyn Display, new: &dyn Display) -> Option<Change> {
    let (before, after) = (old.to_string(), new.to_string());
    (before != after).then_some(Change {
        name,
        before: Some(before),
        after: Some(after),
    })
}

/// What the manifest says of the whole.
pub fn described(manifest: &Manifest) -> Vec<Row> {
    let test = manifest.self_test.as_ref();
    let test = test.map(|test| format!("{} {} is {}", test.method, test.path, test.status));
    vec![
        ("name", Some(manifest.name.clone())),
        ("version", Some(manifest.version.to_string())),
        ("mount", Some(manifest.mount.clone())),
        ("world", Some(manifest.world.name().to_owned())),
        ("public", Some(manifest.public.to_string())),
        ("self_test", test),
    ]
}

/// The limits that the manifest asks for.
pub fn limits(limits: &LimitOverrides) -> Vec<Row> {
    // Taken apart, so that a new limit cannot be forgotten here.
    let LimitOverrides {
        memory_bytes_max,
        cpu_ms_max,
        wall_ms_max,
        body_bytes_max,
        response_bytes_max,
        in_flight_max,
        waiting_max,
        wait_ms_max,
        host_calls_max,
    } = limits;
    let size = |value: &Option<usize>| value.map(|value| value.to_string());
    let count = |value: &Option<u64>| value.map(|value| value.to_string());
    vec![
        ("memory_bytes_max", size(memory_bytes_max)),
        ("cpu_ms_max", count(cpu_ms_max)),
        ("wall_ms_max", count(wall_ms_max)),
        ("body_bytes_max", size(body_bytes_max)),
        ("response_bytes_max", size(response_bytes_max)),
        ("in_flight_max", size(in_flight_max)),
        ("waiting_max", size(waiting_max)),
        ("wait_ms_max", count(wait_ms_max)),
        ("host_calls_max", count(host_calls_max)),
    ]
}

/// How its instances are used.
pub fn instances(manifest: &Manifest) -> Vec<Row> {
    let instances = &manifest.instances;
    let count = |value: u64| Some(value.to_string());
    vec![
        ("reuse", Some(instances.reuse.name().to_owned())),
        ("uses_max", count(instances.uses_max)),
        ("age_ms_max", count(instances.age_ms_max)),
        ("warm_instances_min", count(instances.warm_instances_min)),
    ]
}

/// The functions that a manifest asks for. Those of Postgres have no body here.
fn functions(package: &Package) -> BTreeMap<String, Option<Definition>> {
    let defined = definitions(package.migrations.iter().map(|one| one.sql.as_str()));
    let body = |name: &String| defined.iter().find(|one| one.name == *name).cloned();
    let asked = package.manifest.sql.functions.iter();
    asked.map(|name| (name.clone(), body(name))).collect()
}

/// Names that have no content to differ in.
fn texts<T: Display>(names: impl IntoIterator<Item = T>) -> BTreeMap<String, ()> {
    names
        .into_iter()
        .map(|name| (name.to_string(), ()))
        .collect()
}

fn named<V: PartialEq>(old: &BTreeMap<String, V>, new: &BTreeMap<String, V>) -> Named {
    let absent = |here: &BTreeMap<String, V>, there: &BTreeMap<String, V>| {
        let names = here.keys().filter(|name| !there.contains_key(*name));
        names.cloned().collect()
    };
    let other = |(name, value): &(&String, &V)| old.get(*name).is_some_and(|old| old != *value);
    Named {
        added: absent(new, old),
        removed: absent(old, new),
        changed: new
            .iter()
            .filter(other)
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

/// Method and path of each operation, and how it is described.
fn routes(package: &Package) -> BTreeMap<String, Value> {
    let text = package.openapi.as_deref().unwrap_or("{}");
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let mut routes = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let name = format!("{} {path}", method.to_ascii_uppercase());
                // What a path says of all its operations belongs to each.
                let shared = item.get("parameters").cloned().unwrap_or_default();
                routes.insert(name, Value::Array(vec![operation.clone(), shared]));
            }
        }
    }
    routes
}

fn statements(old: &[Declared], new: &[Declared]) -> Statements {
    let by_text = |list: &'_ [Declared]| -> BTreeMap<String, Declared> {
        let pairs = list.iter().map(|one| (one.text.clone(), one.clone()));
        pairs.collect()
    };
    let (before, after) = (by_text(old), by_text(new));
    let absent = |list: &[Declared], there: &BTreeMap<String, Declared>| {
        let gone = list.iter().filter(|one| !there.contains_key(&one.text));
        gone.map(shown).collect()
    };
    let changed = new.iter().filter_map(|new| {
        let old = before.get(&new.text)?;
        let changes = changes(&typed(old), &typed(new));
        (!changes.is_empty()).then(|| Retyped {
            line: first_line(&new.text),
            changes,
        })
    });
    Statements {
        changed: changed.collect(),
        added: absent(new, &before),
        removed: absent(old, &after),
    }
}

fn shown(declared: &Declared) -> Statement {
    Statement {
        line: first_line(&declared.text),
        access: access(declared.access),
    }
}

/// The word for it.
pub fn access(access: AccessMode) -> &'static str {
    match access {
        AccessMode::Read => "read",
        AccessMode::Write => "write",
    }
}

/// What a statement says of itself beside its text.
pub fn typed(declared: &Declared) -> Vec<Row> {
    let params: Vec<&str> = declared.params.iter().copied().map(Type::name).collect();
    let columns: Vec<String> = declared
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { " or null" } else { "" };
            format!("{} {}{null}", column.name, column.kind.name())
        })
        .collect();
    vec![
        ("access", Some(access(declared.access).to_owned())),
        ("parameters", Some(params.join(", "))),
        ("columns", Some(columns.join(", "))),
    ]
}

/// The first line that says something.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().unwrap_or_default().to_owned()
}

/// A migration as its file is called.
pub fn file(migration: &Migration) -> String {
    format!("{:04}_{}", migration.version, migration.name)
}

fn migrations(old: &[Migration], new: &[Migration]) -> Migrations {
    let versions = |list: &[Migration]| -> BTreeSet<u32> {
        list.iter().map(|migration| migration.version).collect()
    };
    let absent = |list: &[Migration], there: &BTreeSet<u32>| {
        let gone = list.iter().filter(|one| !there.contains(&one.version));
        gone.map(file).collect()
    };
    let text = |version: u32| old.iter().find(|migration| migration.version == version);
    let other = |new: &&Migration| text(new.version).is_some_and(|old| old.sql != new.sql);
    Migrations {
        added: absent(new, &versions(old)),
        removed: absent(old, &versions(new)),
        changed: new.iter().filter(other).map(file).collect(),
    }
}
