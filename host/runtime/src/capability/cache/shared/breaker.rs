//! Whether a store that failed of late is to be asked again.

use parking_lot::Mutex;

/// Of the last 16 answers so many may be failures.
pub(super) struct StoreBreaker {
    failures_max: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// One bit an answer, the newest last; 1 is a failure.
    recent: u16,
    open: bool,
}

impl StoreBreaker {
    pub(super) fn new(failures_max: u32) -> StoreBreaker {
        StoreBreaker {
            failures_max,
            state: Mutex::default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    /// Whether this failure was the one too many. Answers that were still under way
    /// when it opened say nothing new.
    pub(super) fn note(&self, good: bool) -> bool {
        let mut state = self.state.lock();
        if state.open {
            return false;
        }
        state.recent = (state.recent << 1) | u16::from(!good);
        state.open = state.recent.count_ones() > self.failures_max;
        state.open
    }

    /// It answers again. Whether it was open.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let was_open = state.open;
        *state = State::default();
        was_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_with_one_failure_too_many_among_the_last_and_closes_when_told() {
        let breaker = StoreBreaker::new(2);
        assert!(!breaker.note(false));
        for _ in 0..16 {
            assert!(!breaker.note(true));
        }
        assert!(!breaker.note(false));
        assert!(!breaker.note(true));
        assert!(!breaker.note(false));
        assert!(!breaker.is_open());
        assert!(breaker.note(false));
        assert!(breaker.is_open());
        assert!(!breaker.note(false), "it is told of once");
        assert!(breaker.close());
        assert!(!breaker.is_open());
        assert!(!breaker.note(false));
        assert!(!breaker.close());
    }
}
