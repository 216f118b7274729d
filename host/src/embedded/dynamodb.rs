//! A private DynamoDB: dynoxide, in this process, on a thread of its own.
//!
//! It speaks DynamoDB's protocol on a port of 127.0.0.1 that the system chooses,
//! and keeps everything in one SQLite file with a write-ahead log. DynamoDB's
//! rules are checked as by the service itself (25 items in a batch, no key twice,
//! sizes, names). It asks for credentials and takes any, so whoever can connect to
//! this machine's loopback can read it: it is for development and for small
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
//! # async fn example() -> Result<(), hearth::embedded::dynamodb::StartError> {
//! use hearth::embedded::dynamodb::{Embedded, Options};
//!
//! let options = Options::default();
//! let embedded = Embedded::start(std::path::Path::new("data/dynamodb"), options).await?;
//! println!("{}", embedded.url());
//! embedded.stop().await;
//! # Ok(())
//! # }
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::backend::dynamodb::EmbeddedSync;

/// How long requests that run may take to end when it is stopped. A connection
/// that is never closed would hold it up for ever.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Why there is no private DynamoDB. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("another host is using {}: stop it first, or give this one another HEARTH_DATA_DIR", .0.display())]
    InUse(PathBuf),
    #[error("{} cannot be opened: {reason}", path.display())]
    Database { path: PathBuf, reason: String },
    #[error("no port of 127.0.0.1 could be had: {0}")]
    Port(io::Error),
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
    url: String,
    /// The loss of this end asks the thread to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the database in `dir`, which is made where there is none, and waits
    /// until it listens: a few milliseconds.
    pub async fn start(dir: &Path, options: Options) -> Result<Embedded, StartError> {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let dir = dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || run(&dir, options, stopped, ready))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let url = started
            .await
            .unwrap_or_else(|_| Err(StartError::Thread("it ended early".to_owned())))?;
        Ok(Embedded {
            url,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it answers, for example `http://127.0.0.1:40123`: another port with
    /// each start.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets the requests under way end, moves the log into the database's file and
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

type Ready = oneshot::Sender<Result<String, StartError>>;

/// The thread: a runtime of its own, since each request is worked off on the thread
/// that received it, and waits there for the disk.
fn run(dir: &Path, options: Options, stopped: oneshot::Receiver<()>, ready: Ready) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(StartError::Thread(error.to_string())))),
    };
    runtime.block_on(async {
        match open(dir, options.sync).await {
            Ok(opened) => serve(opened, options.sweep, stopped, ready).await,
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    // A sweep that still runs ends with its page.
    runtime.shutdown_timeout(STOP_MAX);
}

struct Opened {
    database: Database,
    listener: TcpListener,
    url: String,
    /// Held for its lock, which the kernel gives back when we die.
    _lock: File,
}

async fn open(dir: &Path, sync: EmbeddedSync) -> Result<Opened, StartError> {
    let lock = claim(dir)?;
    let path = dir.join("dynamodb.sqlite");
    let refused = |reason: String| StartError::Database {
        path: path.clone(),
        reason,
    };
    let text = path
        .to_str()
        .ok_or_else(|| refused("its path is no UTF-8".to_owned()))?;
    let database = Database::new(text).map_err(|error| refused(error.to_string()))?;
    relax(&database, sync).map_err(|error| refused(error.to_string()))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.map_err(StartError::Port)?;
    let address = listener.local_addr().map_err(StartError::Port)?;
    Ok(Opened {
        database,
        listener,
        url: format!("http://{address}"),
        _lock: lock,
    })
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

/// Makes the folder, for nobody else to look into, and takes its lock.
fn claim(dir: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Folder {
        path: dir.to_owned(),
        source,
    };
    let folder = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    folder.map_err(failed)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join("lock"))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

async fn serve(opened: Opened, sweep: Duration, stopped: oneshot::Receiver<()>, ready: Ready) {
    let Opened {
        database,
        listener,
        url,
        _lock,
    } = opened;
    if ready.send(Ok(url)).is_err() {
        return;
    }
    let sweeping = tokio::spawn(sweep_expired(database.clone(), sweep));
    let (tell, told) = oneshot::channel::<()>();
    let serving = dynoxide::server::serve_with_shutdown(listener, database, async {
        let _ = told.await;
    });
    let stop = async {
        let _ = stopped.await;
        drop(tell);
        tokio::time::sleep(STOP_MAX).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "the private DynamoDB ended");
        },
        () = stop => {}
    }
    sweeping.abort();
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
