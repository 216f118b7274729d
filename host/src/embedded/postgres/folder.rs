//! The cluster's folder: who owns it, where its parts are, where its socket is.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

use super::StartError;
use hearth_base::mode;

/// Superuser and database of the cluster.
pub(super) const NAME: &str = "hearth";
pub(super) const PORT: &str = "5432";

/// A socket's path may have 107 bytes, of which `/.s.PGSQL.5432` are 14.
const SOCKET_FOLDER_BYTES_MAX: usize = 107 - 14;
/// A command that looks whether a host runs holds the lock for an instant.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// The folder of one cluster, owned by this process until dropped.
pub(super) struct Folder {
    dir: PathBuf,
    pub(super) socket: PathBuf,
    /// Held for its lock, which the kernel gives back when we die.
    _lock: File,
}

impl Folder {
    /// Makes the folder and its lock file, and takes the lock.
    pub(super) fn claim(dir: &Path) -> Result<Folder, StartError> {
        let failed = |source| StartError::Folder {
            path: dir.to_owned(),
            source,
        };
        mode::private_folder(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let lock = take_lock(&dir)?;
        let socket = socket_folder(&dir)?;
        write_private(&dir.join("socket-folder"), socket.as_os_str().as_bytes()).map_err(failed)?;
        Ok(Folder {
            dir,
            socket,
            _lock: lock,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.dir
    }

    /// Postgres's own data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where a data directory is made, to be renamed once it is whole.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.dir.join("data.unfinished")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub(super) fn url(&self) -> String {
        url(self.socket.as_os_str().as_bytes())
    }
}

impl Drop for Folder {
    /// What lies outside of the cluster's folder is not left behind.
    fn drop(&mut self) {
        if !self.socket.starts_with(&self.dir) {
            let _ = std::fs::remove_dir(&self.socket);
        }
    }
}

/// Where the host that serves from `dir` can be reached, if one does.
pub fn running_url(dir: &Path) -> Option<String> {
    let lock = File::open(dir.join("lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let socket = std::fs::read(dir.join("socket-folder")).ok()?;
            Some(url(&socket))
        }
        _ => None,
    }
}

fn url(socket: &[u8]) -> String {
    let host = percent_encode(socket, NON_ALPHANUMERIC);
    format!("postgres://{NAME}@{host}:{PORT}/{NAME}")
}

fn take_lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("lock");
    let failed = |source| StartError::Folder {
        path: path.clone(),
        source,
    };
    let lock = mode::private_file(&path).map_err(failed)?;
    let start = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_WAIT_MAX => {
                return Err(StartError::InUse(dir.to_owned()));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = mode::private_file(path)?;
    file.set_len(0)?;
    file.write_all(bytes)
}

/// Beside the data where the path is short enough, else a folder of its own in
/// the runtime or temporary folder. That name can be guessed, so what stands
/// there is taken only if it is ours and closed to others.
fn socket_folder(dir: &Path) -> Result<PathBuf, StartError> {
    let near = dir.join("socket");
    let short = near.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX;
    let folder = if short { near } else { far_socket_folder(dir) };
    make_private(&folder).map_err(|source| StartError::Folder {
        path: folder.clone(),
        source,
    })?;
    match is_private(&folder) {
        true => Ok(folder),
        false => Err(StartError::Socket(folder)),
    }
}

fn far_socket_folder(dir: &Path) -> PathBuf {
    let digest = hex::encode(Sha256::digest(dir.as_os_str().as_bytes()));
    let short: String = digest.chars().take(16).collect();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let base = runtime
        .filter(|path| path.is_dir())
        .unwrap_or_else(std::env::temp_dir);
    let folder = base.join(format!("hearth-{short}"));
    match folder.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX {
        true => folder,
        false => Path::new("/tmp").join(format!("hearth-{short}")),
    }
}

/// Makes the folder with mode 0700 unless it exists.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Root may find the folder owned by the user that Postgres runs as, for it
/// gave the folder away itself.
fn is_private(folder: &Path) -> bool {
    let me = rustix::process::geteuid();
    std::fs::symlink_metadata(folder).is_ok_and(|metadata| {
        let given_away = me.is_root() && super::identity::is_servant(metadata.uid());
        let mine = metadata.uid() == me.as_raw() || given_away;
        metadata.is_dir() && mine && metadata.mode() & 0o077 == 0
    })
}
