//! Instances that wait for their next call, where a plugin asked for reuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use metrics::Gauge;
use parking_lot::Mutex;

use super::instance::Instance;

/// How many instances of all plugins wait at once: they hold slots of the pool.
#[derive(Debug)]
pub struct IdleSlots {
    taken: AtomicUsize,
    max: usize,
}

impl IdleSlots {
    pub fn new(max: usize) -> Arc<IdleSlots> {
        Arc::new(IdleSlots {
            taken: AtomicUsize::new(0),
            max,
        })
    }

    fn take(self: &Arc<Self>) -> Option<IdleSlot> {
        let room = |taken: usize| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, room).ok()?;
        Some(IdleSlot(self.clone()))
    }
}

struct IdleSlot(Arc<IdleSlots>);

impl Drop for IdleSlot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

/// The waiting instances of one deployment, the last used first, so that the
/// rest grow old and go.
pub struct Idle {
    waiting: Mutex<Vec<(Instance, IdleSlot)>>,
    slots: Arc<IdleSlots>,
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
    /// The manifest's `warm_instances_min`.
    pub ready_min: usize,
}

impl Idle {
    /// `uses_max` 1 keeps only what never answered yet: every call gets a fresh
    /// instance, which may have been made ahead of it.
    pub fn new(slots: Arc<IdleSlots>, bounds: IdleBounds, waiting_gauge: Gauge) -> Idle {
        Idle {
            waiting: Mutex::new(Vec::new()),
            slots,
            bounds,
            waiting_gauge,
            open: true.into(),
            warming: false.into(),
        }
    }

    pub fn take(&self) -> Option<Instance> {
        let (instance, _slot) = self.waiting.lock().pop()?;
        self.waiting_gauge.decrement(1.0);
        Some(instance)
    }

    /// Whether fewer wait than the plugin wants ready.
    pub fn lacks(&self) -> bool {
        self.open.load(Relaxed) && self.waiting.lock().len() < self.bounds.ready_min
    }

    /// The turn to make what is lacking; one at a time has it.
    pub fn begin_warming(&self) -> bool {
        self.lacks() && !self.warming.swap(true, Relaxed)
    }

    pub fn end_warming(&self) {
        self.warming.store(false, Relaxed);
    }

    /// Keeps an instance that answered cleanly, where it may serve again and there
    /// is room. Answers whether it was kept.
    pub fn give(&self, instance: Instance) -> bool {
        if !self.may_serve_again(&instance) || !instance.is_clean() {
            return false;
        }
        let Some(slot) = self.slots.take() else {
            return false;
        };
        self.waiting.lock().push((instance, slot));
        self.waiting_gauge.increment(1.0);
        true
    }

    /// Drops what has grown too old; answers how many still wait.
    pub fn sweep(&self) -> usize {
        let old = {
            let mut waiting = self.waiting.lock();
            let (old, young): (Vec<_>, Vec<_>) = waiting
                .drain(..)
                .partition(|(instance, _)| !self.may_serve_again(instance));
            *waiting = young;
            old
        };
        self.waiting_gauge.decrement(old.len() as f64);
        drop(old);
        self.waiting.lock().len()
    }

    /// Drops everything that waits, and keeps nothing from now on.
    pub fn close(&self) {
        self.open.store(false, Relaxed);
        let all = std::mem::take(&mut *self.waiting.lock());
        self.waiting_gauge.decrement(all.len() as f64);
        drop(all);
    }

    fn may_serve_again(&self, instance: &Instance) -> bool {
        self.open.load(Relaxed)
            && instance.uses() < self.bounds.uses_max
            && instance.born().elapsed() < self.bounds.age_max
    }
}
