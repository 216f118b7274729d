//! schemathesis, with all of its checks, against what a host's document says.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::{Host, runs};
use super::python::python;

/// What an attack needs beside the host.
pub struct Attack<'a> {
    pub key: &'a str,
    /// The folder of tests whose `hooks.py` says what the schemas cannot.
    pub hooks: &'a str,
    /// Whatever the hooks read of their environment.
    pub told: &'a [(&'a str, String)],
    /// Which part of the document, for example; all of it where there is nothing.
    pub args: &'a [&'a str],
    /// For each operation and phase.
    pub examples_max: usize,
}

/// Runs it, and fails with what it tells, or where it trapped a guest.
pub async fn schemathesis(host: &Host, attack: Attack<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(python("schemathesis"));
    command
        .current_dir(dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HEARTH_KEY", attack.key)
        .env("SCHEMATHESIS_HOOKS", tests(attack.hooks).join("hooks.py"))
        .envs(attack.told.iter().map(|(name, value)| (name, value)))
        .arg("--config-file")
        .arg(tests("openapi").join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", host.url)])
        .args(attack.args)
        .args(["--checks", "all", "--no-color"])
        .args(["--max-examples", &attack.examples_max.to_string()]);
    if runs(1, 0) == 1 {
        // The same requests every time: what a test finds, it finds again.
        command.args(["--seed", "20261124"]);
    }
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let ended = ended.unwrap().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    let erred = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}\n{erred}");
    let trapped = host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", host.log());
}

fn tests(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}
