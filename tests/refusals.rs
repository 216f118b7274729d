//! What a host refuses to start with, and what it says.

use std::path::{Path, PathBuf};
use std::process::Output;

use hearth::plugin::package::{self, PackageParts};

use crate::harness::host::{Setup, guest};

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The echo guest with another manifest, in a file of its own.
fn with_manifest(dir: &Path, manifest: &str) -> PathBuf {
    let component = std::fs::read(guest("echo")).unwrap();
    let file = dir.join("plugin.wasm");
    let parts = PackageParts {
        manifest: manifest.to_string(),
        ..PackageParts::default()
    };
    std::fs::write(&file, package::pack(&component, &parts).unwrap()).unwrap();
    file
}

#[track_caller]
fn refuses(file: &Path, grants: &[&str], reasons: &[&str]) {
    let complaint = complaint(&Setup::new().plugin("bad", file, grants, "").refused());
    assert!(
        complaint.contains("bad"),
        "the plugin is not named: {complaint}"
    );
    for reason in reasons {
        assert!(
            complaint.contains(reason),
            "`{reason}` is missing in: {complaint}"
        );
    }
}

#[test]
fn file_that_is_no_webassembly_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plugin.wasm");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    refuses(&file, &[], &["not WebAssembly"]);
}

#[test]
fn truncated_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plugin.wasm");
    let whole = std::fs::read(guest("echo")).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refuses(&file, &[], &["truncated"]);
}

#[test]
fn missing_file_is_refused_with_its_path() {
    refuses(
        Path::new("/nonexistent/plugin.wasm"),
        &[],
        &["/nonexistent/plugin.wasm"],
    );
}

#[test]
fn statement_that_does_not_prepare_is_refused_with_postgres_message_and_position() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name = \"bad\"\nversion = \"0.1.0\"\nmount = \"/bad\"\nworld = \"plugin\"\ngrants = [\"sql\"]\n\
        [[sql.statements]]\ntext = \"SELECT nothing FROM nowhere\"\naccess = \"read\"\n\
        columns = [{ name = \"nothing\", type = \"text\" }]\n";
    let file = with_manifest(dir.path(), manifest);
    refuses(
        &file,
        &["sql"],
        &["relation \"nowhere\" does not exist", "at byte 20"],
    );
}

#[test]
fn statement_that_calls_set_config_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name = \"bad\"\nversion = \"0.1.0\"\nmount = \"/bad\"\nworld = \"plugin\"\ngrants = [\"sql\"]\n\
        [[sql.statements]]\ntext = \"SELECT set_config('hearth.customer_id', 'x', false) AS was\"\naccess = \"read\"\n\
        columns = [{ name = \"was\", type = \"text\" }]\n";
    let file = with_manifest(dir.path(), manifest);
    refuses(&file, &["sql"], &["set_config"]);
}

#[test]
fn grant_that_the_operator_did_not_give_is_refused_by_name() {
    refuses(&guest("trap"), &[], &["`sql`"]);
}

#[test]
fn every_refused_plugin_is_told_at_once() {
    let output = Setup::new()
        .plugin("first", Path::new("/nonexistent/first.wasm"), &[], "")
        .plugin("second", Path::new("/nonexistent/second.wasm"), &[], "")
        .refused();
    let complaint = complaint(&output);
    assert!(
        complaint.contains("`first`") && complaint.contains("`second`"),
        "{complaint}"
    );
}

#[test]
fn wrong_configuration_ends_with_64_and_every_mistake() {
    let output = Setup::new()
        .config("listen = \"nowhere\"\n[sql]\nrows_max = \"many\"\n[server]\nconections_max = 1\n")
        .refused();
    assert_eq!(output.status.code(), Some(64));
    let complaint = complaint(&output);
    for mistake in [
        "hearth.toml:1",
        "listen",
        "hearth.toml:3",
        "rows_max",
        "hearth.toml:5",
        "connections_max",
    ] {
        assert!(
            complaint.contains(mistake),
            "`{mistake}` is missing in: {complaint}"
        );
    }
}
