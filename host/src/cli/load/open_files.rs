//! Raises the limit of open files for `hearth load`: each connection is one, and many systems
//! allow 1,024 by default.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::UsageError;

/// Files that the process opens beside the connections.
const OTHERS: u64 = 64;

/// Raises this process's own soft limit as far as `connections` want it.
pub fn allow(connections: u32) -> Result<(), UsageError> {
    let wanted = u64::from(connections) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let enough = |allowed: Option<u64>| allowed.is_none_or(|allowed| allowed >= wanted);
    if enough(limit.current) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let allowed = limit.maximum.or(limit.current).unwrap_or(u64::MAX);
    Err(UsageError::TooFewFiles {
        wanted: connections,
        allowed,
    })
}
