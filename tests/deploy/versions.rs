//! Further versions of test guests, made of the same components.

use std::path::{Path, PathBuf};

use hearth::plugin::package::{Migration, PackageParts, pack};

use crate::harness::host::guest;

/// What the echo guest calls a path that it has not, and what a patched one does.
pub const FIRST: &str = "Not found";
pub const COMES: &str = "Version 2";

pub const SELF_TEST_FAILS: &str =
    "[self_test]\nmethod = \"GET\"\npath = \"/notes/none\"\nstatus = 200\n";

pub fn written(dir: &Path, bytes: &[u8]) -> PathBuf {
    let file = dir.join("plugin.wasm");
    std::fs::write(&file, bytes).unwrap();
    file
}

fn manifest(name: &str, version: &str) -> String {
    format!("name = \"{name}\"\nversion = \"{version}\"\nmount = \"/{name}\"\nworld = \"plugin\"\n")
}

fn packed(component: &[u8], manifest: String, migrations: Vec<Migration>) -> Vec<u8> {
    let parts = PackageParts {
        manifest,
        migrations,
        openapi: None,
    };
    pack(component, &parts).unwrap()
}

/// The echo guest of that version.
pub fn echo(version: &str) -> Vec<u8> {
    let component = std::fs::read(guest("echo")).unwrap();
    packed(&component, manifest("echo", version), Vec::new())
}

/// The echo guest with other answers.
pub fn echo_titled(version: &str) -> Vec<u8> {
    let mut component = std::fs::read(guest("echo")).unwrap();
    let (old, new) = (FIRST.as_bytes(), COMES.as_bytes());
    let found: Vec<usize> = component
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old)
        .map(|(at, _)| at)
        .collect();
    assert!(!found.is_empty(), "the guest's answers have changed");
    for at in found {
        component[at..at + new.len()].copy_from_slice(new);
    }
    packed(&component, manifest("echo", version), Vec::new())
}

/// The echo guest with a table, two statements on it, and further migrations.
pub fn notes(version: &str, migrations: &[&str], more: &str, grants: &[&str]) -> Vec<u8> {
    let component = std::fs::read(guest("echo")).unwrap();
    let table = "CREATE TABLE note (customer_id text NOT NULL, id text NOT NULL, body text, PRIMARY KEY (customer_id, id))";
    let all: Vec<Migration> = std::iter::once(&table)
        .chain(migrations)
        .enumerate()
        .map(|(index, sql)| Migration {
            version: u32::try_from(index).unwrap() + 1,
            name: "step".into(),
            sql: (*sql).into(),
        })
        .collect();
    // The old statements are those of the first version alone.
    let own = match version {
        "0.1.0" => format!(
            "{}{}",
            statement("SELECT body FROM note LIMIT 100", "body"),
            "[[sql.statements]]\ntext = \"INSERT INTO note (id) VALUES ($1)\"\naccess = \"write\"\nparams = [\"text\"]\n"
        ),
        _ => String::new(),
    };
    let manifest = format!(
        "{}grants = {grants:?}\n{own}{more}",
        manifest("notes", version)
    );
    packed(&component, manifest, all)
}

/// A declared statement that reads one column of text.
pub fn statement(text: &str, column: &str) -> String {
    format!(
        "[[sql.statements]]\ntext = \"{text}\"\naccess = \"read\"\ncolumns = [{{ name = \"{column}\", type = \"text\" }}]\n"
    )
}

/// Another guest under the name of a plugin.
pub fn renamed(file: &Path, name: &str) -> Vec<u8> {
    let component = std::fs::read(file).unwrap();
    packed(&component, manifest(name, "0.2.0"), Vec::new())
}

/// The file says that it serves a world whose export it has not. `hearth pack`
/// would refuse to write that, so the text is changed in the packed file.
pub fn worker(file: &[u8]) -> Vec<u8> {
    let (old, new) = (b"world = \"plugin\"", b"world = \"worker\"");
    let mut changed = file.to_vec();
    let at = file.windows(old.len()).position(|window| window == old);
    let at = at.expect("the manifest lies in the file");
    changed[at..at + new.len()].copy_from_slice(new);
    changed
}
