//! Which entries of a cache are whose. A cache that is bounded as a whole drops what is
//! asked for least, and a customer who asks a lot would keep all of it; so each has a
//! share, and beyond it loses its own oldest entries.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Customer;

pub struct Entries<K> {
    share_max: usize,
    state: Mutex<State<K>>,
}

struct State<K> {
    next: u64,
    /// Of those who have any entry, and of nobody else.
    owners: HashMap<Customer, Holding<K>>,
}

struct Holding<K> {
    bytes: usize,
    entries: HashMap<K, Entry>,
    /// The oldest first.
    order: BTreeMap<u64, K>,
}

struct Entry {
    number: u64,
    bytes: usize,
    /// Where its value lies, which tells it from another under the same key.
    value: usize,
}

impl<K: Clone + Eq + Hash> Entries<K> {
    pub fn new(share_max: usize) -> Entries<K> {
        let state = State {
            next: 0,
            owners: HashMap::new(),
        };
        Entries {
            share_max,
            state: Mutex::new(state),
        }
    }

    /// The cache has this value under this key, in place of any other.
    pub fn add<V>(&self, customer: &Customer, key: K, value: &Arc<V>, bytes: usize) {
        let mut state = self.state.lock();
        state.next += 1;
        let entry = Entry {
            number: state.next,
            bytes,
            value: Arc::as_ptr(value).addr(),
        };
        let holding = state.owners.entry(customer.clone()).or_default();
        holding.remove(&key);
        holding.bytes += bytes;
        holding.order.insert(entry.number, key.clone());
        holding.entries.insert(key, entry);
    }

    /// The cache has let go of this value.
    pub fn remove<V>(&self, customer: &Customer, key: &K, value: &Arc<V>) {
        let mut state = self.state.lock();
        let Some(holding) = state.owners.get_mut(customer) else {
            return;
        };
        let known = holding.entries.get(key).map(|entry| entry.value);
        if known == Some(Arc::as_ptr(value).addr()) {
            holding.remove(key);
        }
        state.forget(customer);
    }

    /// An entry that the cache has to let go of, for its customer has more than a
    /// share: the oldest.
    pub fn surplus(&self, customer: &Customer) -> Option<K> {
        let mut state = self.state.lock();
        let holding = state.owners.get_mut(customer)?;
        if holding.bytes <= self.share_max {
            return None;
        }
        let (_, oldest) = holding.order.pop_first()?;
        holding.remove(&oldest);
        state.forget(customer);
        Some(oldest)
    }
}

impl<K> State<K> {
    fn forget(&mut self, customer: &Customer) {
        let is_empty = |holding: &Holding<K>| holding.entries.is_empty();
        if self.owners.get(customer).is_some_and(is_empty) {
            self.owners.remove(customer);
        }
    }
}

impl<K> Default for Holding<K> {
    fn default() -> Holding<K> {
        Holding {
            bytes: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }
}

impl<K: Eq + Hash> Holding<K> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Customer = None;

    #[test]
    fn whoever_has_too_much_loses_its_own_oldest() {
        let entries = Entries::new(10);
        let value = Arc::new(());
        let acme: Customer = Some("acme".into());
        entries.add(&NOBODY, "other", &value, 10);
        for key in ["a", "b", "c"] {
            entries.add(&acme, key, &value, 4);
        }
        assert_eq!(entries.surplus(&acme), Some("a"));
        assert_eq!(entries.surplus(&acme), None);
        entries.add(&acme, "b", &value, 5);
        entries.add(&acme, "d", &value, 2);
        assert_eq!(entries.surplus(&acme), Some("c"), "b was set again since");
        assert_eq!(entries.surplus(&NOBODY), None);
    }

    #[test]
    fn what_the_cache_let_go_of_counts_no_more_unless_it_was_set_again() {
        let entries = Entries::new(10);
        let (old, new) = (Arc::new(1), Arc::new(2));
        entries.add(&NOBODY, "a", &old, 8);
        entries.add(&NOBODY, "a", &new, 8);
        entries.remove(&NOBODY, &"a", &old);
        entries.add(&NOBODY, "b", &new, 8);
        assert_eq!(entries.surplus(&NOBODY), Some("a"));
        entries.remove(&NOBODY, &"b", &new);
        assert!(entries.state.lock().owners.is_empty());
    }
}
