//! Instances that wait for their next call, where a plugin asked for reuse.
//!
//! What a guest leaves in its memory belongs to the customer whose call it was. So an
//! instance that was called waits for that customer alone; calls without a customer
//! are those of one more. One that was never called serves anybody. Only where an
//! operator granted `reuse:shared` is an instance handed from customer to customer.
//!
//! To put an instance back to its first state is what the pool does when one is made
//! in a slot that was used, so nothing here does it: who finds none of its own gets a
//! fresh one. `make bench` compares the three.

mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::Gauge;
use parking_lot::Mutex;

use self::waiting::{Given, IdleKey, IdleQueue, InstanceOwner, WaitingBounds};
use super::admission::Customer;
use super::instance::Instance;
use crate::engine::config::Config as Limits;

/// What waits of all plugins: they hold slots of one pool.
pub struct IdleSlots {
    waiting: Mutex<IdleQueue<Waiter>>,
    deployments: AtomicU64,
}

impl IdleSlots {
    pub fn new(limits: &Limits) -> Arc<IdleSlots> {
        let bounds = WaitingBounds::new(
            limits.idle_instances_max,
            limits.customer_idle_instances_percent_max,
        );
        Arc::new(IdleSlots {
            waiting: Mutex::new(IdleQueue::new(bounds)),
            deployments: AtomicU64::new(0),
        })
    }
}

/// An instance, and the gauge that counts it for as long as it waits.
struct Waiter {
    instance: Instance,
    _counted: IdleGauge,
}

struct IdleGauge(Gauge);

impl Drop for IdleGauge {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The waiting instances of one deployment.
pub struct Idle {
    slots: Arc<IdleSlots>,
    /// Which of the slots' deployments it is.
    deployment: u64,
    bounds: IdleBounds,
    waiting_gauge: Gauge,
    open: AtomicBool,
    warming: AtomicBool,
}

/// How long instances of a deployment wait, and how many are kept ready.
#[derive(Clone, Copy, Debug)]
pub struct IdleBounds {
    /// Calls that one instance answers; 1 is no reuse.
    pub uses_max: u64,
    pub age_max: Duration,
    /// The manifest's `warm_instances_min`: of those that were never called.
    pub ready_min: usize,
    /// Whether one customer's instance serves the next one.
    pub shared: bool,
}

impl Idle {
    /// `uses_max` 1 keeps only what never answered yet: every call gets a fresh
    /// instance, which may have been made ahead of it.
    pub fn new(slots: Arc<IdleSlots>, bounds: IdleBounds, waiting_gauge: Gauge) -> Idle {
        Idle {
            deployment: slots.deployments.fetch_add(1, Relaxed),
            slots,
            bounds,
            waiting_gauge,
            open: true.into(),
            warming: false.into(),
        }
    }

    /// One that the customer used last, else one that nobody used.
    pub fn take(&self, customer: &Customer) -> Option<Instance> {
        let line = self.line(customer);
        let waiter = self.slots.waiting.lock().take(&line)?;
        Some(waiter.instance)
    }

    /// Whether fewer wait for anybody than the plugin wants ready.
    pub fn lacks(&self) -> bool {
        let ready = || self.slots.waiting.lock().ready(self.deployment);
        let wanted = self.bounds.ready_min;
        wanted > 0 && self.open.load(Relaxed) && ready() < wanted
    }

    /// The turn to make what is lacking; one at a time has it.
    pub fn begin_warming(&self) -> bool {
        self.lacks() && !self.warming.swap(true, Relaxed)
    }

    pub fn end_warming(&self) {
        self.warming.store(false, Relaxed);
    }

    /// Keeps an instance that answered cleanly, where it may serve again and there
    /// is room or one that was used longer ago makes some. Answers whether it was
    /// kept.
    pub fn give(&self, instance: Instance) -> bool {
        if !self.may_serve_again(&instance) || !instance.is_clean() {
            return false;
        }
        let line = (instance.uses() > 0).then(|| self.line(instance.customer()));
        self.waiting_gauge.increment(1.0);
        let waiter = Waiter {
            instance,
            _counted: IdleGauge(self.waiting_gauge.clone()),
        };
        let mut waiting = self.slots.waiting.lock();
        let Given { kept, gone } = match line {
            Some(line) => waiting.give(line, waiter),
            None => waiting.give_ready(self.deployment, waiter),
        };
        // To take an instance apart lasts longer than the lock shall be held.
        drop(waiting);
        drop(gone);
        kept
    }

    /// Drops what has grown too old.
    pub fn sweep(&self) {
        let old = |waiter: &Waiter| !self.may_serve_again(&waiter.instance);
        let gone = self.slots.waiting.lock().remove(self.deployment, old);
        drop(gone);
    }

    /// Drops everything that waits, and keeps nothing from now on.
    pub fn close(&self) {
        self.open.store(false, Relaxed);
        let gone = self.slots.waiting.lock().remove(self.deployment, |_| true);
        drop(gone);
    }

    fn line(&self, customer: &Customer) -> IdleKey {
        let owner = match self.bounds.shared {
            true => InstanceOwner::Everybody,
            false => InstanceOwner::Customer(customer.clone()),
        };
        IdleKey {
            deployment: self.deployment,
            owner,
        }
    }

    fn may_serve_again(&self, instance: &Instance) -> bool {
        self.open.load(Relaxed)
            && instance.uses() < self.bounds.uses_max
            && instance.born().elapsed() < self.bounds.age_max
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.close();
    }
}
