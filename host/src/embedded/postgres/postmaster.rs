//! One server process: starting it, knowing that it answers, ending it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::binaries::Binaries;
use super::bounds;
use super::folder::{Folder, PORT};
use super::identity::Identity;
use super::log::Log;
use hearth_backend::postgres::Embedded;

/// What we ask of it beyond what initdb wrote. Durable, of modest memory, and
/// reachable by its socket alone.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "cluster_name=hearth",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "max_connections=100",
    "shared_buffers=128MB",
    "jit=off",
    // One statement is one process, so that what bounds the process bounds it.
    "max_parallel_workers_per_gather=0",
    "max_wal_senders=0",
    // Tables that grow get their statistics soon, and dead rows go soon.
    "autovacuum_naptime=5s",
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] ",
    // A statement's text may hold a customer's data.
    "log_min_error_statement=panic",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// A fast shutdown writes a checkpoint; then it is told more plainly.
const FAST_WAIT_MAX: Duration = Duration::from_secs(10);
const IMMEDIATE_WAIT_MAX: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// All that it takes to start the server of a folder, again and again.
pub(super) struct Launch {
    pub(super) folder: Folder,
    pub(super) binaries: Binaries,
    pub(super) identity: Identity,
    pub(super) log: Log,
    pub(super) bounds: Embedded,
}

impl Launch {
    pub(super) fn spawn(&self) -> io::Result<Postmaster> {
        self.log.forget();
        remove_reused_pid_file(&self.folder.data());
        let mut child = self.command().spawn()?;
        if let Some(pipe) = child.stderr.take() {
            self.log.follow(pipe)?;
        }
        Ok(Postmaster { child })
    }

    fn command(&self) -> Command {
        let mut command = self.identity.command(&self.binaries.postgres());
        // A list of folders, so a path with a comma or a space wants quotes.
        let socket = self
            .folder
            .socket
            .display()
            .to_string()
            .replace('"', "\"\"");
        command.arg("-D").arg(self.folder.data()).args(["-p", PORT]);
        command.args(["-c", &format!("unix_socket_directories=\"{socket}\"")]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let kib = self.bounds.temp_file_bytes_max >> 10;
        command.args(["-c", &format!("temp_file_limit={kib}kB")]);
        bounds::limit_memory(&mut command, self.bounds.backend_memory_bytes_max);
        bounds::offer_to_oom_killer(&mut command);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

pub(super) struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// `Some` once the process has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Postgres writes into its pid file when it takes connections, which is
    /// also what pg_ctl looks at.
    pub(super) fn is_ready(&self, data: &Path) -> bool {
        let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(self.child.id().to_string().as_str()) && lines.nth(6) == Some("ready")
    }

    /// Fast shutdown, then an immediate one, then SIGKILL. Nothing that was
    /// committed is lost by any of them.
    pub(super) fn stop(mut self) {
        for (signal, wait) in [
            (Signal::INT, FAST_WAIT_MAX),
            (Signal::QUIT, IMMEDIATE_WAIT_MAX),
        ] {
            let _ = kill_process(Pid::from_child(&self.child), signal);
            if self.ends_within(wait) {
                return;
            }
        }
        tracing::warn!("Postgres did not stop when asked and was killed");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn ends_within(&mut self, wait: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < wait {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            sleep(LOOK);
        }
        false
    }
}

/// After a crash of the whole machine or container another process may have the
/// number that the pid file names, and Postgres would take it for a server that
/// still runs. It is one only if it works in this very folder. A pid file of a
/// process that is gone is left to Postgres, which knows what to do.
fn remove_reused_pid_file(data: &Path) {
    let path = data.join("postmaster.pid");
    let Some(pid) = first_line(&path) else { return };
    let works_in = std::fs::read_link(format!("/proc/{pid}/cwd"));
    if works_in.is_ok_and(|folder| folder != data) {
        tracing::info!(
            pid,
            "the pid file names a process that is no Postgres of ours"
        );
        let _ = std::fs::remove_file(path);
    }
}

fn first_line(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}
