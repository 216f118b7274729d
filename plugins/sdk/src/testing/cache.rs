//! The cache of a test: one tier, without a bound.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::lend;

pub use crate::bindings::imports::hearth::plugin::cache::{Entry, Error, Options, Scope};

/// A value, and for how long it counts.
struct Cached {
    value: Vec<u8>,
    since: Instant,
    ttl: Duration,
    stale: Duration,
    tags: Vec<String>,
}

/// Values by their keys.
#[derive(Default)]
pub(super) struct Cache(BTreeMap<String, Cached>);

/// The right to compute a value. Nobody else of the thread can wait for it.
#[derive(Debug)]
pub struct Lease {
    key: String,
}

/// What a look-up found.
pub enum Found {
    Hit(Entry),
    Stale((Entry, Option<Lease>)),
    Miss(Lease),
}

impl Cached {
    fn entry(&self) -> Entry {
        Entry {
            value: self.value.clone(),
            age_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Lease {
    pub(crate) fn fulfil(&self, value: &[u8], options: &Options) -> Result<(), Error> {
        set(&self.key, value, options)
    }
}

pub(crate) fn get(key: &str, _scope: Scope) -> Option<Entry> {
    lend(|state| {
        let cached = state.cache.0.get(key);
        let fresh = cached.filter(|cached| cached.since.elapsed() < cached.ttl);
        fresh.map(Cached::entry)
    })
}

pub(crate) fn set(key: &str, value: &[u8], options: &Options) -> Result<(), Error> {
    let cached = Cached {
        value: value.to_vec(),
        since: Instant::now(),
        ttl: Duration::from_millis(options.ttl_ms),
        stale: Duration::from_millis(options.stale_ms),
        tags: options.tags.clone(),
    };
    lend(|state| state.cache.0.insert(key.into(), cached));
    Ok(())
}

pub(crate) fn delete(key: &str) {
    lend(|state| state.cache.0.remove(key));
}

pub(crate) fn invalidate_tag(tag: &str) {
    let has = |cached: &Cached| cached.tags.iter().any(|own| own == tag);
    lend(|state| state.cache.0.retain(|_, cached| !has(cached)));
}

pub(crate) fn lookup(key: &str, _scope: Scope) -> Found {
    let lease = Lease { key: key.into() };
    lend(|state| match state.cache.0.get(key) {
        Some(cached) if cached.since.elapsed() < cached.ttl => Found::Hit(cached.entry()),
        Some(cached) if cached.since.elapsed() < cached.ttl + cached.stale => {
            Found::Stale((cached.entry(), Some(lease)))
        }
        _ => Found::Miss(lease),
    })
}
