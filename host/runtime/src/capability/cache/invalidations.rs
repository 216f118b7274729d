//! The invalidations of one plugin: what was declared stale, and when.
//!
//! An entry says when its computation began and which tags it has; it holds as
//! long as none of them was invalidated since. So an invalidation needs no list of the
//! entries that it hits, and one that comes while a value is computed is not lost:
//! the value is older than the invalidation when it arrives.
//!
//! "When" is said twice. A [`Moment`] orders what happens on this host, and judges
//! what lies in its memory. A [`Tick`] orders what the fleet was told, and judges
//! what another host computed: that its computation began at a tick means that
//! whatever had been told until then was in what it read.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::RwLock;

pub use super::pending_invalidations::Declaration;
use super::pending_invalidations::PendingInvalidations;
use hearth_backend::postgres::invalidations::{Stale, Tick};

/// A customer's tag or key, as a hash with a key of this process. Two that
/// collide go stale together, which costs a computation and shows nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagHash(u64);

/// An instant of this plugin's invalidations on this host: how many there have been.
pub type Moment = u64;

/// What was invalidated of one plugin. Bounded: the oldest is forgotten, and with it goes
/// every entry that is as old.
pub struct Invalidations {
    clock: AtomicU64,
    hasher: RandomState,
    known: RwLock<InvalidationTable>,
    half_max: usize,
}

/// When something was last invalidated. The tick is 0 where no other host declared it
/// and none was told of it yet.
#[derive(Clone, Copy, Debug, Default)]
struct LastInvalidation {
    moment: Moment,
    tick: Tick,
}

struct InvalidationTable {
    newer: HashMap<TagHash, LastInvalidation>,
    older: HashMap<TagHash, LastInvalidation>,
    /// When `newer` began.
    turned: LastInvalidation,
    /// What began before it may have been invalidated by what was forgotten.
    floor: LastInvalidation,
    /// The last tick of any invalidation.
    tick: Tick,
    unreported: PendingInvalidations,
}

impl Invalidations {
    /// `unreported_max` is how many invalidations may wait to be told; one more, and
    /// everything goes on the other hosts.
    pub fn new(marks_max: usize, unreported_max: usize) -> Invalidations {
        Invalidations {
            clock: AtomicU64::new(0),
            hasher: RandomState::new(),
            known: RwLock::new(InvalidationTable {
                newer: HashMap::new(),
                older: HashMap::new(),
                turned: LastInvalidation::default(),
                floor: LastInvalidation::default(),
                tick: 0,
                unreported: PendingInvalidations::new(unreported_max),
            }),
            half_max: (marks_max / 2).max(1),
        }
    }

    pub fn tag(&self, customer: Option<&str>, tag: &str) -> TagHash {
        TagHash(self.hasher.hash_one((customer, "tag", tag)))
    }

    pub fn key(&self, customer: Option<&str>, key: &str) -> TagHash {
        TagHash(self.hasher.hash_one((customer, "key", key)))
    }

    pub fn now(&self) -> Moment {
        self.clock.load(SeqCst)
    }

    /// This host declares something stale: all of it that has begun so far, here at
    /// once, and on the others when they are told ([`Invalidations::unreported`]).
    pub fn declare(&self, customer: Option<&str>, what: Stale) -> Moment {
        let mut known = self.known.write();
        let moment = self.next_moment();
        let tag = match &what {
            Stale::Tag(tag) => self.tag(customer, tag),
            Stale::Key(key) => self.key(customer, key),
            Stale::Plugin => {
                known.invalidate_all(LastInvalidation { moment, tick: 0 });
                known.unreported.add_all(moment);
                return moment;
            }
        };
        known.invalidate(tag, LastInvalidation { moment, tick: 0 }, self.half_max);
        known.unreported.add(tag, moment, customer, what);
        moment
    }

    /// Another host declared something stale, and told it at `tick`.
    pub fn heard(&self, customer: Option<&str>, what: &Stale, tick: Tick) -> Moment {
        let mut known = self.known.write();
        let last = LastInvalidation {
            moment: self.next_moment(),
            tick,
        };
        match what {
            Stale::Tag(tag) => known.invalidate(self.tag(customer, tag), last, self.half_max),
            Stale::Key(key) => known.invalidate(self.key(customer, key), last, self.half_max),
            Stale::Plugin => known.invalidate_all(last),
        }
        last.moment
    }

    /// This host begins to listen: nothing is known of what began before `tick`.
    pub fn begin(&self, tick: Tick) {
        let mut known = self.known.write();
        let moment = self.next_moment();
        known.invalidate_all(LastInvalidation { moment, tick });
    }

    fn next_moment(&self) -> Moment {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    /// What the other hosts are still to be told.
    pub fn unreported(&self) -> Vec<Declaration> {
        self.known.read().unreported.all()
    }

    /// The others were told at `tick`. What was declared again since waits on.
    pub fn report(&self, declared: &[Declaration], tick: Tick) {
        let mut known = self.known.write();
        for declared in declared {
            known.report(declared, tick);
        }
    }

    /// When any of these was last invalidated.
    pub fn last(&self, tags: &[TagHash]) -> Moment {
        let known = self.known.read();
        let last = tags.iter().filter_map(|tag| known.of(tag));
        let last = last.map(|last| last.moment).max();
        last.unwrap_or(0).max(known.floor.moment)
    }

    /// Whether what began on this host at `began` and has these tags still holds.
    pub fn holds(&self, began: Moment, tags: &[TagHash]) -> bool {
        self.last(tags) <= began
    }

    /// Whether what began on any host at `began` and has these tags holds here. A
    /// declaration of this host's own that was not told yet comes after everything.
    pub fn holds_since(&self, began: Tick, tags: &[TagHash]) -> bool {
        let known = self.known.read();
        let holds = |tag: &TagHash| known.of(tag).is_none_or(|last| last.tick <= began);
        known.floor.tick <= began && tags.iter().all(holds) && !known.unreported.has_any(tags)
    }
}

impl InvalidationTable {
    fn of(&self, tag: &TagHash) -> Option<LastInvalidation> {
        let newer = self.newer.get(tag);
        newer.or_else(|| self.older.get(tag)).copied()
    }

    /// What this host declares anew has no tick until it is told: until then
    /// `unreported` has it. A tick stays where the new one is lower: this host may hear
    /// of what another one told after it was told of its own, which came later.
    fn invalidate(&mut self, tag: TagHash, last: LastInvalidation, half_max: usize) {
        let before = self.of(&tag).unwrap_or_default();
        let last = LastInvalidation {
            tick: last.tick.max(before.tick),
            ..last
        };
        self.tick = self.tick.max(last.tick);
        if self.newer.len() >= half_max {
            self.older = std::mem::take(&mut self.newer);
            self.floor = self.turned;
            self.turned = LastInvalidation {
                moment: last.moment,
                tick: self.tick,
            };
        }
        self.newer.insert(tag, last);
    }

    fn invalidate_all(&mut self, last: LastInvalidation) {
        self.tick = self.tick.max(last.tick);
        let floor = LastInvalidation {
            moment: last.moment,
            tick: self.floor.tick.max(self.tick),
        };
        (self.turned, self.floor) = (floor, floor);
        self.newer.clear();
        self.older.clear();
    }

    fn report(&mut self, declared: &Declaration, tick: Tick) {
        self.tick = self.tick.max(tick);
        self.unreported.remove(declared);
        let Some(tag) = declared.tag else {
            self.floor.tick = self.floor.tick.max(tick);
            self.turned.tick = self.turned.tick.max(tick);
            return;
        };
        if let Some(last) = self.newer.get_mut(&tag) {
            last.tick = last.tick.max(tick);
        } else if let Some(last) = self.older.get_mut(&tag) {
            last.tick = last.tick.max(tick);
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
    fn what_began_before_an_invalidation_is_stale_and_what_began_after_holds() {
        let all = Invalidations::new(100, 10);
        let (mine, other) = (all.tag(Some("a"), "t"), all.tag(Some("b"), "t"));
        let before = all.now();
        all.declare(Some("a"), tag("t"));
        assert!(!all.holds(before, &[mine]));
        assert!(all.holds(before, &[other]));
        assert!(all.holds(all.now(), &[mine]));
    }

    #[test]
    fn a_forgotten_invalidation_still_makes_stale_what_is_as_old() {
        let all = Invalidations::new(10, 1_000);
        let before = all.now();
        let first = all.tag(None, "first");
        all.heard(None, &tag("first"), 1);
        for number in 0..100 {
            all.heard(None, &Stale::Key(number.to_string()), 2 + number);
        }
        assert!(!all.holds(before, &[first]));
        assert!(!all.holds_since(0, &[first]));
        assert!(all.holds_since(101, &[first]));
        let known = all.known.read();
        assert!(known.newer.len() + known.older.len() <= 10);
    }

    #[test]
    fn what_others_computed_before_a_declaration_is_told_is_stale_here_from_the_declaration_on() {
        let all = Invalidations::new(100, 10);
        let of_tag = all.tag(None, "t");
        assert!(all.holds_since(7, &[of_tag]));
        all.declare(None, tag("t"));
        assert!(!all.holds_since(7, &[of_tag]));
        let telling = all.unreported();
        all.declare(None, tag("t"));
        all.report(&telling, 8);
        assert!(!all.holds_since(8, &[of_tag]), "it was declared again");
        all.report(&all.unreported(), 9);
        assert!(all.unreported().is_empty());
        assert!(!all.holds_since(8, &[of_tag]));
        assert!(all.holds_since(9, &[of_tag]));
    }

    #[test]
    fn an_invalidation_that_is_forgotten_before_it_is_told_still_counts() {
        let all = Invalidations::new(2, 10);
        let first = all.tag(None, "first");
        all.declare(None, tag("first"));
        for number in 0..10 {
            all.heard(None, &Stale::Key(number.to_string()), 1);
        }
        assert!(!all.holds_since(5, &[first]));
        all.report(&all.unreported(), 6);
        assert!(!all.holds_since(5, &[first]));
        assert!(all.holds_since(6, &[first]));
    }

    #[test]
    fn invalidation_that_was_told_stays_where_an_earlier_one_is_heard_after_it() {
        let all = Invalidations::new(100, 10);
        let hash = all.tag(None, "t");
        all.declare(None, tag("t"));
        all.report(&all.unreported(), 2);
        all.heard(None, &tag("t"), 1);
        assert!(!all.holds_since(1, &[hash]));
        assert!(all.holds_since(2, &[hash]));
    }

    #[test]
    fn more_than_can_wait_to_be_told_is_told_as_everything() {
        let all = Invalidations::new(100, 3);
        let other = all.tag(None, "other");
        for number in 0..5 {
            all.declare(None, tag(&number.to_string()));
        }
        assert!(!all.holds_since(9, &[other]));
        let telling = all.unreported();
        assert!(telling.iter().any(|one| one.what == Stale::Plugin));
        all.report(&telling, 10);
        assert!(all.unreported().is_empty());
        assert!(!all.holds_since(9, &[other]));
        assert!(all.holds_since(10, &[other]));
    }
}
