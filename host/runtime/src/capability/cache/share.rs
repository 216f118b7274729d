//! One plugin's share of the cache: its entries, what it declared stale, and what
//! is being computed. It belongs to the plugin's name, so it survives swaps, and
//! no other plugin can push anything out of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::flight::{ComputeLease, Flight, FlightRole, Flights};
use super::invalidations::{Invalidations, Moment, TagHash};
use super::memory::{CacheKey, Memory, Stored};
use super::metrics::CacheMetrics;
use super::shared::SharedTier;
use super::shared_look_up::SharedLookUp;
use super::{Config, Error, Options, Scope};
use hearth_backend::postgres::invalidations::{LogPosition, Stale, Tick};
use hearth_base::budget;

/// When a computation began.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    /// On this host.
    pub moment: Moment,
    /// In the fleet; `None` where this host hears nothing of it.
    pub position: Option<LogPosition>,
}

/// What a look-up found.
pub enum LookUp {
    Hit(Arc<Stored>),
    Stale(Arc<Stored>, Option<ComputeLease>),
    Miss(ComputeLease),
}

pub struct Share {
    pub plugin: Arc<str>,
    pub invalidations: Invalidations,
    pub(super) flights: Flights,
    pub(super) config: Config,
    pub(super) metrics: CacheMetrics,
    pub(super) memory: Memory,
    pub(super) fleet: Arc<Fleet>,
    pub(super) shared: Option<Arc<SharedTier>>,
}

impl Share {
    pub(super) fn new(
        plugin: &str,
        config: &Config,
        metrics: CacheMetrics,
        fleet: Arc<Fleet>,
        shared: Option<Arc<SharedTier>>,
    ) -> Share {
        let invalidations = Invalidations::new(config.marks_max, config.fleet_waiting_max);
        // What was told before was not kept for it.
        invalidations.begin(fleet.tick());
        Share {
            plugin: plugin.into(),
            invalidations,
            flights: Flights::default(),
            memory: Memory::new(
                config.plugin_bytes_max,
                budget::share(config.plugin_bytes_max, config.customer_percent_max),
            ),
            config: config.clone(),
            metrics,
            fleet,
            shared,
        }
    }

    /// Whether this host would have heard of an invalidation by another one.
    pub fn vouches(&self) -> bool {
        self.fleet.vouches()
    }

    /// What begins now. The position is from before, so it is none too late.
    pub(super) fn now(&self) -> Began {
        Began {
            position: self.fleet.heard().map(|heard| heard.position),
            moment: self.invalidations.now(),
        }
    }

    /// What is there, fresh or stale, and was not invalidated.
    fn find(&self, key: &CacheKey) -> Option<Arc<Stored>> {
        self.memory
            .get(key)
            .filter(|stored| self.holds(stored))
            .filter(|_| self.vouches())
    }

    pub(super) fn holds(&self, stored: &Stored) -> bool {
        self.invalidations.holds(stored.began, &stored.tags)
    }

    /// A fresh value, and nothing else.
    pub async fn get(&self, key: &CacheKey, scope: Scope) -> (Option<Arc<Stored>>, SharedLookUp) {
        let fresh = |stored: &Arc<Stored>| stored.is_fresh();
        let (found, second) = match (self.find(key).filter(fresh), scope) {
            (None, Scope::Shared) => self.fetch(key).await,
            (found, _) => (found, SharedLookUp::Nothing),
        };
        let found = found.filter(fresh);
        match (&found, second) {
            (Some(_), SharedLookUp::Served) => self.metrics.shared.increment(1),
            (Some(_), _) => self.metrics.hits.increment(1),
            (None, _) => self.metrics.misses.increment(1),
        }
        (found, second)
    }

    pub(super) fn tags_of(&self, key: &CacheKey, tags: &[String]) -> Vec<TagHash> {
        let customer = key.customer.as_deref();
        let tags = tags.iter().map(|tag| self.invalidations.tag(customer, tag));
        let own = self.invalidations.key(customer, &key.name);
        tags.chain([own]).collect()
    }

    /// Stores what was computed since `began`, unless it was invalidated in the
    /// meantime. Answers what was made of it, and when it was last invalidated.
    pub(super) fn put(
        &self,
        key: CacheKey,
        value: Vec<u8>,
        options: Options,
        began: Began,
    ) -> Result<(Arc<Stored>, Moment), Error> {
        self.config.check(&key.name, &value, &options)?;
        let capped = |ms: u64| Duration::from_millis(ms.min(self.config.ttl_ms_max));
        let stored = Arc::new(Stored {
            tags: self.tags_of(&key, &options.tags),
            came: Instant::now(),
            aged: Duration::ZERO,
            ttl: capped(options.ttl_ms),
            stale: capped(options.stale_ms),
            value,
            began: began.moment,
        });
        let invalidated = self.invalidations.last(&stored.tags);
        if invalidated <= began.moment {
            self.memory.put(key.clone(), stored.clone());
            self.metrics.bytes.set(self.memory.bytes() as f64);
            if options.scope == Scope::Shared {
                self.hand_out(key, &stored, options.tags, began);
            }
        }
        Ok((stored, invalidated))
    }

    /// `caller` is a number of the call's own: it never waits for itself.
    pub async fn lookup(
        self: &Arc<Self>,
        key: CacheKey,
        caller: u64,
        scope: Scope,
    ) -> (LookUp, SharedLookUp) {
        let asked = self.invalidations.now();
        let mut followed = false;
        loop {
            let flight = match self.join(&key, caller) {
                Ok(found) => {
                    let (found, second) = self.look_further(found, scope).await;
                    self.count(&found, second);
                    return (found, second);
                }
                Err(flight) => flight,
            };
            if !std::mem::replace(&mut followed, true) {
                self.metrics.coalesced.increment(1);
            }
            if let Some(stored) = flight.wait(asked).await {
                return (LookUp::Hit(stored), SharedLookUp::Nothing);
            }
        }
    }

    fn join(self: &Arc<Self>, key: &CacheKey, caller: u64) -> Result<LookUp, Arc<Flight>> {
        let wait_max = Duration::from_millis(self.config.lease_ms_max);
        let mut stale = None;
        let joined =
            self.flights
                .join(key, caller, self.now(), wait_max, || match self.find(key) {
                    Some(stored) if stored.is_fresh() => Ok(LookUp::Hit(stored)),
                    found => {
                        stale = found;
                        Err(())
                    }
                });
        let lease = |flight| ComputeLease {
            share: self.clone(),
            key: key.clone(),
            flight,
        };
        match (joined, stale) {
            (Ok(found), _) => Ok(found),
            (Err(FlightRole::Lead(flight)), Some(stale)) => {
                Ok(LookUp::Stale(stale, Some(lease(flight))))
            }
            (Err(FlightRole::Follow(_)), Some(stale)) => Ok(LookUp::Stale(stale, None)),
            (Err(FlightRole::Lead(flight)), None) => Ok(LookUp::Miss(lease(flight))),
            (Err(FlightRole::Follow(flight)), None) => Err(flight),
        }
    }

    fn count(&self, found: &LookUp, second: SharedLookUp) {
        match (found, second) {
            (LookUp::Hit(_), SharedLookUp::Served) => self.metrics.shared.increment(1),
            (LookUp::Hit(_), _) => self.metrics.hits.increment(1),
            (LookUp::Stale(..), _) => self.metrics.stale.increment(1),
            (LookUp::Miss(_), _) => self.metrics.misses.increment(1),
        }
    }

    pub(super) fn delete(&self, key: &CacheKey) -> Began {
        self.memory.remove(key);
        let stale = Stale::Key(key.name.to_string());
        self.declare(key.customer.as_deref(), stale)
    }

    pub(super) fn invalidate_tag(&self, customer: Option<&str>, tag: &str) -> Began {
        self.declare(customer, Stale::Tag(tag.to_owned()))
    }

    /// Here at once, and on the other hosts soon. What begins afterwards is newer.
    fn declare(&self, customer: Option<&str>, what: Stale) -> Began {
        let moment = self.invalidations.declare(customer, what);
        self.metrics.invalidations.increment(1);
        self.fleet.tell_soon();
        Began {
            moment,
            ..self.now()
        }
    }

    /// Another host declared something stale.
    pub(super) fn hear(&self, customer: Option<&str>, what: &Stale, tick: Tick) {
        self.invalidations.heard(customer, what, tick);
        if matches!(what, Stale::Plugin) {
            self.memory.clear();
        }
    }

    /// This host begins to listen: it knows nothing of what was told up to `tick`.
    pub(super) fn begin(&self, tick: Tick) {
        self.invalidations.begin(tick);
        self.memory.clear();
    }
}

impl ComputeLease {
    /// Sets the value and hands it to everyone who waits. After an error the
    /// lease is still there.
    pub(super) fn fulfil(
        slot: &mut Option<ComputeLease>,
        value: Vec<u8>,
        options: Options,
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
