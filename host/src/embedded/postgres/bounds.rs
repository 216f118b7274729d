//! What keeps a server process from taking the machine's memory: a limit of its own, and,
//! should many of them together take too much, its place before the host in the kernel's
//! choice of whom to end.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const OOM_FILE: &str = "/proc/self/oom_score_adj";
/// How much likelier than the host and the postmaster a server process is to be ended,
/// of [`OOM_SCORE_MAX`]. Postgres recovers from the loss of one in a moment.
const OOM_SCORE_ABOVE: i32 = 500;
const OOM_SCORE_MAX: i32 = 1_000;

/// Each process of the cluster inherits the limit. An allocation past it fails, and with
/// it a statement: Postgres answers "out of memory", and the session goes on.
pub(super) fn limit_memory(command: &mut Command, bytes_max: u64) {
    // Whoever started the host may allow less, and nobody raises that.
    let hard = getrlimit(Resource::As).maximum;
    let bytes_max = Some(hard.map_or(bytes_max, |hard| hard.min(bytes_max)));
    let limit = Rlimit {
        current: bytes_max,
        maximum: bytes_max,
    };
    // SAFETY: between fork and exec only this system call is made: nothing is allocated
    // and no lock is taken.
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::As, limit)?));
    }
}

/// Postgres writes the value into that file in each of its processes but the postmaster,
/// which no statement can make grow and without which all is lost.
pub(super) fn offer_to_oom_killer(command: &mut Command) {
    let own = std::fs::read_to_string(OOM_FILE).ok();
    let own = own.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let score = OOM_SCORE_ABOVE.saturating_add(own).min(OOM_SCORE_MAX);
    command
        .env("PG_OOM_ADJUST_FILE", OOM_FILE)
        .env("PG_OOM_ADJUST_VALUE", score.to_string());
}
