//! What an author is told who does something wrong: what it is, where, and what to do.

use std::fs;
use std::path::Path;

use hearth::cli::build::{Machine, Toolchain};
use tempfile::TempDir;

use super::{checkout, done, refused};
use crate::harness::host::guest;

/// A folder with a project `name` whose SDK is the checkout's.
fn project(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sdk = checkout().join("plugins/sdk").display().to_string();
    done(folder.path(), &["new", name, "--sdk", &sdk]);
    folder
}

/// Puts something else in the place of a text that is there.
#[track_caller]
fn change(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(file, text.replace(old, new)).unwrap();
}

#[track_caller]
fn contains(told: &str, texts: &[&str]) {
    for text in texts {
        assert!(told.contains(text), "{text} is missing: {told}");
    }
}

#[test]
fn wrong_name_is_told_with_the_rule_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let long = "a".repeat(33);
    for name in ["Notes", "9a", "a_b", "../x", "", &long] {
        let (code, told) = refused(folder.path(), &["new", name]);
        assert_eq!(code, 64, "{told}");
        contains(
            &told,
            &[
                &format!("`{name}` is not a valid plugin name"),
                "lower-case letters, digits and `-`",
            ],
        );
    }
    let (_, told) = refused(folder.path(), &["new", "hearth-plugin"]);
    contains(&told, &["the SDK's own"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn folder_that_is_taken_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "").unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for name in ["taken", "file"] {
        let (code, told) = refused(folder.path(), &["new", name]);
        assert_eq!(code, 64, "{told}");
        contains(
            &told,
            &[&format!("{name} already exists"), "choose another name"],
        );
    }
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
    fs::create_dir(folder.path().join("empty")).unwrap();
    done(folder.path(), &["new", "empty"]);
}

#[test]
fn unknown_template_is_told_with_those_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = refused(folder.path(), &["new", "a", "--template", "cron"]);
    assert_eq!(code, 64, "{told}");
    contains(&told, &["cron", "http, worker, full"]);
}

#[test]
fn folder_without_the_sdk_is_told_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = refused(folder.path(), &["new", "a", "--sdk", "nowhere"]);
    assert_eq!(code, 64, "{told}");
    contains(&told, &["nowhere", "plugins/sdk of a checkout"]);
    assert!(!folder.path().join("a").exists());
}

#[test]
fn folder_that_is_no_plugin_is_told_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = refused(folder.path(), &["build"]);
    assert_eq!(code, 64, "{told}");
    contains(&told, &["./Cargo.toml was not found", "`hearth new NAME`"]);
    fs::write(folder.path().join("Cargo.toml"), "").unwrap();
    let (code, told) = refused(folder.path(), &["build"]);
    assert_eq!(code, 64, "{told}");
    contains(&told, &["./plugin.toml was not found", "`hearth new NAME`"]);
}

#[test]
fn mistakes_in_the_manifest_are_told_once_with_file_and_line() {
    let folder = project("a");
    let manifest = folder.path().join("a/plugin.toml");
    change(&manifest, "grants = [\"sql\"]", "grants = [\"sqll\"]");
    change(&manifest, "status = 200", "status = \"fine\"");
    let (code, told) = refused(folder.path(), &["build", "a"]);
    assert_eq!(code, 1, "{told}");
    let text = fs::read_to_string(&manifest).unwrap();
    let line = |of: &str| 1 + text.lines().position(|line| line.starts_with(of)).unwrap();
    contains(
        &told,
        &[
            &format!(
                "a/plugin.toml:{}: `grants`: `sqll` is unknown",
                line("grants")
            ),
            &format!(
                "a/plugin.toml:{}: `self_test.status` must be",
                line("status")
            ),
        ],
    );
    assert_eq!(told.matches("sqll").count(), 1, "{told}");
}

#[test]
fn files_that_the_manifest_names_and_that_are_not_there_are_told_with_its_line() {
    let folder = project("a");
    let manifest = folder.path().join("a/plugin.toml");
    fs::rename(
        folder.path().join("a/migrations"),
        folder.path().join("a/sql"),
    )
    .unwrap();
    let (_, told) = refused(folder.path(), &["build", "a"]);
    contains(
        &told,
        &[
            "a/plugin.toml:",
            "`migrations` names a/migrations, which cannot be read",
        ],
    );
    change(
        &manifest,
        "migrations = \"migrations\"",
        "migrations = \"sql\"",
    );
    change(&manifest, "grants =", "openapi = \"api.json\"\ngrants =");
    let (_, told) = refused(folder.path(), &["build", "a"]);
    contains(
        &told,
        &[
            "a/plugin.toml:",
            "`openapi` names a/api.json, which cannot be read",
        ],
    );
}

#[test]
fn crate_that_makes_no_component_is_told_how_it_does() {
    let folder = project("a");
    let cargo = folder.path().join("a/Cargo.toml");
    change(&cargo, "crate-type = [\"cdylib\"]", "");
    let (_, told) = refused(folder.path(), &["build", "a"]);
    contains(
        &told,
        &[
            "a/Cargo.toml does not build a component",
            "`crate-type = [\"cdylib\"]`",
        ],
    );
    fs::write(&cargo, "[workspace]\nmembers = []\n").unwrap();
    let (_, told) = refused(folder.path(), &["build", "a"]);
    contains(
        &told,
        &["is a workspace, not a crate", "one of its members"],
    );
    // What cargo says of the file passes through.
    fs::write(&cargo, "[package\n").unwrap();
    let (_, told) = refused(folder.path(), &["build", "a"]);
    contains(&told, &["unclosed", "cargo cannot read", "a/Cargo.toml"]);
}

#[test]
fn what_rustc_says_passes_through_and_a_missing_grant_is_named() {
    let folder = project("scaffold-mistakes");
    let project = folder.path().join("scaffold-mistakes");
    let code = project.join("src/lib.rs");
    change(&code, "range(1..=100)", "range(\"a\"..=100)");
    let (_, told) = refused(folder.path(), &["build", "scaffold-mistakes"]);
    contains(
        &told,
        &[
            "error[E0308]",
            "src/lib.rs:",
            "cargo failed to build it; the reason is above",
        ],
    );
    change(&code, "range(\"a\"..=100)", "range(1..=100)");
    change(
        &project.join("plugin.toml"),
        "grants = [\"sql\"]",
        "grants = []",
    );
    let (_, told) = refused(folder.path(), &["build", "scaffold-mistakes"]);
    contains(&told, &["it imports sql", "add \"sql\" to `grants`"]);
    assert!(!project.join("target/scaffold-mistakes.wasm").exists());
    // What the gate says of SQL names the statement's function.
    change(
        &project.join("plugin.toml"),
        "grants = []",
        "grants = [\"sql\"]",
    );
    change(
        &code,
        "SELECT id, text, created_at FROM notes ORDER",
        "SELECT id, text FROM FROM notes ORDER",
    );
    let (_, told) = refused(folder.path(), &["build", "scaffold-mistakes"]);
    contains(&told, &["newest", "syntax error"]);
}

#[test]
fn machine_without_the_target_is_told_how_to_have_it() {
    let bare = Machine {
        has_cargo: true,
        has_rustup: true,
        ..Machine::default()
    };
    let told = |machine: &Machine| Toolchain::choose(machine).unwrap_err().to_string();
    contains(
        &told(&bare),
        &[
            "the target wasm32-wasip2 of Rust is not installed",
            "rustup target add wasm32-wasip2",
        ],
    );
    let no_rustup = Machine {
        has_rustup: false,
        ..bare.clone()
    };
    contains(
        &told(&no_rustup),
        &["rustup was not found", "https://rustup.rs"],
    );
    let no_cargo = Machine {
        has_cargo: false,
        ..bare.clone()
    };
    contains(
        &told(&no_cargo),
        &["cargo was not found", "https://rustup.rs"],
    );
    let debian = Machine {
        choice: Some("debian".into()),
        ..bare.clone()
    };
    contains(&told(&debian), &["WASM_TOOLCHAIN=debian needs a checkout"]);
    let odd = Machine {
        choice: Some("nix".into()),
        ..bare.clone()
    };
    contains(&told(&odd), &["WASM_TOOLCHAIN=`nix` is invalid"]);
    // A checkout has its own ways; the machine's is taken where it has one.
    let script = checkout().join("plugins/toolchain/cargo");
    let checkout = Machine {
        script: Some(script.clone()),
        ..debian
    };
    assert_eq!(
        Toolchain::choose(&checkout).unwrap(),
        Toolchain::Script(script)
    );
    let able = Machine {
        has_target: true,
        ..bare
    };
    assert_eq!(Toolchain::choose(&able).unwrap(), Toolchain::Machine);
}

#[test]
fn file_that_is_not_packed_is_told_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.wasm"), "text").unwrap();
    let (code, told) = refused(folder.path(), &["inspect", "text.wasm"]);
    assert_eq!(code, 64, "{told}");
    contains(&told, &["text.wasm: the file is not WebAssembly"]);
    let component = guest("echo")
        .parent()
        .unwrap()
        .join("../wasm32-wasip2/plugin/examples/echo.wasm");
    let (code, told) = refused(
        folder.path(),
        &["inspect", &component.display().to_string()],
    );
    assert_eq!(code, 64, "{told}");
    contains(&told, &["no section hearth:manifest", "`hearth pack`"]);
}
