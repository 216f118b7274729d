//! `hearth new`, `hearth build` and `hearth inspect`: from nothing to a plugin that answers,
//! by the commands alone that each one names as the next.

mod dev;
mod inspect;
mod mistakes;
mod projects;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::host::{binary, target};

/// The checkout that is tested.
fn checkout() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_path_buf()
}

/// A program in a folder, which builds offline and where everything else is built.
fn program(name: impl AsRef<std::ffi::OsStr>, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(name);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_")) {
        command.env_remove(name);
    }
    command
        .args(args)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What the command told on standard output.
#[track_caller]
fn done(folder: &Path, args: &[&str]) -> String {
    let output = program(binary(), folder, args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its exit code and what it told on standard error.
#[track_caller]
fn refused(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = program(binary(), folder, args);
    assert!(output.stdout.is_empty(), "{args:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), told)
}

/// The words of the command that stands behind a line which says when it is next.
#[track_caller]
fn next<'t>(told: &'t str, when: &str) -> Vec<&'t str> {
    let mut lines = told.lines().skip_while(|line| !line.starts_with(when));
    let command = lines.nth(1).unwrap_or_else(|| panic!("{told}"));
    let command = command
        .strip_prefix("  hearth ")
        .unwrap_or_else(|| panic!("{told}"));
    command.split(' ').collect()
}

/// The project's own test, natively.
#[track_caller]
fn test_natively(project: &Path) {
    let output = program("cargo", project, &["test", "--release", "--quiet"]);
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("test result: ok. 2 passed") || told.contains("ok. 3 passed"),
        "{told}"
    );
}
