//! The first tier: what a plugin cached in this host's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use moka::notification::RemovalCause;
use moka::ops::compute::{CompResult, Op};

use super::invalidations::{Moment, TagHash};
use hearth_base::budget::Entries;

/// The customer, whom the host stamps, and what the guest calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    pub customer: Option<Arc<str>>,
    pub name: Arc<str>,
}

/// A value and how long it is good for.
#[derive(Debug)]
pub struct Stored {
    pub value: Vec<u8>,
    /// When it came to this host, and how old it was then.
    pub came: Instant,
    pub aged: Duration,
    pub ttl: Duration,
    /// Past `ttl`.
    pub stale: Duration,
    /// When its computation began, among the invalidations.
    pub began: Moment,
    /// Its key's and its tags'.
    pub tags: Vec<TagHash>,
}

impl Stored {
    pub fn age(&self) -> Duration {
        self.aged.saturating_add(self.came.elapsed())
    }

    pub fn is_fresh(&self) -> bool {
        self.age() < self.ttl
    }

    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// For how long it may yet be served, be it as stale.
    fn left(&self) -> Duration {
        let life = self.ttl.saturating_add(self.stale);
        life.saturating_sub(self.age())
    }
}

/// What an entry costs beside its key, value and tags: moka's node, ours, and who has
/// it.
const OVERHEAD_BYTES: usize = 448;

fn weigh(key: &CacheKey, stored: &Arc<Stored>) -> u32 {
    let customer = key.customer.as_ref().map_or(0, |customer| customer.len());
    let tags = std::mem::size_of_val(&*stored.tags);
    let bytes = OVERHEAD_BYTES + customer + key.name.len() + stored.value.len() + tags;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

struct Lifetime;

impl moka::Expiry<CacheKey, Arc<Stored>> for Lifetime {
    fn expire_after_create(
        &self,
        _: &CacheKey,
        stored: &Arc<Stored>,
        _: Instant,
    ) -> Option<Duration> {
        Some(stored.left())
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        stored: &Arc<Stored>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(stored.left())
    }
}

/// One plugin's entries, bounded in bytes, and so is what one customer has of them. The
/// hottest stay.
pub struct Memory {
    entries: moka::sync::Cache<CacheKey, Arc<Stored>>,
    holdings: Arc<Entries<CacheKey>>,
    /// Bytes put in since the bound was last enforced.
    owed: AtomicU64,
    owed_max: u64,
}

impl Memory {
    pub fn new(bytes_max: usize, customer_bytes_max: usize) -> Memory {
        let bytes_max = bytes_max as u64;
        let holdings: Arc<Entries<CacheKey>> = Arc::new(Entries::new(customer_bytes_max));
        let known = holdings.clone();
        let gone = move |key: Arc<CacheKey>, stored: Arc<Stored>, cause: RemovalCause| {
            if cause != RemovalCause::Replaced {
                known.remove(&key.customer, &key, &stored);
            }
        };
        let entries = moka::sync::Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .expire_after(Lifetime)
            .eviction_listener(gone)
            .build();
        Memory {
            entries,
            holdings,
            owed: AtomicU64::new(0),
            owed_max: bytes_max / 16,
        }
    }

    /// What is there and not over, be it fresh or stale.
    pub fn get(&self, key: &CacheKey) -> Option<Arc<Stored>> {
        self.entries.get(key).filter(|stored| !stored.is_over())
    }

    pub fn put(&self, key: CacheKey, stored: Arc<Stored>) {
        self.entries.insert(key.clone(), stored.clone());
        self.enforce(key, &stored);
    }

    /// Puts it where there is nothing that is `better`.
    pub fn fill(
        &self,
        key: CacheKey,
        stored: Arc<Stored>,
        better: impl FnOnce(&Arc<Stored>) -> bool,
    ) {
        let filled = self.entries.entry(key.clone()).and_compute_with(|known| {
            let known = known.map(moka::Entry::into_value);
            match known.is_some_and(|known| better(&known)) {
                true => Op::Nop,
                false => Op::Put(stored.clone()),
            }
        });
        if matches!(
            filled,
            CompResult::Inserted(_) | CompResult::ReplacedWith(_)
        ) {
            self.enforce(key, &stored);
        }
    }

    /// moka enforces its bound from time to time, which for large values may be
    /// too late; and it knows no customers.
    fn enforce(&self, key: CacheKey, stored: &Arc<Stored>) {
        let (customer, bytes) = (key.customer.clone(), weigh(&key, stored));
        self.holdings.add(&customer, key, stored, bytes as usize);
        while let Some(oldest) = self.holdings.surplus(&customer) {
            self.entries.invalidate(&oldest);
        }
        let bytes = u64::from(bytes);
        if self.owed.fetch_add(bytes, Relaxed) + bytes > self.owed_max {
            self.owed.store(0, Relaxed);
            self.entries.run_pending_tasks();
        }
    }

    pub fn remove(&self, key: &CacheKey) {
        self.entries.invalidate(key);
    }

    pub fn clear(&self) {
        self.entries.invalidate_all();
    }

    /// Bytes held, to within what is owed.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }
}
