//! Who may read what the host and its commands write.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hearth::backend::dynamodb::{Config, Dynamo};
use hearth::embedded::dynamodb::{Embedded, Options};

use crate::harness::host::{Host, Setup, binary, guest};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything below a folder, except what is Postgres's own.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("postgres/data") {
            all.extend(below(&path));
        }
        all.push(path);
    }
    all
}

/// What a host writes that begins with nothing and serves a demo.
fn bare() -> Host {
    Setup::new()
        .bare()
        .guest("documents", &["documents"], "")
        .arg("--demo")
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_host_writes_is_for_its_user_alone() {
    let host = bare();
    let data = host.data_dir();
    let all = below(&data);
    for expected in [
        "secret",
        "admin-token",
        "demo-key",
        "aot",
        "dynamodb/lock",
        "dynamodb/dynamodb.sqlite",
        "dynamodb/dynamodb.sqlite-wal",
        "dynamodb/dynamodb.sqlite-shm",
        "postgres/lock",
        "postgres/postgres.log",
        "postgres/socket-folder",
        "postgres/data",
    ] {
        assert!(all.contains(&data.join(expected)), "{expected}: {all:?}");
    }
    assert!(
        all.iter()
            .any(|path| path.extension().is_some_and(|end| end == "aot")),
        "{all:?}"
    );
    for path in all.iter().chain([&data]) {
        // Where root cannot have a user namespace, the user that Postgres runs as may
        // walk through, and nobody beside it.
        let walked = path == &data || path == &data.join("postgres");
        let open = if walked { 0o067 } else { 0o077 };
        assert_eq!(mode(path) & open, 0, "{path:?} has {:o}", mode(path));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_open_is_closed_when_the_host_starts() {
    let mut host = bare();
    host.stop();
    let data = host.data_dir();
    let folders = ["", "aot", "dynamodb", "postgres"].map(|name| data.join(name));
    let files = ["dynamodb/dynamodb.sqlite", "dynamodb/lock", "postgres/lock"];
    let files = files.map(|name| data.join(name));
    for folder in &folders {
        set(folder, 0o755);
    }
    for file in &files {
        set(file, 0o644);
    }
    host.restart();
    for folder in &folders {
        assert_eq!(mode(folder) & 0o067, 0, "{folder:?}");
    }
    for file in &files {
        assert_eq!(mode(file), 0o600, "{file:?}");
    }
    let log = host.log();
    assert!(log.contains("open to other users (mode 0755)"), "{log}");
}

#[test]
fn open_data_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
    set(folder.path(), 0o755);
    let path = folder.path().to_str().unwrap();
    let refused = Setup::new().env("HEARTH_DATA_DIR", path).refused();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains(path), "{told}");
    assert!(told.contains("belongs to another user"), "{told}");
    assert!(told.contains("chmod 700"), "{told}");
    assert!(below(folder.path()).is_empty());
}

#[tokio::test]
async fn log_of_an_open_database_is_closed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["", "-wal", "-shm"];
    let files = files.map(|suffix| folder.path().join(format!("dynamodb.sqlite{suffix}")));
    let start = async || {
        let private = Embedded::start(folder.path(), Options::default()).await;
        let private = private.unwrap();
        let way = private.connector().http_client();
        let dynamo = Dynamo::open(&Config::default(), Some(way)).await;
        dynamo.prepare().await.unwrap();
        private
    };
    let private = start().await;
    for file in &files {
        assert_eq!(mode(file), 0o600, "{file:?}");
    }
    // As a host leaves them that is killed.
    let copies = files.each_ref().map(|file| fs::read(file).unwrap());
    private.stop().await;
    for (file, copy) in files.iter().zip(copies) {
        fs::write(file, copy).unwrap();
        set(file, 0o644);
    }
    let _private = start().await;
    for file in &files {
        assert_eq!(mode(file), 0o600, "{file:?}");
    }
}

#[test]
fn packed_plugin_has_the_mode_that_the_umask_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/echo.toml");
    for (umask, expected) in [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)] {
        let out = folder.path().join(format!("{umask:o}.wasm"));
        let mut pack = Command::new(binary());
        pack.args(["pack", "--manifest", manifest, "--component"])
            .arg(guest("echo"))
            .arg("--out")
            .arg(&out);
        // SAFETY: umask(2) touches no memory.
        unsafe {
            pack.pre_exec(move || {
                libc::umask(umask);
                Ok(())
            });
        }
        let packed = pack.output().unwrap();
        assert!(packed.status.success(), "{packed:?}");
        assert_eq!(mode(&out), expected, "{umask:o}");
        fs::remove_file(&out).unwrap();
    }
}
