//! The idle instances of all deployments: for whom each waits, and which of them is dropped
//! where there is no more room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use crate::plugin::admission::Customer;

/// How many wait at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingBounds {
    max: usize,
    /// For one customer, of all deployments.
    customer_max: usize,
}

impl WaitingBounds {
    /// The share is rounded up to whole instances.
    pub(super) fn new(max: usize, customer_percent: u64) -> WaitingBounds {
        let percent = usize::try_from(customer_percent).unwrap_or(100);
        WaitingBounds {
            max,
            customer_max: max.saturating_mul(percent).div_ceil(100).min(max),
        }
    }
}

/// Who may see what is in an instance's memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum InstanceOwner {
    Customer(Customer),
    /// Of a plugin that may share its instances.
    Everybody,
}

/// Those that wait for the same calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct IdleKey {
    pub(super) deployment: u64,
    pub(super) owner: InstanceOwner,
}

/// What became of one that was given, and which has to go: itself or another.
pub(super) struct Given<T> {
    pub(super) kept: bool,
    pub(super) gone: Option<T>,
}

/// All that waits. What was used longest ago goes first, so those who call often keep
/// theirs, however many call once; and one customer has no more than a share. What is
/// kept ready for anybody was asked for by number, so it makes room for nobody.
pub(super) struct IdleQueue<T> {
    bounds: WaitingBounds,
    ready: HashMap<u64, Vec<T>>,
    /// By when each was used last.
    used: BTreeMap<u64, (IdleKey, T)>,
    lines: Index<IdleKey>,
    owners: Index<InstanceOwner>,
    last: u64,
}

impl<T> IdleQueue<T> {
    pub(super) fn new(bounds: WaitingBounds) -> IdleQueue<T> {
        IdleQueue {
            bounds,
            ready: HashMap::new(),
            used: BTreeMap::new(),
            lines: Index::default(),
            owners: Index::default(),
            last: 0,
        }
    }

    /// The one that was used last, so that the rest grow old and go; else one that
    /// nobody used.
    pub(super) fn take(&mut self, line: &IdleKey) -> Option<T> {
        match self.lines.newest(line) {
            Some(number) => self.take_used(number),
            None => self.take_ready(line.deployment),
        }
    }

    /// Keeps one that was used.
    pub(super) fn give(&mut self, line: IdleKey, given: T) -> Given<T> {
        let of_owner = self.owners.count(&line.owner);
        let full_share =
            line.owner != InstanceOwner::Everybody && of_owner >= self.bounds.customer_max;
        let oldest = match full_share {
            true => self.owners.oldest(&line.owner),
            false => self.oldest(),
        };
        let gone = match full_share || self.is_full() {
            true => oldest.and_then(|number| self.take_used(number)),
            false => None,
        };
        if self.is_full() {
            return Given {
                kept: false,
                gone: Some(given),
            };
        }
        self.last += 1;
        self.lines.insert(&line, self.last);
        self.owners.insert(&line.owner, self.last);
        self.used.insert(self.last, (line, given));
        Given { kept: true, gone }
    }

    /// Keeps one that nobody used, for any call of its deployment.
    pub(super) fn give_ready(&mut self, deployment: u64, given: T) -> Given<T> {
        let gone = match self.is_full() {
            true => self.oldest().and_then(|number| self.take_used(number)),
            false => None,
        };
        if self.is_full() {
            return Given {
                kept: false,
                gone: Some(given),
            };
        }
        self.ready.entry(deployment).or_default().push(given);
        Given { kept: true, gone }
    }

    /// How many that nobody used wait.
    pub(super) fn ready(&self, deployment: u64) -> usize {
        self.ready.get(&deployment).map_or(0, Vec::len)
    }

    /// Removes all of a deployment that are to go.
    pub(super) fn remove(&mut self, deployment: u64, goes: impl Fn(&T) -> bool) -> Vec<T> {
        let all = self.ready.remove(&deployment).unwrap_or_default();
        let (mut gone, kept): (Vec<T>, Vec<T>) = all.into_iter().partition(&goes);
        if !kept.is_empty() {
            self.ready.insert(deployment, kept);
        }
        let of_deployment = self.used.iter().filter(|(_, (line, waiting))| {
            let own = line.deployment == deployment;
            own && goes(waiting)
        });
        let numbers: Vec<u64> = of_deployment.map(|(number, _)| *number).collect();
        gone.extend(
            numbers
                .into_iter()
                .filter_map(|number| self.take_used(number)),
        );
        gone
    }

    fn take_used(&mut self, number: u64) -> Option<T> {
        let (line, taken) = self.used.remove(&number)?;
        self.lines.remove(&line, number);
        self.owners.remove(&line.owner, number);
        Some(taken)
    }

    fn take_ready(&mut self, deployment: u64) -> Option<T> {
        let ready = self.ready.get_mut(&deployment)?;
        let taken = ready.pop();
        if ready.is_empty() {
            self.ready.remove(&deployment);
        }
        taken
    }

    fn oldest(&self) -> Option<u64> {
        self.used.first_key_value().map(|(number, _)| *number)
    }

    fn is_full(&self) -> bool {
        let ready: usize = self.ready.values().map(Vec::len).sum();
        self.used.len() + ready >= self.bounds.max
    }
}

/// The numbers of those that have something in common, the oldest first.
struct Index<K>(HashMap<K, BTreeSet<u64>>);

impl<K> Default for Index<K> {
    fn default() -> Index<K> {
        Index(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    fn insert(&mut self, key: &K, number: u64) {
        self.0.entry(key.clone()).or_default().insert(number);
    }

    fn remove(&mut self, key: &K, number: u64) {
        let Some(numbers) = self.0.get_mut(key) else {
            return;
        };
        numbers.remove(&number);
        if numbers.is_empty() {
            self.0.remove(key);
        }
    }

    fn oldest(&self, key: &K) -> Option<u64> {
        self.0.get(key).and_then(BTreeSet::first).copied()
    }

    fn newest(&self, key: &K) -> Option<u64> {
        self.0.get(key).and_then(BTreeSet::last).copied()
    }

    fn count(&self, key: &K) -> usize {
        self.0.get(key).map_or(0, BTreeSet::len)
    }
}

#[cfg(test)]
mod tests;
