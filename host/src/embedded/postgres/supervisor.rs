//! The thread that owns the server process for as long as the cluster lives.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::StartError;
use super::binaries::Binaries;
use super::folder::Folder;
use super::identity::Identity;
use super::initdb;
use super::log::Log;
use super::postmaster::{Launch, Postmaster};
use hearth_backend::postgres::Embedded;

/// After kill -9 of the host its Postgres still shuts down for a moment, and
/// refuses a second one meanwhile.
const PREDECESSOR_WAIT_MAX: Duration = Duration::from_secs(10);
/// Recovery after a crash replays what was written since the last checkpoint.
const READY_WAIT_MAX: Duration = Duration::from_secs(60);
/// How often a starting server is looked at, and one that serves.
const LOOK: Duration = Duration::from_millis(10);
const WATCH: Duration = Duration::from_millis(50);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Who lived so long died of something new.
const BACKOFF_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The thread's life. `ready` is answered once, with the URL or the reason.
pub(super) fn run(
    binaries: Option<PathBuf>,
    dir: &Path,
    bounds: Embedded,
    stop: &Receiver<()>,
    ready: oneshot::Sender<Result<String, StartError>>,
) {
    let started = prepare(binaries, dir, bounds).and_then(|launch| {
        let postmaster = start_first(&launch, stop)?;
        Ok((launch, postmaster))
    });
    match started {
        Ok((launch, postmaster)) => {
            // Nobody may be waiting any more; then `stop` has been dropped too.
            let _ = ready.send(Ok(launch.folder.url()));
            watch_over(&launch, postmaster, stop);
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
}

fn prepare(binaries: Option<PathBuf>, dir: &Path, bounds: Embedded) -> Result<Launch, StartError> {
    let folder = Folder::claim(dir)?;
    let binaries = Binaries::find(binaries, &folder.data())?;
    let identity = Identity::choose(&binaries.postgres())?;
    prepare_as(folder, binaries, identity, bounds)
}

fn prepare_as(
    folder: Folder,
    binaries: Binaries,
    identity: Identity,
    bounds: Embedded,
) -> Result<Launch, StartError> {
    let failed = |source| StartError::Folder {
        path: folder.root().to_owned(),
        source,
    };
    let log = Log::open(&folder.log()).map_err(failed)?;
    // The lock and the log stay ours: Postgres has no part in the one and sees
    // of the other a pipe.
    let parts = [folder.data(), folder.socket.clone()];
    for path in parts.iter().filter(|path| path.exists()) {
        identity.give_to_postgres(path).map_err(failed)?;
    }
    identity.let_through(folder.root()).map_err(failed)?;
    initdb::ensure(&folder, &binaries, identity)?;
    Ok(Launch {
        folder,
        binaries,
        identity,
        log,
        bounds,
    })
}

fn start_first(launch: &Launch, stop: &Receiver<()>) -> Result<Postmaster, StartError> {
    let start = Instant::now();
    loop {
        let reason = match start_once(launch, stop) {
            Ok(postmaster) => return Ok(postmaster),
            Err(StartFailure::Ended(reason)) => reason,
            Err(StartFailure::Final(reason)) => return Err(StartError::Postmaster(reason)),
        };
        if start.elapsed() > PREDECESSOR_WAIT_MAX || asked_to_stop(stop, BACKOFF_MIN) {
            return Err(StartError::Postmaster(reason));
        }
    }
}

enum StartFailure {
    /// It ended by itself: perhaps its predecessor has not ended yet.
    Ended(String),
    /// It could not be run at all, took too long, or we were asked to stop.
    Final(String),
}

fn start_once(launch: &Launch, stop: &Receiver<()>) -> Result<Postmaster, StartFailure> {
    let mut postmaster = launch
        .spawn()
        .map_err(|error| StartFailure::Final(error.to_string()))?;
    let data = launch.folder.data();
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = postmaster.ended() {
            return Err(StartFailure::Ended(format!(
                "{status}: {}",
                launch.log.tail()
            )));
        }
        if postmaster.is_ready(&data) {
            return Ok(postmaster);
        }
        if start.elapsed() > READY_WAIT_MAX || asked_to_stop(stop, LOOK) {
            postmaster.stop();
            return Err(StartFailure::Final(format!(
                "it was not ready in time: {}",
                launch.log.tail()
            )));
        }
    }
}

fn watch_over(launch: &Launch, mut postmaster: Postmaster, stop: &Receiver<()>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let start = Instant::now();
        match watch(&mut postmaster, stop) {
            None => return postmaster.stop(),
            Some(how) => tracing::error!(how, "the private Postgres ended and is restarted"),
        }
        if start.elapsed() > BACKOFF_FORGOTTEN_AFTER {
            backoff = BACKOFF_MIN;
        }
        match start_again(launch, stop, &mut backoff) {
            Some(next) => postmaster = next,
            None => return,
        }
    }
}

/// How it died, or nothing when we are asked to stop.
fn watch(postmaster: &mut Postmaster, stop: &Receiver<()>) -> Option<String> {
    loop {
        match postmaster.ended() {
            Ok(None) => {}
            Ok(Some(status)) => return Some(status.to_string()),
            Err(error) => return Some(error.to_string()),
        }
        if asked_to_stop(stop, WATCH) {
            return None;
        }
    }
}

/// Tries for as long as the cluster lives, at most every [`BACKOFF_MAX`]: what
/// stopped it (a full disk, say) may be mended while the host runs.
fn start_again(launch: &Launch, stop: &Receiver<()>, backoff: &mut Duration) -> Option<Postmaster> {
    loop {
        if asked_to_stop(stop, *backoff) {
            return None;
        }
        *backoff = (*backoff * 2).min(BACKOFF_MAX);
        match start_once(launch, stop) {
            Ok(postmaster) => {
                tracing::info!("the private Postgres is available again");
                return Some(postmaster);
            }
            Err(StartFailure::Ended(reason) | StartFailure::Final(reason)) => {
                tracing::warn!(reason, "the private Postgres did not start");
            }
        }
    }
}

/// Waits for so long, and says whether the owner wants an end.
fn asked_to_stop(stop: &Receiver<()>, wait: Duration) -> bool {
    !matches!(stop.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What `make` found for this machine, where it has no Postgres of its own.
    fn named() -> Option<PathBuf> {
        std::env::var_os("HEARTH_POSTGRES_BIN").map(PathBuf::from)
    }

    /// Whatever way this machine would choose, the other ways work too, one
    /// after the other on one folder.
    #[test]
    fn root_starts_it_in_a_namespace_or_as_another_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(temporary.path(), open).unwrap();
        // As the data folder is around it.
        let around = temporary.path().join("data");
        hearth_base::mode::private_folder(&around).unwrap();
        let dir = around.join("postgres");
        let data = dir.join("data");
        let chosen = Identity::choose(&Binaries::find(named(), &data).unwrap().postgres()).unwrap();
        let (_stop, stopped) = std::sync::mpsc::channel();
        let mut identities = Identity::ways().unwrap();
        identities
            .retain(|identity| *identity == chosen || matches!(identity, Identity::User { .. }));
        for identity in [identities.clone(), identities].concat() {
            let folder = Folder::claim(&dir).unwrap();
            let binaries = Binaries::find(named(), &data).unwrap();
            let bounds = Embedded::default();
            let launch = prepare_as(folder, binaries, identity, bounds).unwrap();
            let Ok(postmaster) = start_once(&launch, &stopped) else {
                panic!("{identity:?}: {}", launch.log.tail());
            };
            postmaster.stop();
            for folder in [&around, &dir] {
                let mode = std::fs::metadata(folder).unwrap().permissions().mode();
                assert_eq!(mode & 0o067, 0, "{folder:?} has {mode:o}");
            }
        }
    }
}
