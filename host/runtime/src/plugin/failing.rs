//! Whether every call of a deployment has failed of late.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts failures in a row. What the host refused for want of room is no call.
#[derive(Debug)]
pub struct FailureStreak {
    in_a_row: AtomicU64,
    calls_min: u64,
}

/// What a call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreakChange {
    /// With it so many calls failed in a row as may.
    Began,
    /// It succeeded, and so many before it had not.
    Ended(u64),
}

impl FailureStreak {
    /// It is failing once `calls_min` calls failed in a row.
    pub fn new(calls_min: u64) -> FailureStreak {
        FailureStreak {
            in_a_row: AtomicU64::new(0),
            calls_min,
        }
    }

    /// A call has ended. While all goes well this is a look at one number.
    pub fn note(&self, failed: bool) -> Option<StreakChange> {
        if failed {
            let failures = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
            return (failures == self.calls_min).then_some(StreakChange::Began);
        }
        if self.in_a_row.load(Relaxed) == 0 {
            return None;
        }
        let failures = self.in_a_row.swap(0, Relaxed);
        (failures >= self.calls_min).then_some(StreakChange::Ended(failures))
    }

    /// How many calls failed since the last one that did not, where these are too many.
    pub fn calls(&self) -> Option<u64> {
        let failures = self.in_a_row.load(Relaxed);
        (failures >= self.calls_min).then_some(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_ends_with_the_first_success() {
        let failing = FailureStreak::new(3);
        assert_eq!([true, true].map(|failed| failing.note(failed)), [None; 2]);
        assert_eq!(failing.calls(), None);
        assert_eq!(failing.note(true), Some(StreakChange::Began));
        assert_eq!(failing.note(true), None);
        assert_eq!(failing.calls(), Some(4));
        assert_eq!(failing.note(false), Some(StreakChange::Ended(4)));
        assert_eq!(failing.note(false), None);
        assert_eq!(failing.calls(), None);
    }

    #[test]
    fn success_in_between_begins_anew() {
        let failing = FailureStreak::new(2);
        let all = [true, false, true, false];
        assert_eq!(all.map(|failed| failing.note(failed)), [None; 4]);
    }
}
