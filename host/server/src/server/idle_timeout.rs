//! The vital signs of one connection, and for how long each may be missing.
//!
//! Everything that touches a connection notes here what it saw: the wire that
//! bytes came or could not be written, the listener that a request is under way,
//! an answer's body that a piece of it was taken. One look at all of it decides
//! whether the client still does its part.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
#[cfg(not(test))]
use tokio::time::Instant;

use crate::server::config::Config as Limits;

/// Stands for "not now" where an instant is kept.
const NEVER: u64 = u64::MAX;

/// How long a client has to take its leave, once nothing of its is under way.
pub const FAREWELL_MS: u64 = 5_000;

/// How long a client may leave each thing undone.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTimeouts {
    head: u64,
    idle: u64,
    write_idle: u64,
}

impl ConnectionTimeouts {
    pub fn new(limits: &Limits) -> ConnectionTimeouts {
        ConnectionTimeouts {
            head: limits.header_ms_max,
            idle: limits.idle_ms_max,
            write_idle: limits.write_idle_ms_max,
        }
    }

    /// A sign may change while nobody looks, so a look is never further away than
    /// a quarter of the shortest limit.
    fn tick(&self) -> u64 {
        (self.head.min(self.idle).min(self.write_idle) / 4).max(1)
    }
}

/// What a look at a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; look again after this time.
    Lives(Duration),
    /// Nothing was asked for too long.
    Idle,
    /// The client owes the rest of a head.
    SlowHead,
    /// The client does not take what it asked for.
    SlowReader,
}

impl Verdict {
    /// The label of the metric that counts connections ended by the host.
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::Lives(_) => "lives",
            Verdict::Idle => "idle",
            Verdict::SlowHead => "slow_head",
            Verdict::SlowReader => "slow_reader",
        }
    }
}

/// Shared by the parts of one connection. Instants are milliseconds since it began.
pub struct Activity {
    clock: Clock,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    moved_at: AtomicU64,
    requests: AtomicUsize,
    bodies: AtomicU64,
    /// When each body that still has something to give last gave a piece.
    handed: Mutex<BTreeMap<u64, u64>>,
}

impl Activity {
    /// The first head is owed from the beginning on.
    pub fn new() -> Arc<Activity> {
        Arc::new(Activity {
            clock: Clock::start(),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(NEVER),
            moved_at: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            bodies: AtomicU64::new(0),
            handed: Mutex::default(),
        })
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    /// A head has begun, and its rest is owed.
    pub fn head_begins(&self) {
        let _ = self
            .head_since
            .compare_exchange(NEVER, self.now(), Relaxed, Relaxed);
    }

    /// No head is owed: one came whole, or none has begun.
    pub fn head_ends(&self) {
        if self.head_since.swap(NEVER, Relaxed) != NEVER {
            self.moved_at.store(self.now(), Relaxed);
        }
    }

    /// Bytes could not be written, for the client takes none.
    pub fn blocked(&self) {
        let _ = self
            .blocked_since
            .compare_exchange(NEVER, self.now(), Relaxed, Relaxed);
    }

    pub fn flowed(&self) {
        self.blocked_since.store(NEVER, Relaxed);
    }

    /// A request is under way until what this answers is dropped.
    pub fn request(self: &Arc<Activity>) -> UnderWay {
        self.requests.fetch_add(1, Relaxed);
        UnderWay {
            pulse: self.clone(),
            body: self.bodies.fetch_add(1, Relaxed),
        }
    }

    /// Whether a connection that was told to end has nothing more to do: no request
    /// is under way, and none was for a while. HTTP/2 waits for an answer to its
    /// farewell, which a client need not give.
    pub fn is_done(&self) -> bool {
        self.idle_ms().is_some_and(|idle_ms| idle_ms >= FAREWELL_MS)
    }

    /// For how many milliseconds no request was under way; `None` while one is.
    pub fn idle_ms(&self) -> Option<u64> {
        let is_idle = self.requests.load(Relaxed) == 0;
        is_idle.then(|| self.now().saturating_sub(self.moved_at.load(Relaxed)))
    }

    pub fn verdict(&self, patience: &ConnectionTimeouts) -> Verdict {
        let now = self.now();
        let head = due(self.head_since.load(Relaxed), patience.head);
        let oldest = self.handed.lock().values().min().copied();
        let stuck = self
            .blocked_since
            .load(Relaxed)
            .min(oldest.unwrap_or(NEVER));
        let write = due(stuck, patience.write_idle);
        let busy = self.requests.load(Relaxed) > 0 || head != NEVER;
        let idle = match busy {
            true => NEVER,
            false => due(self.moved_at.load(Relaxed), patience.idle),
        };
        match now {
            _ if now >= write => Verdict::SlowReader,
            _ if now >= head => Verdict::SlowHead,
            _ if now >= idle => Verdict::Idle,
            _ => {
                let next = write.min(head).min(idle).min(now + patience.tick());
                Verdict::Lives(Duration::from_millis(next - now))
            }
        }
    }
}

fn due(since: u64, patience: u64) -> u64 {
    since.saturating_add(patience)
}

/// One request, from its head to the last byte of its answer's body.
pub struct UnderWay {
    pulse: Arc<Activity>,
    body: u64,
}

impl UnderWay {
    /// A piece of the body was handed on; it is the client's turn.
    pub fn handed(&self) {
        let mut handed = self.pulse.handed.lock();
        handed.insert(self.body, self.pulse.now());
    }

    /// Everything so far was taken; it is the host's turn.
    pub fn taken(&self) {
        self.pulse.handed.lock().remove(&self.body);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.taken();
        self.pulse.moved_at.store(self.pulse.now(), Relaxed);
        self.pulse.requests.fetch_sub(1, Relaxed);
    }
}

/// Milliseconds since the connection began.
#[cfg(not(test))]
struct Clock(Instant);

#[cfg(not(test))]
impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }
}

/// A clock that a test winds.
#[cfg(test)]
struct Clock(AtomicU64);

#[cfg(test)]
impl Clock {
    fn start() -> Clock {
        Clock(AtomicU64::new(0))
    }

    fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: ConnectionTimeouts = ConnectionTimeouts {
        head: 100,
        idle: 1_000,
        write_idle: 300,
    };

    fn after(milliseconds: u64, pulse: &Activity) -> Verdict {
        pulse.clock.0.fetch_add(milliseconds, Relaxed);
        pulse.verdict(&PATIENCE)
    }

    #[test]
    fn silent_newcomer_has_the_time_of_a_head() {
        let pulse = Activity::new();
        assert!(matches!(after(99, &pulse), Verdict::Lives(_)));
        assert_eq!(after(1, &pulse), Verdict::SlowHead);
    }

    #[test]
    fn kept_connection_has_the_time_of_an_idle_one() {
        let pulse = Activity::new();
        pulse.head_ends();
        assert!(matches!(after(999, &pulse), Verdict::Lives(_)));
        assert_eq!(after(1, &pulse), Verdict::Idle);
        pulse.head_begins();
        assert!(matches!(after(99, &pulse), Verdict::Lives(_)));
        assert_eq!(after(1, &pulse), Verdict::SlowHead);
    }

    #[test]
    fn request_under_way_is_never_idle() {
        let pulse = Activity::new();
        pulse.head_ends();
        let request = pulse.request();
        assert!(matches!(after(5_000, &pulse), Verdict::Lives(_)));
        drop(request);
        assert!(matches!(after(999, &pulse), Verdict::Lives(_)));
        assert_eq!(after(1, &pulse), Verdict::Idle);
    }

    #[test]
    fn one_body_that_nobody_takes_is_enough() {
        let pulse = Activity::new();
        pulse.head_ends();
        let (stuck, brisk) = (pulse.request(), pulse.request());
        stuck.handed();
        brisk.handed();
        assert!(matches!(after(200, &pulse), Verdict::Lives(_)));
        brisk.handed();
        assert_eq!(after(100, &pulse), Verdict::SlowReader);
        stuck.taken();
        assert!(matches!(after(0, &pulse), Verdict::Lives(_)));
    }
}
