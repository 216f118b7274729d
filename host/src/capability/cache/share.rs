//! One plugin's share of the cache: its entries, what it declared stale, and what
//! is being computed. It belongs to the plugin's name, so it survives swaps, and
//! no other plugin can push anything out of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::flight::{Flights, Joined, Lease};
use super::marks::{Marks, Moment};
use super::memory::{Key, Memory, Stored};
use super::{Config, Error, Options};
use crate::backend::postgres::invalidations::{Invalidation, Stale};
use crate::telemetry::host::CacheMetrics;

/// What a look-up found.
pub enum Found {
    Hit(Arc<Stored>),
    Stale(Arc<Stored>, Option<Lease>),
    Miss(Lease),
}

pub struct Share {
    pub plugin: Arc<str>,
    pub marks: Marks,
    pub(super) flights: Flights,
    pub(super) config: Config,
    pub(super) metrics: CacheMetrics,
    memory: Memory,
    fleet: Arc<Fleet>,
}

impl Share {
    pub(super) fn new(
        plugin: &str,
        config: &Config,
        metrics: CacheMetrics,
        fleet: Arc<Fleet>,
    ) -> Share {
        Share {
            plugin: plugin.into(),
            marks: Marks::new(config.marks_max),
            flights: Flights::default(),
            memory: Memory::new(config.plugin_bytes_max as u64),
            config: config.clone(),
            metrics,
            fleet,
        }
    }

    /// Whether this host would have heard of an invalidation by another one.
    pub fn vouches(&self) -> bool {
        self.fleet.vouches()
    }

    /// What is there, fresh or stale, and was not invalidated.
    fn known(&self, key: &Key) -> Option<Arc<Stored>> {
        let holds = |stored: &Arc<Stored>| self.marks.holds(stored.began, &stored.marks);
        self.memory
            .get(key)
            .filter(holds)
            .filter(|_| self.vouches())
    }

    /// A fresh value, and nothing else.
    pub fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        let found = self.known(key).filter(|stored| stored.is_fresh());
        match found {
            Some(_) => self.metrics.hits.increment(1),
            None => self.metrics.misses.increment(1),
        }
        found
    }

    /// Stores what was computed since `began`, unless it was invalidated in the
    /// meantime. Answers what was made of it, and when it was last invalidated.
    pub(super) fn put(
        &self,
        key: Key,
        value: Vec<u8>,
        options: &Options,
        began: Moment,
    ) -> Result<(Arc<Stored>, Moment), Error> {
        self.config.check(&key.name, &value, options)?;
        let customer = key.customer.as_deref();
        let tags = options.tags.iter().map(|tag| self.marks.tag(customer, tag));
        let own = self.marks.key(customer, &key.name);
        let capped = |ms: u64| Duration::from_millis(ms.min(self.config.ttl_ms_max));
        let stored = Arc::new(Stored {
            marks: tags.chain([own]).collect(),
            set: Instant::now(),
            ttl: capped(options.ttl_ms),
            stale: capped(options.stale_ms),
            value,
            began,
        });
        let invalidated = self.marks.last(&stored.marks);
        if invalidated <= began {
            self.memory.put(key, stored.clone());
            self.metrics.bytes.set(self.memory.bytes() as f64);
        }
        Ok((stored, invalidated))
    }

    /// `caller` is a number of the call's own: it never waits for itself.
    pub async fn lookup(self: &Arc<Self>, key: Key, caller: u64) -> Found {
        let asked = self.marks.now();
        let mut followed = false;
        loop {
            let flight = match self.join(&key, caller) {
                Ok(found) => return self.counted(found),
                Err(flight) => flight,
            };
            if !std::mem::replace(&mut followed, true) {
                self.metrics.coalesced.increment(1);
            }
            if let Some(stored) = flight.wait(asked).await {
                return Found::Hit(stored);
            }
        }
    }

    fn join(self: &Arc<Self>, key: &Key, caller: u64) -> Result<Found, Arc<super::flight::Flight>> {
        let wait_max = Duration::from_millis(self.config.lease_ms_max);
        let mut stale = None;
        let joined = self
            .flights
            .join(key, caller, self.marks.now(), wait_max, || {
                match self.known(key) {
                    Some(stored) if stored.is_fresh() => Ok(Found::Hit(stored)),
                    found => {
                        stale = found;
                        Err(())
                    }
                }
            });
        let lease = |flight| Lease {
            share: self.clone(),
            key: key.clone(),
            flight,
        };
        match (joined, stale) {
            (Ok(found), _) => Ok(found),
            (Err(Joined::Lead(flight)), Some(stale)) => {
                Ok(Found::Stale(stale, Some(lease(flight))))
            }
            (Err(Joined::Follow(_)), Some(stale)) => Ok(Found::Stale(stale, None)),
            (Err(Joined::Lead(flight)), None) => Ok(Found::Miss(lease(flight))),
            (Err(Joined::Follow(flight)), None) => Err(flight),
        }
    }

    fn counted(&self, found: Found) -> Found {
        match &found {
            Found::Hit(_) => self.metrics.hits.increment(1),
            Found::Stale(..) => self.metrics.stale.increment(1),
            Found::Miss(_) => self.metrics.misses.increment(1),
        }
        found
    }

    pub fn delete(&self, key: &Key) -> Moment {
        self.memory.remove(key);
        let stale = Stale::Key(key.name.to_string());
        self.tell(key.customer.as_deref(), stale)
    }

    pub fn invalidate_tag(&self, customer: Option<&str>, tag: &str) -> Moment {
        self.tell(customer, Stale::Tag(tag.to_owned()))
    }

    /// Here at once, and on the other hosts soon.
    fn tell(&self, customer: Option<&str>, what: Stale) -> Moment {
        let moment = self.apply(customer, &what);
        self.metrics.invalidations.increment(1);
        self.fleet.tell(Invalidation {
            plugin: self.plugin.to_string(),
            customer: customer.map(str::to_owned),
            what,
        });
        moment
    }

    pub(super) fn apply(&self, customer: Option<&str>, what: &Stale) -> Moment {
        match what {
            Stale::Tag(tag) => self.marks.mark(self.marks.tag(customer, tag)),
            Stale::Key(key) => self.marks.mark(self.marks.key(customer, key)),
            Stale::Plugin => {
                let moment = self.marks.mark_all();
                self.memory.clear();
                moment
            }
        }
    }
}

impl Lease {
    /// Sets the value and hands it to everyone who waits. After an error the
    /// lease is still there.
    pub(super) fn fulfil(
        slot: &mut Option<Lease>,
        value: Vec<u8>,
        options: &Options,
    ) -> Result<(), Error> {
        let Some(lease) = slot.as_ref() else {
            return Err(Error::Invalid("the lease has been fulfilled".into()));
        };
        let began = lease.flight.began;
        let (stored, invalidated) = lease.share.put(lease.key.clone(), value, options, began)?;
        if let Some(lease) = slot.take() {
            lease.land(stored, invalidated);
        }
        Ok(())
    }
}
