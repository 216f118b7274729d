//! The slot of a plugin: the deployment that its requests get.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::deployment::Deployment;

/// The deployment that serves a plugin now. A swap is one atomic store; a
/// request loads once and holds what it loaded to its end (invariant 6).
pub struct Slot {
    serving: ArcSwap<Deployment>,
}

impl Slot {
    pub fn new(deployment: Arc<Deployment>) -> Slot {
        Slot {
            serving: ArcSwap::new(deployment),
        }
    }

    pub fn load(&self) -> Arc<Deployment> {
        self.serving.load_full()
    }

    /// Lets another deployment serve from now on, and answers the one that did.
    pub fn swap(&self, deployment: Arc<Deployment>) -> Arc<Deployment> {
        self.serving.swap(deployment)
    }
}
