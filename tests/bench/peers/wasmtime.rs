//! `wasmtime serve`, of the version that Hearth is built with, with a component that
//! answers what the trivial guest answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Peer, fetched};
use crate::harness::host::target;

/// What makes it quickest here: the pooling allocator, whose memories and tables keep
/// their pages between instances, and no prefix to be made for each request's log.
const FLAGS: [&str; 8] = [
    "-O",
    "pooling-allocator=y",
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=65536",
    "-O",
    "memory-init-cow=y",
];

/// Requests to one instance: without end, as far as a benchmark goes.
const REUSES: &str = "1000000000";

fn program() -> PathBuf {
    fetched("wasmtime/bin/wasmtime")
}

/// The component of tests/guests that exports `wasi:http/incoming-handler`.
pub fn component() -> PathBuf {
    let file = target().join("wasm32-wasip2/plugin/examples/served.wasm");
    assert!(
        file.is_file(),
        "{} is missing: run `make bench`",
        file.display()
    );
    file
}

/// Compiles it into a folder, for the same flags.
pub fn compiled(folder: &Path) -> PathBuf {
    let file = folder.join("served.cwasm");
    let mut command = Command::new(program());
    command.arg("compile").args(FLAGS).arg("-o").arg(&file);
    let status = command.arg(component()).status().unwrap();
    assert!(status.success(), "wasmtime compile: {status}");
    file
}

/// Serves what was compiled, in a fresh instance for each request or in one that goes on.
pub fn serve(compiled: &Path, reuse: bool) -> Peer {
    Peer::start(|address| {
        let mut command = Command::new(program());
        command
            .arg("serve")
            .args(FLAGS)
            .args(["--allow-precompiled", "--no-logging-prefix"])
            .args(["--addr", &address.to_string()]);
        if reuse {
            command.args(["--max-instance-reuse-count", REUSES]);
        }
        command.arg(compiled).stderr(std::process::Stdio::null());
        command
    })
}
