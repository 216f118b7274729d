//! Makes the data directory the first time, whole or not at all.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Output, Stdio};

use super::StartError;
use super::binaries::Binaries;
use super::folder::{Folder, NAME};
use super::identity::Identity;

/// C.UTF-8 knows letters beyond ASCII; some systems lack it, and C is always
/// there. Both compare bytes, so an index means the same on every machine.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// It is made under another name and renamed once it is complete: a host that
/// dies in between leaves nothing that looks like a cluster.
pub(super) fn ensure(
    folder: &Folder,
    binaries: &Binaries,
    identity: Identity,
) -> Result<(), StartError> {
    let data = folder.data();
    if data.join("PG_VERSION").is_file() {
        return Ok(());
    }
    let unfinished = folder.unfinished();
    make(&unfinished, binaries, identity)?;
    create_database(&unfinished, binaries, identity)?;
    std::fs::rename(&unfinished, &data).map_err(|source| StartError::Folder { path: data, source })
}

fn make(dir: &Path, binaries: &Binaries, identity: Identity) -> Result<(), StartError> {
    let mut said = String::new();
    for locale in LOCALES {
        clear(dir, identity).map_err(|source| StartError::Folder {
            path: dir.to_owned(),
            source,
        })?;
        let output = identity
            .command(&binaries.initdb())
            .arg("--pgdata")
            .arg(dir)
            .args(["--username", NAME, "--encoding", "UTF8", "--data-checksums"])
            .args(["--locale", locale])
            .args(["--auth-local", "trust", "--auth-host", "reject"])
            .output()
            .map_err(|error| StartError::InitDb(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        said = what_it_said(&output);
    }
    Err(StartError::InitDb(said))
}

/// An empty folder of the right owner.
fn clear(dir: &Path, identity: Identity) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => super::folder::make_private(dir)?,
    }
    identity.give_to_postgres(dir)
}

/// Postgres's single-user mode needs no server and no socket.
fn create_database(dir: &Path, binaries: &Binaries, identity: Identity) -> Result<(), StartError> {
    let failed = |error: io::Error| StartError::InitDb(error.to_string());
    let mut child = identity
        .command(&binaries.postgres())
        .args(["--single", "-j", "-D"])
        .arg(dir)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    tell(&mut child).map_err(failed)?;
    let output = child.wait_with_output().map_err(failed)?;
    let said = what_it_said(&output);
    // In this mode a failed statement is told, and is no failure of the process.
    match output.status.success() && !said.contains("ERROR") && !said.contains("FATAL") {
        true => Ok(()),
        false => Err(StartError::InitDb(said)),
    }
}

fn tell(child: &mut Child) -> io::Result<()> {
    match child.stdin.take() {
        Some(mut input) => writeln!(input, "CREATE DATABASE {NAME};\n"),
        None => Ok(()),
    }
}

fn what_it_said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .rev()
        .take(5)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join("; ")
}
