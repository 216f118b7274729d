//! A private DynamoDB: dynoxide, in this process, on a thread of its own.
//!
//! It listens nowhere: the SDK's requests come to it through a queue in this process
//! ([`Connector`]), so nobody else can ask it anything, and it needs no credentials.
//! It keeps everything in one SQLite file with a write-ahead log, which this user
//! alone may read. DynamoDB's rules are checked as by the service itself (25 items in
//! a batch, no key twice, sizes, names). It is for development and for small
//! installations that stand alone.
//!
//! **Durability.** A write is in the log before it is acknowledged, so a killed
//! process loses nothing, whatever [`EmbeddedSync`] says: what is written to a file the
//! kernel has. A power cut is another matter. With [`EmbeddedSync::Full`], the default, the
//! log is synced to the disk in each commit, and what was acknowledged survives
//! that, too. With [`EmbeddedSync::Normal`] the log is synced at a checkpoint alone: a
//! power cut may take the last commits back, in their order and without harm to
//! older ones. dynoxide commits each item of a batch by itself, so a batch costs as
//! many syncs as it has items with the one, and none with the other.
//!
//! ```no_run
//! # async fn example() -> Result<(), hearth::embedded::dynamodb::DynamoStartError> {
//! use hearth::embedded::dynamodb::{Embedded, Options};
//!
//! let options = Options::default();
//! let embedded = Embedded::start(std::path::Path::new("data/dynamodb"), options).await?;
//! let answer = embedded.connector().ask("ListTables", "{}".into()).await;
//! println!("{answer:?}");
//! embedded.stop().await;
//! # Ok(())
//! # }
//! ```

mod connector;
mod operations;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use dynoxide::Database;
use tokio::sync::{mpsc, oneshot};

use self::connector::PendingOperation;
use hearth_backend::dynamodb::EmbeddedSync;
use hearth_base::mode;

pub use self::connector::{Connector, OperationAnswer};

/// How long a sweep that runs may take to end when it is stopped.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Why there is no private DynamoDB. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DynamoStartError {
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("another host is using {}: stop it first, or give this one another HEARTH_DATA_DIR", .0.display())]
    InUse(PathBuf),
    #[error("{} cannot be opened: {reason}", path.display())]
    Database { path: PathBuf, reason: String },
    #[error("its thread could not be started: {0}")]
    Thread(String),
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub sync: EmbeddedSync,
    /// Between two removals of what has expired.
    pub sweep: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: EmbeddedSync::Full,
            sweep: Duration::from_secs(60),
        }
    }
}

/// A running private DynamoDB. Dropping it stops it, as [`Embedded::stop`] does.
#[derive(Debug)]
pub struct Embedded {
    connector: Connector,
    /// The loss of this end asks the thread to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the database in `dir`, which is made where there is none, and waits
    /// until it answers: a few milliseconds.
    pub async fn start(dir: &Path, options: Options) -> Result<Embedded, DynamoStartError> {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let (connector, requests) = Connector::new();
        let owner = Owner {
            dir: dir.to_owned(),
            options,
            requests,
            stopped,
        };
        let thread = std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || owner.run(ready))
            .map_err(|error| DynamoStartError::Thread(error.to_string()))?;
        started
            .await
            .unwrap_or_else(|_| Err(DynamoStartError::Thread("it ended early".to_owned())))?;
        Ok(Embedded {
            connector,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The one way to it.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Answers the requests that wait, moves the log into the database's file and
    /// closes it.
    pub async fn stop(mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Ready = oneshot::Sender<Result<(), DynamoStartError>>;

/// The thread's own: each request is worked off on it, one after the other, and
/// waits there for the disk.
struct Owner {
    dir: PathBuf,
    options: Options,
    requests: mpsc::Receiver<PendingOperation>,
    stopped: oneshot::Receiver<()>,
}

impl Owner {
    fn run(self, ready: Ready) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                return drop(ready.send(Err(DynamoStartError::Thread(error.to_string()))));
            }
        };
        match open(&self.dir, self.options.sync) {
            Ok((database, _lock)) => {
                let _ = ready.send(Ok(()));
                runtime.block_on(self.serve(database));
                // A sweep that still runs ends with its page.
                runtime.shutdown_timeout(STOP_MAX);
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    }

    async fn serve(mut self, database: Database) {
        let sweeping = tokio::spawn(sweep_expired(database.clone(), self.options.sweep));
        loop {
            tokio::select! {
                asked = self.requests.recv() => match asked {
                    Some(asked) => asked.perform(&database),
                    None => break,
                },
                _ = &mut self.stopped => break,
            }
        }
        self.requests.close();
        while let Some(asked) = self.requests.recv().await {
            asked.perform(&database);
        }
        sweeping.abort();
    }
}

/// The database, and the lock on its folder, which the kernel gives back when we die.
fn open(dir: &Path, sync: EmbeddedSync) -> Result<(Database, File), DynamoStartError> {
    let lock = claim(dir)?;
    let path = dir.join("dynamodb.sqlite");
    close_files(&path).map_err(|source| DynamoStartError::Folder {
        path: path.clone(),
        source,
    })?;
    let refused = |reason: String| DynamoStartError::Database {
        path: path.clone(),
        reason,
    };
    let text = path
        .to_str()
        .ok_or_else(|| refused("its path is not UTF-8".to_owned()))?;
    let database = Database::new(text).map_err(|error| refused(error.to_string()))?;
    relax(&database, sync).map_err(|error| refused(error.to_string()))?;
    Ok((database, lock))
}

/// SQLite would make its file by the umask, and gives the log and the index of the
/// log the mode that the file has.
fn close_files(database: &Path) -> io::Result<()> {
    mode::private_file(database)?;
    for suffix in ["-wal", "-shm"] {
        let mut beside = database.as_os_str().to_owned();
        beside.push(suffix);
        mode::close_file(Path::new(&beside))?;
    }
    Ok(())
}

/// SQLite begins with `synchronous = FULL`. The end of a bulk load is the one way
/// in which dynoxide sets it to NORMAL.
fn relax(database: &Database, sync: EmbeddedSync) -> dynoxide::Result<()> {
    match sync {
        EmbeddedSync::Full => Ok(()),
        EmbeddedSync::Normal => {
            database.enable_bulk_loading()?;
            database.disable_bulk_loading()
        }
    }
}

/// Makes or closes the folder, and takes its lock.
fn claim(dir: &Path) -> Result<File, DynamoStartError> {
    let failed = |source| DynamoStartError::Folder {
        path: dir.to_owned(),
        source,
    };
    mode::private_folder(dir).map_err(failed)?;
    let lock = mode::private_file(&dir.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DynamoStartError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Removes what has expired. It waits for the requests between its pages, so it
/// runs beside them and not in their place.
async fn sweep_expired(database: Database, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(items)) => tracing::debug!(items, "expired items were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items could not be removed"),
            Err(error) => tracing::warn!(%error, "expired items could not be removed"),
        }
    }
}
