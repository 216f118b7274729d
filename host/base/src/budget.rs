//! What many share and one may not take: places or bytes, of which each customer has
//! a share at most. A [`Budget`] refuses at once; in a [`Room`] one waits for a seat;
//! of [`Entries`] that are too many the oldest go.

mod entries;
mod room;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use metrics::Gauge;
use parking_lot::Mutex;

pub use self::entries::Entries;
pub use self::room::{Room, Seat};

/// Whose share it is: nobody means everybody without a key, together. A key costs
/// something, an address does not.
pub type Customer = Option<Arc<str>>;

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("all of it is taken")]
    Whole,
    #[error("the share of one is taken")]
    Share,
}

/// Cloning shares it.
pub struct Budget<K> {
    shared: Arc<BudgetInner<K>>,
}

struct BudgetInner<K> {
    max: usize,
    share_max: usize,
    /// Shows how much is taken.
    gauge: Gauge,
    taken: Mutex<Amounts<K>>,
}

struct Amounts<K> {
    whole: usize,
    /// Of those who have anything, and of nobody else.
    shares: HashMap<K, usize>,
}

impl<K> Clone for Budget<K> {
    fn clone(&self) -> Budget<K> {
        Budget {
            shared: self.shared.clone(),
        }
    }
}

impl<K: Clone + Eq + Hash> Budget<K> {
    /// Of `max`, one may have so many percent: one piece at least.
    pub fn new(max: usize, percent_max: u64) -> Budget<K> {
        Budget::with_gauge(max, percent_max, Gauge::noop())
    }

    /// The same, with what shows how much of it is taken.
    pub fn with_gauge(max: usize, percent_max: u64, gauge: Gauge) -> Budget<K> {
        Budget::open(max, share(max, percent_max), gauge)
    }

    /// Of `max`, one may have `share_max`.
    pub fn with_share(max: usize, share_max: usize) -> Budget<K> {
        Budget::open(max, share_max, Gauge::noop())
    }

    fn open(max: usize, share_max: usize, gauge: Gauge) -> Budget<K> {
        let taken = Amounts {
            whole: 0,
            shares: HashMap::new(),
        };
        Budget {
            shared: Arc::new(BudgetInner {
                max,
                share_max,
                gauge,
                taken: Mutex::new(taken),
            }),
        }
    }

    /// A part that has nothing yet.
    pub fn part(&self, key: K) -> Part<K> {
        Part {
            budget: self.clone(),
            key,
            amount: 0,
        }
    }

    /// A part of so much.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub fn take(&self, key: K, amount: usize) -> Result<Part<K>, Full> {
        let mut part = self.part(key);
        part.grow_to(amount)?;
        Ok(part)
    }

    /// Whether there is room for anything more. Whoever has nothing finds some, be
    /// the whole taken by others.
    ///
    /// # Errors
    /// Where there is none.
    pub fn check(&self, key: &K) -> Result<(), Full> {
        let taken = self.shared.taken.lock();
        match taken.shares.get(key).copied().unwrap_or(0) {
            0 => Ok(()),
            own if own >= self.shared.share_max => Err(Full::Share),
            _ if taken.whole >= self.shared.max => Err(Full::Whole),
            _ => Ok(()),
        }
    }
}

/// `percent` of `of`, rounded up, one at least.
pub fn share(of: usize, percent: u64) -> usize {
    let percent = usize::try_from(percent).unwrap_or(100);
    of.saturating_mul(percent).div_ceil(100).clamp(1, of.max(1))
}

/// What somebody has of a budget, until it is dropped.
pub struct Part<K: Clone + Eq + Hash> {
    budget: Budget<K>,
    key: K,
    amount: usize,
}

impl<K: Clone + Eq + Hash> Part<K> {
    /// Makes it so large in all, where it is smaller.
    ///
    /// # Errors
    /// Where there is no room for that. It stays as it was.
    pub fn grow_to(&mut self, amount: usize) -> Result<(), Full> {
        let more = amount.saturating_sub(self.amount);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.budget.shared.taken.lock();
        let own = taken.shares.get(&self.key).copied().unwrap_or(0);
        if own.saturating_add(more) > self.budget.shared.share_max {
            return Err(Full::Share);
        }
        if taken.whole.saturating_add(more) > self.budget.shared.max {
            return Err(Full::Whole);
        }
        taken.set(&self.key, own, own + more);
        self.budget.shared.gauge.set(taken.whole as f64);
        self.amount = amount;
        Ok(())
    }

    /// Makes it so large, be there room or not: it is there already.
    pub fn set(&mut self, amount: usize) {
        let mut taken = self.budget.shared.taken.lock();
        let own = taken.shares.get(&self.key).copied().unwrap_or(0);
        let others = own.saturating_sub(self.amount);
        taken.set(&self.key, own, others.saturating_add(amount));
        self.budget.shared.gauge.set(taken.whole as f64);
        self.amount = amount;
    }
}

impl<K: Clone + Eq + Hash> Amounts<K> {
    fn set(&mut self, key: &K, before: usize, after: usize) {
        self.whole = self.whole.saturating_sub(before).saturating_add(after);
        match after {
            0 => self.shares.remove(key),
            _ => self.shares.insert(key.clone(), after),
        };
    }
}

impl<K: Clone + Eq + Hash> Drop for Part<K> {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_its_share_and_leaves_the_rest_to_others() {
        let budget = Budget::new(10, 60);
        let mut acme = budget.take("acme", 4).unwrap();
        acme.grow_to(6).unwrap();
        assert_eq!(acme.grow_to(7), Err(Full::Share));
        assert_eq!(budget.take("acme", 1).err(), Some(Full::Share));
        let _globex = budget.take("globex", 4).unwrap();
        assert_eq!(budget.take("initech", 1).err(), Some(Full::Whole));
        drop(acme);
        assert!(budget.take("initech", 6).is_ok());
    }

    #[test]
    fn what_is_there_already_counts_and_keeps_out_more_of_the_same() {
        let budget = Budget::new(10, 50);
        let mut acme = budget.part("acme");
        acme.set(20);
        assert_eq!(budget.check(&"acme"), Err(Full::Share));
        assert_eq!(budget.check(&"globex"), Ok(()), "it has nothing yet");
        let mut globex = budget.part("globex");
        globex.set(1);
        assert_eq!(budget.check(&"globex"), Err(Full::Whole));
        acme.set(3);
        assert_eq!(budget.check(&"acme"), Ok(()));
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_nothing() {
        let budget = Budget::new(10, 50);
        let _empty = budget.part("acme");
        drop(budget.take("globex", 5));
        assert!(budget.take("acme", 6).is_err());
        let taken = budget.shared.taken.lock();
        assert!(taken.shares.is_empty() && taken.whole == 0);
    }

    #[test]
    fn share_is_one_piece_at_least_and_the_whole_at_most() {
        assert_eq!(share(10_000, 25), 2_500);
        assert_eq!(share(3, 1), 1);
        assert_eq!(share(3, 500), 3);
    }
}
