//! Raises the host's limit of open files: each connection is one, and many systems allow
//! 1,024 by default.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the process opens beside its clients' connections, about.
const OTHERS: u64 = 512;

/// Raises this process's soft limit as far as it may, and says so where that is less
/// than the configuration promises.
pub fn raise(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = (connections_max as u64).saturating_add(OTHERS);
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "the limit of open files (ulimit -n) is too low for server.connections_max"
        );
    }
}
