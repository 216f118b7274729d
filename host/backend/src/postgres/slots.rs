//! How many connections the plugins of this host may open in all.
//!
//! Each open connection holds a slot, idle or not. Where none is free the idle
//! connections of other plugins are closed first, so that plugins which rest
//! keep nobody from working.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool::managed::WeakPool;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Login;

/// The right to have one connection open.
pub struct Slot(
    #[expect(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
);

pub struct Slots {
    free: Arc<Semaphore>,
    wanted: AtomicUsize,
    pools: Mutex<Vec<WeakPool<Login>>>,
}

impl Slots {
    pub fn new(connections_max: usize) -> Arc<Slots> {
        Arc::new(Slots {
            free: Arc::new(Semaphore::new(connections_max)),
            wanted: AtomicUsize::new(0),
            pools: Mutex::default(),
        })
    }

    /// Takes part in giving up idle connections from now on.
    pub fn join(&self, pool: WeakPool<Login>) {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.upgrade().is_some());
        pools.push(pool);
    }

    /// Whether somebody waits for a slot: then a connection that becomes idle is
    /// closed instead.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// A slot; waits while all are in use. `None` when the host stops.
    pub async fn take(&self) -> Option<Slot> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Some(Slot(permit));
        }
        let _wanted = Wanted::new(&self.wanted);
        self.close_one_idle();
        self.free.clone().acquire_owned().await.ok().map(Slot)
    }

    fn close_one_idle(&self) {
        let pools: Vec<_> = self
            .pools
            .lock()
            .iter()
            .filter_map(WeakPool::upgrade)
            .collect();
        for pool in pools {
            let mut found = false;
            // The first idle connection is not retained.
            pool.retain(|_, _| std::mem::replace(&mut found, true));
            if found {
                return;
            }
        }
    }
}

struct Wanted<'a>(&'a AtomicUsize);

impl<'a> Wanted<'a> {
    fn new(count: &'a AtomicUsize) -> Wanted<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Wanted(count)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
