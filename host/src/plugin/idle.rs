//! Instances that wait for their next call, where a plugin asked for reuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

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
    uses_max: u64,
    age_max: Duration,
    open: std::sync::atomic::AtomicBool,
}

impl Idle {
    /// `uses_max` 0 keeps nothing: every call gets a fresh instance.
    pub fn new(slots: Arc<IdleSlots>, uses_max: u64, age_max: Duration) -> Idle {
        Idle {
            waiting: Mutex::new(Vec::new()),
            slots,
            uses_max,
            age_max,
            open: true.into(),
        }
    }

    pub fn take(&self) -> Option<Instance> {
        self.waiting.lock().pop().map(|(instance, _slot)| instance)
    }

    /// Keeps an instance that answered cleanly, where it may serve again.
    pub fn give(&self, instance: Instance) {
        if !self.may_serve_again(&instance) || !instance.is_clean() {
            return;
        }
        if let Some(slot) = self.slots.take() {
            self.waiting.lock().push((instance, slot));
        }
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
        drop(old);
        self.waiting.lock().len()
    }

    /// Drops everything that waits, and keeps nothing from now on.
    pub fn close(&self) {
        self.open.store(false, Relaxed);
        let all = std::mem::take(&mut *self.waiting.lock());
        drop(all);
    }

    fn may_serve_again(&self, instance: &Instance) -> bool {
        self.open.load(Relaxed)
            && instance.uses() < self.uses_max
            && instance.born().elapsed() < self.age_max
    }
}
