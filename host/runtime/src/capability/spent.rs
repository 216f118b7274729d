//! The times of one call: where its time goes, as far as the host knows. The access log has
//! them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hearth_base::telemetry::distribution::nanoseconds;

/// Nanoseconds, added up while the call runs.
#[derive(Debug, Default)]
pub struct Spent {
    turn: AtomicU64,
    sql: AtomicU64,
    sql_wait: AtomicU64,
    cpu: AtomicU64,
}

/// Microseconds of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Microseconds {
    /// Waiting for the plugin's turn.
    pub turn: u64,
    /// Waiting for connections to Postgres.
    pub sql_wait: u64,
    /// In Postgres.
    pub sql: u64,
    /// The guest's CPU time.
    pub cpu: u64,
}

impl Spent {
    pub fn add_turn(&self, time: Duration) {
        self.turn.fetch_add(nanoseconds(time), Relaxed);
    }

    pub fn add_sql_wait(&self, time: Duration) {
        self.sql_wait.fetch_add(nanoseconds(time), Relaxed);
    }

    pub fn add_cpu(&self, time: Duration) {
        self.cpu.fetch_add(nanoseconds(time), Relaxed);
    }

    /// Counts until it is dropped, the waits for connections included.
    pub fn sql(&self) -> InSql<'_> {
        InSql {
            spent: self,
            began: Instant::now(),
        }
    }

    pub fn microseconds(&self) -> Microseconds {
        let [turn, sql, sql_wait, cpu] =
            [&self.turn, &self.sql, &self.sql_wait, &self.cpu].map(|of| of.load(Relaxed) / 1_000);
        Microseconds {
            turn,
            sql_wait,
            sql: sql.saturating_sub(sql_wait),
            cpu,
        }
    }
}

/// A call is at Postgres, or on its way there.
pub struct InSql<'s> {
    spent: &'s Spent,
    began: Instant,
}

impl Drop for InSql<'_> {
    fn drop(&mut self) {
        let time = nanoseconds(self.began.elapsed());
        self.spent.sql.fetch_add(time, Relaxed);
    }
}
