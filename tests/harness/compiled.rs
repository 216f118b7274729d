//! Compiled plugins that tests hand on to each other. Half of what a host does at its
//! first start is to compile, and a true copy is as good: it is believed only with the
//! MAC of a root secret, so those who share it have the same one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::host::target;

/// The root secret of every host that a test gives no other one.
pub const SECRET: &str = "1 5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e\n";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn store() -> PathBuf {
    target().join("tmp/compiled")
}

/// The store's files of these plugins, before a host's first start.
pub fn fetch(data_dir: &Path, plugins: &[PathBuf]) {
    let own = data_dir.join("aot");
    std::fs::create_dir_all(&own).unwrap();
    let digests: Vec<String> = plugins.iter().filter_map(|file| digest(file)).collect();
    for file in files(&store()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if digests.iter().any(|digest| name.starts_with(digest)) {
            // A copy, for some tests damage theirs. Whoever cleans up may be quicker.
            let _ = std::fs::copy(&file, own.join(name));
        }
    }
}

/// Adds what a host has compiled. Others may do the same: each file appears whole.
pub fn keep(data_dir: &Path) {
    std::fs::create_dir_all(store()).unwrap();
    for file in files(&data_dir.join("aot")) {
        let place = store().join(file.file_name().unwrap());
        if !place.exists() {
            let copy = tempfile::NamedTempFile::new_in(store()).unwrap();
            std::fs::copy(&file, copy.path()).unwrap();
            copy.persist(place).unwrap();
            forget_old();
        }
    }
}

/// Every build of a plugin leaves one.
fn forget_old() {
    for file in files(&store()) {
        let age = file.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > DAY) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// What a compiled file's name begins with; `None` for a plugin that is no file, which
/// is for the host to say.
fn digest(plugin: &Path) -> Option<String> {
    let bytes = std::fs::read(plugin).ok()?;
    Some(hex::encode(Sha256::digest(bytes)))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "aot"))
        .collect()
}
