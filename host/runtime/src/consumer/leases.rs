//! The heartbeat: what is being consumed stays invisible to everybody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use hearth_backend::queue::{QueueError, Receipt, Received};

use hearth_backend::queues::Queues;

/// Beats within one visibility: two may fail before a lease runs out.
const BEATS: u32 = 3;

/// The leases of one intake. Dropped, its heart stops.
pub(super) struct Leases {
    held: Arc<Receipts>,
    _beating: AbortOnDropHandle<()>,
}

/// By the message's id.
#[derive(Default)]
struct Receipts(Mutex<HashMap<String, Receipt>>);

impl Leases {
    pub(super) fn new(queues: Queues, queue: Arc<str>, visibility: Duration) -> Leases {
        let held = Arc::new(Receipts::default());
        let beating = tokio::spawn(beat(queues, queue, visibility, held.clone()));
        Leases {
            held,
            _beating: AbortOnDropHandle::new(beating),
        }
    }

    pub(super) fn hold(&self, messages: &[Received]) {
        let mut held = self.held.0.lock();
        for message in messages {
            held.insert(message.id.clone(), message.receipt.clone());
        }
    }

    pub(super) fn let_go<'a>(&self, messages: impl Iterator<Item = &'a Received>) {
        let mut held = self.held.0.lock();
        for message in messages {
            // It may have come again meanwhile, and be held anew.
            if held.get(&message.id) == Some(&message.receipt) {
                held.remove(&message.id);
            }
        }
    }
}

async fn beat(queues: Queues, queue: Arc<str>, visibility: Duration, held: Arc<Receipts>) {
    let mut beats = interval((visibility / BEATS).max(Duration::from_millis(1)));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let (ids, receipts): (Vec<String>, Vec<Receipt>) =
            held.0.lock().clone().into_iter().unzip();
        if ids.is_empty() {
            continue;
        }
        let extended = queues.extend(&queue, &receipts, visibility).await;
        for (id, extended) in ids.iter().zip(extended) {
            match extended {
                Ok(()) => {}
                // Settled meanwhile, or this host stood still for too long.
                Err(QueueError::LeaseLost) => {
                    held.0.lock().remove(id);
                    tracing::debug!(%queue, message = %id, "a lease is over");
                }
                Err(error) => {
                    tracing::warn!(%queue, message = %id, %error, "a lease was not prolonged");
                }
            }
        }
    }
}
