//! How old the host's knowledge of keys is.
//!
//! One number, raised by Postgres with every change of a key, stands for all
//! keys. What is kept is its last value, when it was asked for, and when asking
//! last failed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Config;

pub(super) struct Freshness {
    state: Mutex<State>,
    /// Whoever holds it asks Postgres; the others wait for the answer.
    turn: Arc<tokio::sync::Mutex<()>>,
    fresh: Duration,
    stale: Duration,
}

#[derive(Default)]
struct State {
    version: i64,
    /// When the question was put, not when the answer came: a change in between
    /// may not be in it.
    asked: Option<Instant>,
    failed: Option<Instant>,
}

/// What can be said without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Fresh {
        version: i64,
    },
    /// Good for now, and time to ask again.
    Ageing {
        version: i64,
    },
    /// Ask before relying on anything.
    Old,
    /// Asking has just failed; do not make this request wait for the next try.
    Away,
}

impl Freshness {
    pub(super) fn new(config: &Config) -> Freshness {
        Freshness {
            state: Mutex::default(),
            turn: Arc::default(),
            fresh: Duration::from_millis(config.fresh_ms_max),
            stale: Duration::from_millis(config.stale_ms_max),
        }
    }

    pub(super) fn turn(&self) -> &Arc<tokio::sync::Mutex<()>> {
        &self.turn
    }

    pub(super) fn at(&self, now: Instant) -> Validity {
        let state = self.state.lock();
        let version = state.version;
        let within = |then: Option<Instant>, limit| then.is_some_and(|then| now - then <= limit);
        match () {
            () if within(state.asked, self.fresh / 2) => Validity::Fresh { version },
            () if within(state.asked, self.fresh) => Validity::Ageing { version },
            () if within(state.failed, self.fresh) => Validity::Away,
            () => Validity::Old,
        }
    }

    pub(super) fn version(&self) -> i64 {
        self.state.lock().version
    }

    /// Whether what was read at `version` may be relied on although Postgres
    /// does not answer: only if no change is known since.
    pub(super) fn may_serve_stale(&self, version: i64, now: Instant) -> bool {
        let state = self.state.lock();
        version >= state.version && state.asked.is_some_and(|asked| now - asked <= self.stale)
    }

    pub(super) fn confirmed(&self, version: i64, asked: Instant) {
        let mut state = self.state.lock();
        state.failed = None;
        // Answers may overtake one another; knowledge only grows.
        state.version = state.version.max(version);
        state.asked = state.asked.max(Some(asked));
    }

    /// Whether it is the first failure since an answer.
    pub(super) fn failed(&self, now: Instant) -> bool {
        self.state.lock().failed.replace(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knowledge_ages_then_serves_while_away_then_ends() {
        let freshness = Freshness::new(&Config::default());
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(freshness.at(start), Validity::Old);
        freshness.confirmed(7, start);
        assert_eq!(freshness.at(after(250)), Validity::Fresh { version: 7 });
        assert_eq!(freshness.at(after(500)), Validity::Ageing { version: 7 });
        assert_eq!(freshness.at(after(600)), Validity::Old);
        assert!(freshness.failed(after(600)));
        assert!(!freshness.failed(after(600)));
        assert_eq!(freshness.at(after(1_100)), Validity::Away);
        assert!(freshness.may_serve_stale(7, after(30_000)));
        assert!(!freshness.may_serve_stale(6, after(600)));
        assert_eq!(freshness.at(after(1_101)), Validity::Old);
        assert!(!freshness.may_serve_stale(7, after(30_001)));
    }

    #[test]
    fn an_answer_that_was_overtaken_takes_nothing_back() {
        let freshness = Freshness::new(&Config::default());
        let early = Instant::now();
        let late = early + Duration::from_millis(100);
        freshness.confirmed(9, late);
        freshness.confirmed(8, early);
        assert_eq!(freshness.at(late), Validity::Fresh { version: 9 });
    }
}
