//! The shared tier as one plugin's share uses it: what it takes from there, and on
//! what conditions, and what it puts there for the other hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scope;
use super::memory::{CacheKey, Stored};
use super::share::{Began, LookUp, Share};
use super::shared::{EntryName, Looked, SharedEntry, Write};
use hearth_backend::postgres::invalidations::Era;

/// How far Postgres's clock may have been put back since an entry was set. One from
/// further ahead says nothing of its age.
const AHEAD_MICROS_MAX: i64 = 1_000_000;

/// What the shared tier had to do with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedLookUp {
    /// Nothing: memory had it, or the tier has nothing either.
    Nothing,
    /// It had the value.
    Served,
    /// It could not be asked.
    Away,
}

impl Share {
    /// Looks into the shared tier. What is good there is then in memory, too.
    pub(super) async fn fetch(&self, key: &CacheKey) -> (Option<Arc<Stored>>, SharedLookUp) {
        let Some(shared) = &self.shared else {
            return (None, SharedLookUp::Nothing);
        };
        // What cannot be judged is not served.
        let Some(heard) = self.fleet.heard() else {
            return (None, SharedLookUp::Away);
        };
        let name = EntryName {
            era: heard.position.era,
            plugin: &self.plugin,
            customer: key.customer.as_deref(),
            key: &key.name,
        };
        let entry = match shared.look(&name).await {
            Looked::Entry(entry) => entry,
            Looked::Nothing => {
                self.metrics.shared_misses.increment(1);
                return (None, SharedLookUp::Nothing);
            }
            Looked::Away => return (None, SharedLookUp::Away),
        };
        let Some(stored) = self.judged(key, entry, name.era) else {
            self.metrics.shared_stale.increment(1);
            return (None, SharedLookUp::Nothing);
        };
        self.metrics.shared_hits.increment(1);
        let stored = Arc::new(stored);
        // Something newer may have been set here meanwhile.
        let better =
            |known: &Arc<Stored>| self.holds(known) && (known.is_fresh() || !stored.is_fresh());
        self.memory.fill(key.clone(), stored.clone(), better);
        (Some(stored), SharedLookUp::Served)
    }

    /// An entry of the shared tier as it is kept here; `None` where it is over, or
    /// was declared stale since its computation began, or may have been.
    fn judged(&self, key: &CacheKey, entry: SharedEntry, era: Era) -> Option<Stored> {
        // What is declared from here on makes it stale in memory.
        let began = self.invalidations.now();
        let tags = self.tags_of(key, &entry.tags);
        let heard = self
            .fleet
            .heard()
            .filter(|heard| heard.position.era == era)?;
        let aged = heard.latest().saturating_sub(entry.set_micros);
        if aged < -AHEAD_MICROS_MAX || !self.invalidations.holds_since(entry.began, &tags) {
            return None;
        }
        let stored = Stored {
            came: Instant::now(),
            aged: Duration::from_micros(u64::try_from(aged).unwrap_or(0)),
            ttl: entry.ttl,
            stale: entry.stale,
            value: entry.value,
            began,
            tags,
        };
        (!stored.is_over()).then_some(stored)
    }

    /// Lets the other hosts have it, beside the call: not where they would find it
    /// stale, since it began before an invalidation of this call was told.
    pub(super) fn hand_out(
        &self,
        key: CacheKey,
        stored: &Arc<Stored>,
        tags: Vec<String>,
        began: Began,
    ) {
        let (Some(shared), Some(began), Some(heard)) =
            (&self.shared, began.position, self.fleet.heard())
        else {
            return;
        };
        if !stored.is_over() && self.invalidations.holds_since(began.tick, &stored.tags) {
            shared.write(Write {
                plugin: self.plugin.clone(),
                key,
                stored: stored.clone(),
                tags,
                began,
                set_micros: heard.earliest(),
            });
        }
    }

    /// Whoever is to compute looks into the shared tier first, for all who wait.
    pub(super) async fn look_further(&self, found: LookUp, scope: Scope) -> (LookUp, SharedLookUp) {
        let (lease, known) = match found {
            LookUp::Miss(lease) if scope == Scope::Shared => (lease, None),
            LookUp::Stale(stored, Some(lease)) if scope == Scope::Shared => (lease, Some(stored)),
            found => return (found, SharedLookUp::Nothing),
        };
        let (fetched, second) = self.fetch(&lease.key).await;
        match (fetched, known) {
            (Some(stored), _) if stored.is_fresh() => {
                lease.land(stored.clone(), self.invalidations.last(&stored.tags));
                (LookUp::Hit(stored), second)
            }
            (Some(stale), None) => {
                lease.flight.look_again();
                (LookUp::Stale(stale, Some(lease)), second)
            }
            (Some(_), Some(known)) => (LookUp::Stale(known, Some(lease)), SharedLookUp::Nothing),
            (None, Some(known)) => (LookUp::Stale(known, Some(lease)), second),
            (None, None) => (LookUp::Miss(lease), second),
        }
    }
}
