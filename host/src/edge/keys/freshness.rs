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
pub(super) enum Known {
    Fresh { version: i64 },
    /// Good for now, and time to ask again.
    Ageing { version: i64 },
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

    pub(super) fn now(&self) -> Known {
        let state = self.state.lock();
        let version = state.version;
        match state.asked.map(|asked| asked.elapsed()) {
            Some(age) if age <= self.fresh / 2 => Known::Fresh { version },
            Some(age) if age <= self.fresh => Known::Ageing { version },
            _ if state.failed.is_some_and(|failed| failed.elapsed() <= self.fresh) => Known::Away,
            _ => Known::Old,
        }
    }

    pub(super) fn version(&self) -> i64 {
        self.state.lock().version
    }

    /// Whether what was read at `version` may be relied on although Postgres
    /// does not answer: only if no change is known since.
    pub(super) fn may_serve_stale(&self, version: i64) -> bool {
        let state = self.state.lock();
        version >= state.version && state.asked.is_some_and(|asked| asked.elapsed() <= self.stale)
    }

    pub(super) fn confirmed(&self, version: i64, asked: Instant) {
        let mut state = self.state.lock();
        state.failed = None;
        // Answers may overtake one another; knowledge only grows.
        state.version = state.version.max(version);
        state.asked = state.asked.max(Some(asked));
    }

    pub(super) fn failed(&self) {
        self.state.lock().failed = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn knowledge_ages_then_serves_while_away_then_ends() {
        let freshness = Freshness::new(&Config::default());
        assert_eq!(freshness.now(), Known::Old);
        freshness.confirmed(7, Instant::now());
        assert_eq!(freshness.now(), Known::Fresh { version: 7 });
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(freshness.now(), Known::Ageing { version: 7 });
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(freshness.now(), Known::Old);
        freshness.failed();
        assert_eq!(freshness.now(), Known::Away);
        assert!(freshness.may_serve_stale(7));
        assert!(!freshness.may_serve_stale(6));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(freshness.now(), Known::Old);
        assert!(!freshness.may_serve_stale(7));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_overtaken_takes_nothing_back() {
        let freshness = Freshness::new(&Config::default());
        let early = Instant::now();
        tokio::time::advance(Duration::from_millis(100)).await;
        freshness.confirmed(9, Instant::now());
        freshness.confirmed(8, early);
        assert_eq!(freshness.now(), Known::Fresh { version: 9 });
    }
}
