//! What was declared stale, and when.
//!
//! An entry says when its computation began and which tags it has; it holds as
//! long as none of them was marked since. So an invalidation needs no list of the
//! entries that it hits, and one that comes while a value is computed is not lost:
//! the value is older than the mark when it arrives.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::RwLock;

/// A customer's tag or key, as a hash with a key of this process. Two that
/// collide go stale together, which costs a computation and shows nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// An instant of this plugin's invalidations: how many there have been.
pub type Moment = u64;

/// The marks of one plugin. Bounded: the oldest are forgotten, and with them goes
/// every entry that is as old.
pub struct Marks {
    clock: AtomicU64,
    hasher: RandomState,
    known: RwLock<Known>,
    half_max: usize,
}

#[derive(Default)]
struct Known {
    newer: HashMap<Mark, Moment>,
    older: HashMap<Mark, Moment>,
    /// When `newer` began.
    turned: Moment,
    /// What began before it may have been marked by what was forgotten.
    floor: Moment,
}

impl Marks {
    pub fn new(marks_max: usize) -> Marks {
        Marks {
            clock: AtomicU64::new(0),
            hasher: RandomState::new(),
            known: RwLock::default(),
            half_max: (marks_max / 2).max(1),
        }
    }

    pub fn tag(&self, customer: Option<&str>, tag: &str) -> Mark {
        Mark(self.hasher.hash_one((customer, "tag", tag)))
    }

    pub fn key(&self, customer: Option<&str>, key: &str) -> Mark {
        Mark(self.hasher.hash_one((customer, "key", key)))
    }

    pub fn now(&self) -> Moment {
        self.clock.load(SeqCst)
    }

    /// Everything with this mark that has begun so far is stale.
    pub fn mark(&self, mark: Mark) -> Moment {
        let mut known = self.known.write();
        let now = self.clock.fetch_add(1, SeqCst) + 1;
        if known.newer.len() >= self.half_max {
            known.older = std::mem::take(&mut known.newer);
            known.floor = known.turned;
            known.turned = now;
        }
        known.newer.insert(mark, now);
        now
    }

    /// Everything that has begun so far is stale.
    pub fn mark_all(&self) -> Moment {
        let mut known = self.known.write();
        let now = self.clock.fetch_add(1, SeqCst) + 1;
        *known = Known {
            turned: now,
            floor: now,
            ..Known::default()
        };
        now
    }

    /// When any of these was last marked.
    pub fn last(&self, marks: &[Mark]) -> Moment {
        let known = self.known.read();
        let of = |mark| {
            let newer = known.newer.get(mark);
            newer.or_else(|| known.older.get(mark)).copied()
        };
        let last = marks.iter().filter_map(of).max();
        last.unwrap_or(0).max(known.floor)
    }

    /// Whether what began at `began` and has these marks still holds.
    pub fn holds(&self, began: Moment, marks: &[Mark]) -> bool {
        self.last(marks) <= began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_a_mark_is_stale_and_what_began_after_holds() {
        let marks = Marks::new(100);
        let (mine, other) = (marks.tag(Some("a"), "t"), marks.tag(Some("b"), "t"));
        let before = marks.now();
        marks.mark(mine);
        assert!(!marks.holds(before, &[mine]));
        assert!(marks.holds(before, &[other]));
        assert!(marks.holds(marks.now(), &[mine]));
    }

    #[test]
    fn a_forgotten_mark_still_makes_stale_what_is_as_old() {
        let marks = Marks::new(10);
        let before = marks.now();
        let first = marks.tag(None, "first");
        marks.mark(first);
        for number in 0..100 {
            marks.mark(marks.key(None, &number.to_string()));
        }
        assert!(!marks.holds(before, &[first]));
        let known = marks.known.read();
        assert!(known.newer.len() + known.older.len() <= 10);
    }
}
