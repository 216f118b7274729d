//! A permit that a consumer takes before it knows whether a message will come, and gives
//! up to whoever else wants one.

use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;

use super::{Gate, Permit};

/// A permit of somebody who waits for work. It is not counted among the calls in
/// flight, and goes to whoever else wants a place, see [`Reserve::keep`].
pub struct Reserve<'a> {
    gate: &'a Gate,
    permit: Option<Permit>,
}

impl<'a> Reserve<'a> {
    pub fn new(gate: &'a Gate, permit: Permit) -> Reserve<'a> {
        gate.reserved.fetch_add(1, Relaxed);
        Reserve {
            gate,
            permit: Some(permit),
        }
    }

    /// Keeps the place until somebody else wants one. Never ends after that; drop
    /// it once there is something to do.
    pub async fn keep(&mut self) {
        let mut told = pin!(self.gate.admission.waits.notified());
        // From here on nobody is missed who begins to wait.
        told.as_mut().enable();
        if !self.gate.admission.somebody_waits() {
            told.await;
        }
        self.give_up();
        std::future::pending().await
    }

    /// The permit, where nobody else wanted it.
    pub fn take(mut self) -> Option<Permit> {
        let permit = self.permit.take();
        if permit.is_some() {
            self.gate.reserved.fetch_sub(1, Relaxed);
        }
        permit
    }

    fn give_up(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.gate.reserved.fetch_sub(1, Relaxed);
            drop(permit);
        }
    }
}

impl Drop for Reserve<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
