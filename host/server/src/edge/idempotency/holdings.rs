//! What each customer has in `hearth.idempotency`: counted now and then, so about.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Config;

/// Whoever has less than so much of a share is not counted by name.
const HEAVY: u64 = 10;

/// The keys of one customer that are kept, and the bytes of their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub keys: u64,
    pub bytes: u64,
}

pub(super) struct Holdings {
    max: Holding,
    /// As they were counted, of customers with a good part of a share; with what this
    /// host has added since.
    known: Mutex<HashMap<String, Holding>>,
}

impl Holdings {
    pub(super) fn new(config: &Config) -> Holdings {
        Holdings {
            max: Holding {
                keys: config.customer_keys_max,
                bytes: config.customer_answers_bytes_max,
            },
            known: Mutex::default(),
        }
    }

    /// From where on a customer is to be counted by name.
    pub(super) fn heavy(&self) -> Holding {
        Holding {
            keys: self.max.keys / HEAVY,
            bytes: self.max.bytes / HEAVY,
        }
    }

    pub(super) fn set(&self, counted: HashMap<String, Holding>) {
        *self.known.lock() = counted;
    }

    fn of(&self, customer: &str) -> Holding {
        let known = self.known.lock();
        known.get(customer).copied().unwrap_or_default()
    }

    /// Whether a customer may have one more key.
    pub(super) fn has_room(&self, customer: &str) -> bool {
        self.of(customer).keys < self.max.keys
    }

    pub(super) fn add_key(&self, customer: &str) {
        let mut known = self.known.lock();
        known.entry(customer.to_owned()).or_default().keys += 1;
    }

    /// A key is free again, so it counts no more.
    pub(super) fn remove_key(&self, customer: &str) {
        if let Some(own) = self.known.lock().get_mut(customer) {
            own.keys = own.keys.saturating_sub(1);
        }
    }

    /// Whether an answer of so many bytes may be kept; then it counts.
    pub(super) fn add_answer(&self, customer: &str, bytes: usize) -> bool {
        let mut known = self.known.lock();
        let own = known.entry(customer.to_owned()).or_default();
        let after = own.bytes.saturating_add(bytes as u64);
        let fits = after <= self.max.bytes;
        if fits {
            own.bytes = after;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_has_so_many_keys_and_bytes_and_another_has_its_own() {
        let holdings = Holdings::new(&Config {
            customer_keys_max: 2,
            customer_answers_bytes_max: 100,
            ..Config::default()
        });
        holdings.add_key("acme");
        assert!(holdings.has_room("acme"));
        holdings.add_key("acme");
        assert!(!holdings.has_room("acme") && holdings.has_room("globex"));
        holdings.remove_key("acme");
        assert!(holdings.has_room("acme"));
        holdings.add_key("acme");
        assert!(holdings.add_answer("acme", 100));
        assert!(!holdings.add_answer("acme", 1) && holdings.add_answer("globex", 1));
        holdings.set(HashMap::new());
        assert!(holdings.has_room("acme") && holdings.add_answer("acme", 1));
    }
}
