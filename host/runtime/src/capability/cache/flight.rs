//! Single flight: of all callers that miss a key, one computes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::invalidations::Moment;
use super::memory::{CacheKey, Stored};
use super::share::{Began, Share};

/// A computation that others may wait for.
pub(super) struct Flight {
    /// The call that computes.
    holder: u64,
    pub(super) began: Began,
    /// When waiting for it makes no sense any more.
    until: Instant,
    state: watch::Sender<State>,
}

#[derive(Clone)]
enum State {
    /// The number grows when there is something new to look at meanwhile.
    UnderWay(u32),
    /// Nobody computes: whoever asks next does.
    GivenUp,
    Landed {
        stored: Arc<Stored>,
        /// When it was last declared stale, if ever.
        invalidated: Moment,
    },
}

impl Flight {
    fn new(holder: u64, began: Began, wait_max: Duration) -> Flight {
        Flight {
            holder,
            began,
            until: Instant::now() + wait_max,
            state: watch::Sender::new(State::UnderWay(0)),
        }
    }

    /// A call never waits for itself, nor anybody for ever.
    fn is_worth_waiting(&self, holder: u64) -> bool {
        self.holder != holder && Instant::now() < self.until
    }

    /// The value for somebody who asked at `asked`. One that was declared stale
    /// while it was computed is good only for those who asked before.
    pub(super) async fn wait(&self, asked: Moment) -> Option<Arc<Stored>> {
        let mut state = self.state.subscribe();
        let seen = match &*state.borrow() {
            State::UnderWay(seen) => Some(*seen),
            _ => None,
        };
        let news = |state: &State| !matches!(state, State::UnderWay(now) if Some(*now) == seen);
        let over = state.wait_for(news);
        match &*timeout_at(self.until, over).await.ok()?.ok()? {
            State::Landed {
                stored,
                invalidated,
            } if *invalidated <= stored.began || asked < *invalidated => Some(stored.clone()),
            _ => None,
        }
    }

    /// Who waits is to look whether something stale is there now.
    pub(super) fn look_again(&self) {
        self.state.send_modify(|state| {
            if let State::UnderWay(seen) = state {
                *seen = seen.wrapping_add(1);
            }
        });
    }
}

/// What a caller that found no fresh value is to do.
pub(super) enum FlightRole {
    /// Compute it.
    Lead(Arc<Flight>),
    /// Somebody is at it.
    Follow(Arc<Flight>),
}

/// The computations of one plugin that are under way.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<CacheKey, Arc<Flight>>>,
}

impl Flights {
    /// `known` is asked again under the lock, so that nobody computes what has
    /// just landed.
    pub(super) fn join<T>(
        &self,
        key: &CacheKey,
        holder: u64,
        began: Began,
        wait_max: Duration,
        known: impl FnOnce() -> Result<T, ()>,
    ) -> Result<T, FlightRole> {
        let mut under_way = self.under_way.lock();
        if let Ok(found) = known() {
            return Ok(found);
        }
        match under_way.get(key) {
            Some(flight) if flight.is_worth_waiting(holder) => {
                Err(FlightRole::Follow(flight.clone()))
            }
            _ => {
                let flight = Arc::new(Flight::new(holder, began, wait_max));
                under_way.insert(key.clone(), flight.clone());
                Err(FlightRole::Lead(flight))
            }
        }
    }

    fn remove(&self, key: &CacheKey, flight: &Arc<Flight>) {
        let mut under_way = self.under_way.lock();
        if under_way
            .get(key)
            .is_some_and(|known| Arc::ptr_eq(known, flight))
        {
            under_way.remove(key);
        }
    }
}

/// The right to compute one key. Dropped, the next who waits gets it: a call that
/// traps or runs out of time drops its own.
pub struct ComputeLease {
    pub(super) share: Arc<Share>,
    pub(super) key: CacheKey,
    pub(super) flight: Arc<Flight>,
}

impl ComputeLease {
    /// Hands the value to everyone who waits.
    pub(super) fn land(self, stored: Arc<Stored>, invalidated: Moment) {
        self.share.flights.remove(&self.key, &self.flight);
        self.flight.state.send_replace(State::Landed {
            stored,
            invalidated,
        });
    }
}

impl Drop for ComputeLease {
    fn drop(&mut self) {
        self.share.flights.remove(&self.key, &self.flight);
        self.flight.state.send_if_modified(|state| {
            let given_up = matches!(state, State::UnderWay(_));
            if given_up {
                *state = State::GivenUp;
            }
            given_up
        });
    }
}
