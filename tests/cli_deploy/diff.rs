//! What changes between two packed plugins: the function by itself.

use hearth::cli::diff::compare::{Change, Diff, Migrations, Named, Statement, diff};
use hearth::plugin::package::{Migration, Package, PackageParts, pack};
use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
    ComponentTypeSection, InstanceType,
};

pub const OLD: &str = r#"
name = "tickets"
version = "0.1.0"
mount = "/support"
world = "plugin"
grants = ["sql", "log"]
[limits]
cpu_ms_max = 250
[[sql.statements]]
text = "SELECT id FROM ticket"
access = "read"
columns = [{ name = "id", type = "text" }]
[[sql.statements]]
text = "DELETE FROM ticket\nWHERE id = $1"
access = "write"
params = ["text"]
"#;

/// A component that does nothing under an empty handler and an empty consumer.
fn component() -> Vec<u8> {
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    component.section(&types);
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(Vec::<(&str, ComponentExportKind, u32)>::new());
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    let handler = "hearth:plugin/handler@0.1.0";
    exports.export(handler, ComponentExportKind::Instance, 0, None);
    let consumer = "hearth:plugin/consumer@0.1.0";
    exports.export(consumer, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

pub fn packed(manifest: &str, migrations: &[(u32, &str, &str)], openapi: &str) -> Vec<u8> {
    let migration = |(version, name, sql): &(u32, &str, &str)| Migration {
        version: *version,
        name: (*name).into(),
        sql: (*sql).into(),
    };
    let parts = PackageParts {
        manifest: manifest.into(),
        migrations: migrations.iter().map(migration).collect(),
        openapi: Some(openapi.into()),
    };
    pack(&component(), &parts).unwrap()
}

fn package(manifest: &str) -> Package {
    Package::read(packed(manifest, &[], "{}")).unwrap()
}

fn named(added: &[&str], removed: &[&str], changed: &[&str]) -> Named {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Named {
        added: list(added),
        removed: list(removed),
        changed: list(changed),
    }
}

fn change(name: &'static str, before: Option<&str>, after: Option<&str>) -> Change {
    Change {
        name,
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

#[test]
fn a_plugin_does_not_differ_from_itself() {
    let same = diff(&package(OLD), &package(OLD));
    assert_eq!(
        same,
        Diff {
            same: true,
            ..Diff::default()
        }
    );
}

#[test]
fn a_manifest_that_asks_for_more_shows_it() {
    let new = OLD
        .replace("0.1.0", "0.2.0")
        .replace("\"/support\"", "\"/help\"\npublic = true")
        .replace("\"log\"", "\"queue:mail\", \"cache\"")
        .replace(
            "cpu_ms_max = 250",
            "cpu_ms_max = 500\nwall_ms_max = 900\n[instances]\nreuse = \"serial\"\n[self_test]\n\
             method = \"GET\"\npath = \"/help/x\"\nstatus = 204\n[sql]\nshared = [\"country\"]\n\
             functions = [\"lower_title\"]",
        );
    let diff = diff(&package(OLD), &package(&new));
    assert!(!diff.same);
    assert_eq!(
        diff.manifest,
        [
            change("version", Some("0.1.0"), Some("0.2.0")),
            change("mount", Some("/support"), Some("/help")),
            change("public", Some("false"), Some("true")),
            change("self_test", None, Some("GET /help/x is 204")),
        ]
    );
    assert_eq!(diff.grants, named(&["cache", "queue:mail"], &["log"], &[]));
    assert_eq!(diff.functions, named(&["lower_title"], &[], &[]));
    assert_eq!(diff.shared_tables, named(&["country"], &[], &[]));
    assert_eq!(
        diff.limits,
        [
            change("cpu_ms_max", Some("250"), Some("500")),
            change("wall_ms_max", None, Some("900")),
        ]
    );
    assert_eq!(
        diff.instances,
        [change("reuse", Some("fresh"), Some("serial"))]
    );
    assert_eq!(diff.statements, Default::default());
    assert!(diff.bytes.is_some() && diff.digest.is_some());
}

#[test]
fn statements_are_told_by_their_first_line_and_their_types() {
    let new = OLD
        .replace("type = \"text\" }", "type = \"uuid\", nullable = true }")
        .replace("DELETE FROM ticket\\n", "\\n  UPDATE ticket SET a = 1\\n");
    let diff = diff(&package(OLD), &package(&new)).statements;
    let write = |line: &str| Statement {
        line: line.into(),
        access: "write",
    };
    assert_eq!(diff.added, [write("UPDATE ticket SET a = 1")]);
    assert_eq!(diff.removed, [write("DELETE FROM ticket")]);
    assert_eq!(diff.changed.len(), 1);
    assert_eq!(diff.changed[0].line, "SELECT id FROM ticket");
    assert_eq!(
        diff.changed[0].changes,
        [change("columns", Some("id text"), Some("id uuid or null"))]
    );
}

#[test]
fn migrations_that_changed_are_told_apart_from_new_ones() {
    let of =
        |migrations: &[(u32, &str, &str)]| Package::read(packed(OLD, migrations, "{}")).unwrap();
    let old = of(&[(1, "make", "A"), (2, "add", "B"), (3, "end", "C")]);
    let new = of(&[(1, "make", "A"), (2, "add", "B2"), (4, "more", "D")]);
    assert_eq!(
        diff(&old, &new).migrations,
        Migrations {
            added: vec!["0004_more".into()],
            removed: vec!["0003_end".into()],
            changed: vec!["0002_add".into()],
        }
    );
}

#[test]
fn routes_are_compared_by_method_and_path() {
    let of = |openapi: &str| Package::read(packed(OLD, &[], openapi)).unwrap();
    let old =
        of(r#"{"paths":{"/a":{"get":{},"post":{"x":1},"summary":"no method"},"/b":{"get":{}}}}"#);
    let new = of(r#"{"paths":{"/a":{"get":{},"post":{"x":2}},"/c":{"delete":{}}}}"#);
    let wanted = named(&["DELETE /c"], &["GET /b"], &["POST /a"]);
    assert_eq!(diff(&old, &new).routes, wanted);
    // Any JSON object is a document; one without paths has no routes.
    for odd in [r#"{"paths":3}"#, r#"{"paths":{"/a":[]}}"#, "{}"] {
        assert_eq!(diff(&of(odd), &of(odd)).routes, Named::default());
        assert_eq!(diff(&of("{}"), &of(odd)).routes, Named::default());
    }
}

#[test]
fn queues_and_schedules_differ_in_what_they_say() {
    let full = OLD.replace("world = \"plugin\"", "world = \"full\"");
    let queue = |more: &str| format!("[[queues]]\nname = \"letters\"\n{more}\n");
    let schedule = |cron: &str| {
        format!(
            "[[schedule]]\nname = \"x\"\ncron = \"{cron}\"\nqueue = \"letters\"\nfor = \"none\"\n"
        )
    };
    let old = package(&[full.clone(), queue(""), schedule("@daily")].concat());
    let new = package(&[full, queue("batch = 3"), schedule("@hourly")].concat());
    let changed = diff(&old, &new);
    let letters = |batch| {
        format!(
            "letters: batches of {batch}, 4 at once, 5 attempts, 1000 to 300000 ms between them"
        )
    };
    assert_eq!(changed.queues, named(&[&letters(3)], &[&letters(10)], &[]));
    let sends = |cron| format!("x: {cron} UTC to letters, for none: {{}}");
    assert_eq!(
        changed.schedules,
        named(&[&sends("@hourly")], &[&sends("@daily")], &[])
    );
    assert_eq!(changed.grants, Named::default());
}
