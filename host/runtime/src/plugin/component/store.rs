//! The folder of compiled components: files that are believed only with their MAC, of
//! which as many are kept as the operator lets be.

use std::collections::HashMap;
use std::fs::{File, FileTimes, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use crate::plugin::package::Digest;
use hearth_base::mode;

const MAGIC: &[u8; 8] = b"HEARTHA1";
const MAC_BYTES: usize = 32;

type HmacSha256 = Hmac<Sha256>;

/// Which component, compiled for which engine.
#[derive(Clone, Copy)]
pub(super) struct CompiledName<'a> {
    pub(super) digest: &'a Digest,
    /// What decides whether compiled code fits an engine.
    pub(super) compatibility: [u8; 8],
}

/// While it is there its file is not deleted.
pub struct FileLease {
    _count: Arc<()>,
}

/// The folder `aot`.
pub(super) struct CompiledFiles {
    dir: PathBuf,
    files_max: usize,
    mac_key: [u8; 32],
    /// The files of what is in memory.
    leased: Mutex<HashMap<PathBuf, Weak<()>>>,
}

impl CompiledFiles {
    pub(super) fn open(
        dir: PathBuf,
        files_max: usize,
        mac_key: [u8; 32],
    ) -> std::io::Result<CompiledFiles> {
        mode::private_folder(&dir).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", dir.display()))
        })?;
        Ok(CompiledFiles {
            dir,
            files_max,
            mac_key,
            leased: Mutex::default(),
        })
    }

    fn path(&self, name: CompiledName<'_>) -> PathBuf {
        self.dir.join(format!(
            "{}-{}.aot",
            hex::encode(name.digest.0),
            hex::encode(name.compatibility)
        ))
    }

    /// What `read` makes of the code of a file that carries our MAC. That is a use.
    pub(super) fn load<T>(
        &self,
        name: CompiledName<'_>,
        read: impl FnOnce(&[u8]) -> wasmtime::Result<T>,
    ) -> Option<T> {
        let path = self.path(name);
        let file = std::fs::read(&path).ok()?;
        let Some(code) = self.verified(&file, name) else {
            tracing::warn!(file = %path.display(), "the MAC of a compiled component is invalid: the component is compiled again");
            return None;
        };
        note_use(&path);
        read(code)
            .inspect_err(|error| tracing::warn!(file = %path.display(), %error, "a compiled component cannot be loaded: it is compiled again"))
            .ok()
    }

    fn verified<'a>(&self, file: &'a [u8], name: CompiledName<'_>) -> Option<&'a [u8]> {
        let rest = file.strip_prefix(MAGIC)?;
        let (mac, code) = rest.split_at_checked(MAC_BYTES)?;
        self.mac(name, code)?.verify_slice(mac).ok()?;
        Some(code)
    }

    fn mac(&self, name: CompiledName<'_>, code: &[u8]) -> Option<HmacSha256> {
        let mut mac = HmacSha256::new_from_slice(&self.mac_key).ok()?;
        mac.update(&name.digest.0);
        mac.update(&name.compatibility);
        mac.update(code);
        Some(mac)
    }

    /// A store that cannot be written costs time at the next start, no more.
    pub(super) fn keep(&self, name: CompiledName<'_>, code: &[u8]) {
        let Some(mac) = self.mac(name, code) else {
            return;
        };
        let (path, tag) = (self.path(name), mac.finalize().into_bytes());
        if let Err(error) = write_whole(&path, &[MAGIC, &tag, code]) {
            tracing::warn!(file = %path.display(), %error, "a compiled component could not be stored");
        }
        self.prune();
    }

    /// No file is deleted while somebody has its lease.
    pub(super) fn lease(&self, name: CompiledName<'_>) -> FileLease {
        let mut leased = self.leased.lock();
        leased.retain(|_, lease| lease.strong_count() > 0);
        let place = leased.entry(self.path(name)).or_default();
        let count = place.upgrade().unwrap_or_default();
        *place = Arc::downgrade(&count);
        FileLease { _count: count }
    }

    /// Deletes what was used longest ago until no more files are there than may be.
    /// What is in memory counts as used now: when the host starts again, before it has
    /// loaded all of it, these are not the first to go.
    fn prune(&self) {
        let leased = self.leased.lock();
        let is_leased = |path: &Path| {
            let lease = leased.get(path);
            lease.is_some_and(|lease| lease.strong_count() > 0)
        };
        let mut files = files(&self.dir);
        let surplus = files.len().saturating_sub(self.files_max);
        files.retain(|(_, path)| match is_leased(path) {
            true => {
                note_use(path);
                false
            }
            false => true,
        });
        files.sort_unstable();
        for (_, path) in files.iter().take(surplus) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The files with the time of their last use.
fn files(dir: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files =
        entries.filter_map(|entry| Some((last_use(&entry.metadata().ok()?)?, entry.path())));
    files.collect()
}

fn last_use(file: &Metadata) -> Option<SystemTime> {
    let modified = file.modified().ok()?;
    let accessed = file.accessed().ok();
    Some(accessed.map_or(modified, |accessed| accessed.max(modified)))
}

/// The time of access is set by hand: many file systems are mounted so that reading does
/// not. That of the last change stays and says when it was compiled.
fn note_use(path: &Path) {
    let times = FileTimes::new().set_accessed(SystemTime::now());
    if let Ok(file) = File::open(path) {
        let _ = file.set_times(times);
    }
}

fn write_whole(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    use std::io::Write;
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
