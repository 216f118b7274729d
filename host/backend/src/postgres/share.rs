//! Who gets the next free connection of a plugin.
//!
//! First come, first served, with two exceptions. A customer that already holds
//! its share of the pool lets the others go first. And no customer has the last
//! connections: whoever works for a long time in each would keep the others waiting
//! for as long.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::tenancy::Tenant;
use hearth_base::budget;

/// The right to use one connection of a pool, given back when dropped.
pub struct Permit {
    share: Arc<Share>,
    tenant: Tenant,
}

/// More callers wait than may wait (`sql.waiters_max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls wait for a connection")]
pub struct Full;

pub struct Share {
    /// What a tenant may hold while another one waits.
    fair_max: usize,
    /// What a tenant may hold at all.
    tenant_max: usize,
    waiters_max: usize,
    state: Mutex<State>,
}

struct State {
    free: usize,
    held: HashMap<Tenant, usize>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    tenant: Tenant,
    sender: oneshot::Sender<Permit>,
}

enum Admission {
    Granted,
    Waiting(oneshot::Receiver<Permit>),
}

impl Share {
    /// For a pool of `size` connections. `fair_percent` of them, at least one, are a
    /// tenant's share while others wait, and `percent_max`, rounded up, at all.
    pub fn new(
        size: usize,
        fair_percent: usize,
        percent_max: u64,
        waiters_max: usize,
    ) -> Arc<Share> {
        let fair_max = (size.saturating_mul(fair_percent) / 100).clamp(1, size.max(1));
        let state = State {
            free: size,
            held: HashMap::new(),
            waiting: VecDeque::new(),
        };
        Arc::new(Share {
            fair_max,
            tenant_max: budget::share(size, percent_max),
            waiters_max,
            state: Mutex::new(state),
        })
    }

    /// Waits for a permit for as long as the caller polls.
    pub async fn acquire(self: &Arc<Share>, tenant: &Tenant) -> Result<Permit, Full> {
        match self.take_place(tenant)? {
            Admission::Granted => Ok(Permit {
                share: self.clone(),
                tenant: tenant.clone(),
            }),
            // The sender is dropped only with the share, which `self` keeps.
            Admission::Waiting(receiver) => receiver.await.map_err(|_| Full),
        }
    }

    fn take_place(&self, tenant: &Tenant) -> Result<Admission, Full> {
        let mut state = self.state.lock();
        if state.free > 0 && state.held(tenant) < self.tenant_max {
            state.free -= 1;
            *state.held.entry(tenant.clone()).or_default() += 1;
            return Ok(Admission::Granted);
        }
        state.waiting.retain(|waiter| !waiter.sender.is_closed());
        if state.waiting.len() >= self.waiters_max {
            return Err(Full);
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(Waiter {
            tenant: tenant.clone(),
            sender,
        });
        Ok(Admission::Waiting(receiver))
    }

    /// How many callers wait.
    pub fn waiting(&self) -> usize {
        self.state
            .lock()
            .waiting
            .iter()
            .filter(|waiter| !waiter.sender.is_closed())
            .count()
    }

    /// Takes back one permit and answers who gets it next.
    fn release(&self, tenant: &Tenant) -> Option<Waiter> {
        let mut state = self.state.lock();
        state.forget_one(tenant);
        state.waiting.retain(|waiter| !waiter.sender.is_closed());
        let Some(next) = state.next(self.fair_max, self.tenant_max) else {
            state.free += 1;
            return None;
        };
        *state.held.entry(next.tenant.clone()).or_default() += 1;
        Some(next)
    }
}

impl State {
    fn forget_one(&mut self, tenant: &Tenant) {
        if let Some(held) = self.held.get_mut(tenant) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(tenant);
            }
        }
    }

    fn held(&self, tenant: &Tenant) -> usize {
        self.held.get(tenant).copied().unwrap_or(0)
    }

    /// The first waiter below its share; where all are at it, the first who may have
    /// more.
    fn next(&mut self, fair_max: usize, tenant_max: usize) -> Option<Waiter> {
        let below = |max: usize| {
            let mut waiting = self.waiting.iter();
            waiting.position(|waiter| self.held(&waiter.tenant) < max)
        };
        let place = below(fair_max).or_else(|| below(tenant_max))?;
        self.waiting.remove(place)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(next) = self.share.release(&self.tenant) else {
            return;
        };
        let permit = Permit {
            share: self.share.clone(),
            tenant: next.tenant,
        };
        // A waiter that left at this very moment drops the permit, which passes
        // it on.
        let _ = next.sender.send(permit);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn tenant(id: &str) -> Tenant {
        Tenant::of(Some(&Arc::from(id))).unwrap()
    }

    #[test]
    fn one_tenant_alone_leaves_a_connection_to_the_next() {
        let share = Share::new(4, 50, 75, 10);
        let (a, b) = (tenant("a"), tenant("b"));
        let mut permits: Vec<_> = (0..3).map(|_| share.acquire(&a).now_or_never()).collect();
        assert!(permits.iter().all(Option::is_some));
        let mut fourth = Box::pin(share.acquire(&a));
        assert!((&mut fourth).now_or_never().is_none());
        let other = share.acquire(&b).now_or_never();
        assert!(other.is_some());
        drop(other);
        assert!((&mut fourth).now_or_never().is_none());
        permits.pop();
        assert!(fourth.now_or_never().is_some());
    }

    #[test]
    fn a_tenant_past_its_share_lets_the_other_go_first() {
        let share = Share::new(2, 50, 100, 10);
        let (a, b) = (tenant("a"), tenant("b"));
        let first = share.acquire(&a).now_or_never();
        let second = share.acquire(&a).now_or_never();
        let mut third = Box::pin(share.acquire(&a));
        let mut other = Box::pin(share.acquire(&b));
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut other).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut other).now_or_never().is_some());
        drop(second);
        assert!(third.now_or_never().is_some());
    }

    #[test]
    fn a_waiter_that_left_gets_nothing_and_loses_nothing() {
        let share = Share::new(1, 50, 100, 10);
        let a = tenant("a");
        let held = share.acquire(&a).now_or_never();
        let mut gone = Box::pin(share.acquire(&a));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        drop(held);
        assert!(share.acquire(&a).now_or_never().is_some());
    }

    #[test]
    fn a_permit_on_its_way_to_a_waiter_that_leaves_is_not_lost() {
        let share = Share::new(1, 50, 100, 10);
        let a = tenant("a");
        let held = share.acquire(&a).now_or_never();
        let mut waiter = Box::pin(share.acquire(&a));
        assert!((&mut waiter).now_or_never().is_none());
        drop(held);
        drop(waiter);
        assert!(share.acquire(&a).now_or_never().is_some());
    }

    #[test]
    fn no_more_wait_than_may() {
        let share = Share::new(1, 50, 100, 1);
        let a = tenant("a");
        let _held = share.acquire(&a).now_or_never();
        let mut waiter = Box::pin(share.acquire(&a));
        assert!((&mut waiter).now_or_never().is_none());
        assert!(matches!(share.acquire(&a).now_or_never(), Some(Err(Full))));
        assert_eq!(share.waiting(), 1);
    }
}
