//! A private Postgres cluster from the machine's own binaries.
//!
//! It listens on a Unix socket in a folder of mode 0700 and nowhere else, and
//! whoever can open that socket is trusted. It is as durable as any Postgres:
//! fsync and synchronous_commit are on and pages carry checksums.
//!
//! It lives exactly as long as its owner. A supervising thread starts it again
//! when it dies, and the kernel interrupts it when the owner dies, kill -9
//! included. One owner at a time: a lock file keeps a second host off the folder.
//!
//! Its processes inherit nothing of the host's environment. Each has a limit of memory
//! and of temporary files, so that a statement which wants more fails by itself, and the
//! kernel ends one of them before it ends the host.
//!
//! ```no_run
//! # async fn example() -> Result<(), hearth::embedded::postgres::StartError> {
//! use hearth::embedded::postgres::Cluster;
//!
//! let cluster = Cluster::start(None, std::path::Path::new("data/postgres")).await?;
//! println!("{}", cluster.url());
//! cluster.stop().await;
//! # Ok(())
//! # }
//! ```

mod binaries;
mod bounds;
mod folder;
mod identity;
mod initdb;
mod log;
mod postmaster;
mod supervisor;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use hearth_backend::postgres::Embedded;

use binaries::Binaries;
pub use folder::running_url;

/// Why there is no private Postgres. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "no Postgres of version 14 or newer is installed: install the package postgresql, name the folder of its binaries in HEARTH_POSTGRES_BIN, or point HEARTH_DATABASE_URL to a server"
    )]
    NoBinaries,
    #[error("{} holds no postgres and initdb", .0.display())]
    NotBinaries(PathBuf),
    #[error("{} was made by Postgres {made_by}, which is not installed: install it, or name the folder of its binaries in HEARTH_POSTGRES_BIN", folder.display())]
    OtherVersion { folder: PathBuf, made_by: String },
    #[error("another host is using {}: stop it first, or give this one another HEARTH_DATA_DIR", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{} belongs to somebody else or is open to others, so the socket cannot be put there", .0.display())]
    Socket(PathBuf),
    #[error(
        "Postgres does not run as root, and neither a user namespace nor another user could be had: {0}"
    )]
    Root(String),
    #[error(
        "Postgres runs as no user without a name, user {uid} has none, and a user namespace in \
         which it has one could not be had ({reason}). Give it a name: a line \
         `hearth:x:{uid}:0::/:/sbin/nologin` in /etc/passwd, which an image's entry point can \
         write where the file is writable for group 0. Or use a Postgres of your own: \
         HEARTH_DATABASE_URL"
    )]
    Nameless { uid: u32, reason: String },
    #[error("the database folder could not be made: {0}")]
    InitDb(String),
    #[error("Postgres did not start: {0}")]
    Postmaster(String),
    #[error("the thread that watches over Postgres could not be started: {0}")]
    Thread(String),
}

/// The folder of `postgres` and `initdb` that a new cluster is made with: the one that
/// is named, else the newest of the machine, in /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin,
/// /usr/local/pgsql/bin and on PATH.
///
/// # Errors
/// Where there is none, or none that Hearth knows.
pub fn programs(named: Option<PathBuf>) -> Result<PathBuf, StartError> {
    Binaries::find(named, Path::new("")).map(Binaries::folder)
}

/// A running private cluster. Dropping it stops it, as [`Cluster::stop`] does.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    /// Whatever is sent, or the loss of this end, asks the thread to stop.
    stop: Option<mpsc::Sender<()>>,
    supervisor: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Makes the cluster in `dir` if there is none, starts it and waits until
    /// it answers: a second the first time, later a tenth of one.
    ///
    /// `binaries` is the folder of `postgres` and `initdb`; without it the one of
    /// [`programs`] is taken.
    pub async fn start(binaries: Option<PathBuf>, dir: &Path) -> Result<Cluster, StartError> {
        Cluster::start_within(binaries, dir, Embedded::default()).await
    }

    /// As [`Cluster::start`], with other bounds than the default.
    pub async fn start_within(
        binaries: Option<PathBuf>,
        dir: &Path,
        bounds: Embedded,
    ) -> Result<Cluster, StartError> {
        let (stop, stopped) = mpsc::channel();
        let (ready, started) = oneshot::channel();
        let dir = dir.to_owned();
        // The kernel's signal on the parent's death is bound to the thread that
        // spawned the child, so that thread must live as long as the cluster.
        let supervisor = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervisor::run(binaries, &dir, bounds, &stopped, ready))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let url = started
            .await
            .unwrap_or_else(|_| Err(StartError::Thread("it ended early".to_owned())))?;
        Ok(Cluster {
            url,
            stop: Some(stop),
            supervisor: Some(supervisor),
        })
    }

    /// Where to connect, as the cluster's superuser and to its database, both
    /// called `hearth`. It stays the same over restarts.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Stops it as Postgres's fast shutdown does: open transactions are rolled
    /// back, everything committed is on disk. After ten seconds it is killed,
    /// which loses nothing either: the next start recovers.
    pub async fn stop(mut self) {
        self.stop = None;
        if let Some(thread) = self.supervisor.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.supervisor.take() {
            let _ = thread.join();
        }
    }
}

/// A cluster for a command that needs one for a moment: the serving host's if
/// there is one, else one of its own.
#[derive(Debug)]
pub struct Reached {
    pub url: String,
    own: Option<Cluster>,
}

impl Reached {
    /// Joins the host that serves from `dir`, or starts the cluster.
    pub async fn reach(binaries: Option<PathBuf>, dir: &Path) -> Result<Reached, StartError> {
        Reached::reach_within(binaries, dir, Embedded::default()).await
    }

    /// As [`Reached::reach`], where a cluster of its own has other bounds than the default.
    pub async fn reach_within(
        binaries: Option<PathBuf>,
        dir: &Path,
        bounds: Embedded,
    ) -> Result<Reached, StartError> {
        if let Some(url) = running_url(dir) {
            return Ok(Reached { url, own: None });
        }
        let cluster = Cluster::start_within(binaries, dir, bounds).await?;
        Ok(Reached {
            url: cluster.url(),
            own: Some(cluster),
        })
    }

    /// Stops what was started for the moment, and nothing else.
    pub async fn close(self) {
        if let Some(cluster) = self.own {
            cluster.stop().await;
        }
    }
}
