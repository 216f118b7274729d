//! What was declared stale, and when.
//!
//! An entry says when its computation began and which tags it has; it holds as
//! long as none of them was marked since. So an invalidation needs no list of the
//! entries that it hits, and one that comes while a value is computed is not lost:
//! the value is older than the mark when it arrives.
//!
//! "When" is said twice. A [`Moment`] orders what happens on this host, and judges
//! what lies in its memory. A [`Tick`] orders what the fleet was told, and judges
//! what another host computed: that its computation began at a tick means that
//! whatever had been told until then was in what it read.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::RwLock;

pub use super::pending_invalidations::Declared;
use super::pending_invalidations::PendingInvalidations;
use hearth_backend::postgres::invalidations::{Stale, Tick};

/// A customer's tag or key, as a hash with a key of this process. Two that
/// collide go stale together, which costs a computation and shows nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// An instant of this plugin's invalidations on this host: how many there have been.
pub type Moment = u64;

/// The marks of one plugin. Bounded: the oldest are forgotten, and with them goes
/// every entry that is as old.
pub struct Marks {
    clock: AtomicU64,
    hasher: RandomState,
    known: RwLock<MarkTable>,
    half_max: usize,
}

/// When something was last marked. The tick is 0 where no other host declared it
/// and none was told of it yet.
#[derive(Clone, Copy, Debug, Default)]
struct Marked {
    moment: Moment,
    tick: Tick,
}

struct MarkTable {
    newer: HashMap<Mark, Marked>,
    older: HashMap<Mark, Marked>,
    /// When `newer` began.
    turned: Marked,
    /// What began before it may have been marked by what was forgotten.
    floor: Marked,
    /// The last tick of anything that was marked.
    tick: Tick,
    untold: PendingInvalidations,
}

impl Marks {
    /// `untold_max` is how many invalidations may wait to be told; one more, and
    /// everything goes on the other hosts.
    pub fn new(marks_max: usize, untold_max: usize) -> Marks {
        Marks {
            clock: AtomicU64::new(0),
            hasher: RandomState::new(),
            known: RwLock::new(MarkTable {
                newer: HashMap::new(),
                older: HashMap::new(),
                turned: Marked::default(),
                floor: Marked::default(),
                tick: 0,
                untold: PendingInvalidations::new(untold_max),
            }),
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

    /// This host declares something stale: all of it that has begun so far, here at
    /// once, and on the others when they are told ([`Marks::untold`]).
    pub fn declare(&self, customer: Option<&str>, what: Stale) -> Moment {
        let mut known = self.known.write();
        let moment = self.next_moment();
        let mark = match &what {
            Stale::Tag(tag) => self.tag(customer, tag),
            Stale::Key(key) => self.key(customer, key),
            Stale::Plugin => {
                known.mark_all(Marked { moment, tick: 0 });
                known.untold.add_all(moment);
                return moment;
            }
        };
        known.mark(mark, Marked { moment, tick: 0 }, self.half_max);
        known.untold.add(mark, moment, customer, what);
        moment
    }

    /// Another host declared something stale, and told it at `tick`.
    pub fn heard(&self, customer: Option<&str>, what: &Stale, tick: Tick) -> Moment {
        let mut known = self.known.write();
        let marked = Marked {
            moment: self.next_moment(),
            tick,
        };
        match what {
            Stale::Tag(tag) => known.mark(self.tag(customer, tag), marked, self.half_max),
            Stale::Key(key) => known.mark(self.key(customer, key), marked, self.half_max),
            Stale::Plugin => known.mark_all(marked),
        }
        marked.moment
    }

    /// This host begins to listen: nothing is known of what began before `tick`.
    pub fn begin(&self, tick: Tick) {
        let mut known = self.known.write();
        let moment = self.next_moment();
        known.mark_all(Marked { moment, tick });
    }

    fn next_moment(&self) -> Moment {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    /// What the other hosts are still to be told.
    pub fn untold(&self) -> Vec<Declared> {
        self.known.read().untold.all()
    }

    /// The others were told at `tick`. What was declared again since waits on.
    pub fn told(&self, declared: &[Declared], tick: Tick) {
        let mut known = self.known.write();
        for declared in declared {
            known.told(declared, tick);
        }
    }

    /// When any of these was last marked.
    pub fn last(&self, marks: &[Mark]) -> Moment {
        let known = self.known.read();
        let last = marks.iter().filter_map(|mark| known.of(mark));
        let last = last.map(|marked| marked.moment).max();
        last.unwrap_or(0).max(known.floor.moment)
    }

    /// Whether what began on this host at `began` and has these marks still holds.
    pub fn holds(&self, began: Moment, marks: &[Mark]) -> bool {
        self.last(marks) <= began
    }

    /// Whether what began on any host at `began` and has these marks holds here. A
    /// declaration of this host's own that was not told yet comes after everything.
    pub fn holds_since(&self, began: Tick, marks: &[Mark]) -> bool {
        let known = self.known.read();
        let holds = |mark: &Mark| known.of(mark).is_none_or(|marked| marked.tick <= began);
        known.floor.tick <= began && marks.iter().all(holds) && !known.untold.has_any(marks)
    }
}

impl MarkTable {
    fn of(&self, mark: &Mark) -> Option<Marked> {
        let newer = self.newer.get(mark);
        newer.or_else(|| self.older.get(mark)).copied()
    }

    /// What this host declares anew has no tick until it is told: until then
    /// `untold` has it. A tick stays where the new one is lower: this host may hear
    /// of what another one told after it was told of its own, which came later.
    fn mark(&mut self, mark: Mark, marked: Marked, half_max: usize) {
        let before = self.of(&mark).unwrap_or_default();
        let marked = Marked {
            tick: marked.tick.max(before.tick),
            ..marked
        };
        self.tick = self.tick.max(marked.tick);
        if self.newer.len() >= half_max {
            self.older = std::mem::take(&mut self.newer);
            self.floor = self.turned;
            self.turned = Marked {
                moment: marked.moment,
                tick: self.tick,
            };
        }
        self.newer.insert(mark, marked);
    }

    fn mark_all(&mut self, marked: Marked) {
        self.tick = self.tick.max(marked.tick);
        let floor = Marked {
            moment: marked.moment,
            tick: self.floor.tick.max(self.tick),
        };
        (self.turned, self.floor) = (floor, floor);
        self.newer.clear();
        self.older.clear();
    }

    fn told(&mut self, declared: &Declared, tick: Tick) {
        self.tick = self.tick.max(tick);
        self.untold.remove(declared);
        let Some(mark) = declared.mark else {
            self.floor.tick = self.floor.tick.max(tick);
            self.turned.tick = self.turned.tick.max(tick);
            return;
        };
        if let Some(marked) = self.newer.get_mut(&mark) {
            marked.tick = marked.tick.max(tick);
        } else if let Some(marked) = self.older.get_mut(&mark) {
            marked.tick = marked.tick.max(tick);
            // It is to be remembered when `older` is forgotten.
            self.turned.tick = self.turned.tick.max(tick);
        } else {
            self.floor.tick = self.floor.tick.max(tick);
            self.turned.tick = self.turned.tick.max(tick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> Stale {
        Stale::Tag(name.into())
    }

    #[test]
    fn what_began_before_a_mark_is_stale_and_what_began_after_holds() {
        let marks = Marks::new(100, 10);
        let (mine, other) = (marks.tag(Some("a"), "t"), marks.tag(Some("b"), "t"));
        let before = marks.now();
        marks.declare(Some("a"), tag("t"));
        assert!(!marks.holds(before, &[mine]));
        assert!(marks.holds(before, &[other]));
        assert!(marks.holds(marks.now(), &[mine]));
    }

    #[test]
    fn a_forgotten_mark_still_makes_stale_what_is_as_old() {
        let marks = Marks::new(10, 1_000);
        let before = marks.now();
        let first = marks.tag(None, "first");
        marks.heard(None, &tag("first"), 1);
        for number in 0..100 {
            marks.heard(None, &Stale::Key(number.to_string()), 2 + number);
        }
        assert!(!marks.holds(before, &[first]));
        assert!(!marks.holds_since(0, &[first]));
        assert!(marks.holds_since(101, &[first]));
        let known = marks.known.read();
        assert!(known.newer.len() + known.older.len() <= 10);
    }

    #[test]
    fn what_others_computed_before_a_declaration_is_told_is_stale_here_from_the_declaration_on() {
        let marks = Marks::new(100, 10);
        let mark = marks.tag(None, "t");
        assert!(marks.holds_since(7, &[mark]));
        marks.declare(None, tag("t"));
        assert!(!marks.holds_since(7, &[mark]));
        let telling = marks.untold();
        marks.declare(None, tag("t"));
        marks.told(&telling, 8);
        assert!(!marks.holds_since(8, &[mark]), "it was declared again");
        marks.told(&marks.untold(), 9);
        assert!(marks.untold().is_empty());
        assert!(!marks.holds_since(8, &[mark]));
        assert!(marks.holds_since(9, &[mark]));
    }

    #[test]
    fn a_mark_that_is_forgotten_before_it_is_told_still_counts() {
        let marks = Marks::new(2, 10);
        let first = marks.tag(None, "first");
        marks.declare(None, tag("first"));
        for number in 0..10 {
            marks.heard(None, &Stale::Key(number.to_string()), 1);
        }
        assert!(!marks.holds_since(5, &[first]));
        marks.told(&marks.untold(), 6);
        assert!(!marks.holds_since(5, &[first]));
        assert!(marks.holds_since(6, &[first]));
    }

    #[test]
    fn mark_that_was_told_stays_where_an_earlier_one_is_heard_after_it() {
        let marks = Marks::new(100, 10);
        let mark = marks.tag(None, "t");
        marks.declare(None, tag("t"));
        marks.told(&marks.untold(), 2);
        marks.heard(None, &tag("t"), 1);
        assert!(!marks.holds_since(1, &[mark]));
        assert!(marks.holds_since(2, &[mark]));
    }

    #[test]
    fn more_than_can_wait_to_be_told_is_told_as_everything() {
        let marks = Marks::new(100, 3);
        let other = marks.tag(None, "other");
        for number in 0..5 {
            marks.declare(None, tag(&number.to_string()));
        }
        assert!(!marks.holds_since(9, &[other]));
        let telling = marks.untold();
        assert!(telling.iter().any(|one| one.what == Stale::Plugin));
        marks.told(&telling, 10);
        assert!(marks.untold().is_empty());
        assert!(!marks.holds_since(9, &[other]));
        assert!(marks.holds_since(10, &[other]));
    }
}
