//! When a batch goes out.

use std::time::Duration;

use tokio::time::Instant;

use super::{CALL_ITEMS_MAX, Config};

/// Lets batches go: full ones while a call is free, others at once while none is in
/// flight, behind the oldest one's return, or after a while.
pub(super) struct Pace {
    calls_max: usize,
    linger: Duration,
    /// The call has returned behind which what is ready waited.
    returned: bool,
    /// When what is ready will have waited for long enough.
    lingers_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Pace {
        Pace {
            calls_max: config.calls_in_flight_max,
            linger: Duration::from_millis(config.linger_ms_max),
            returned: false,
            lingers_until: None,
        }
    }

    pub(super) fn oldest_returned(&mut self) {
        self.returned = true;
    }

    /// Whether the next batch may go, with so many keys ready and so many calls in
    /// flight.
    pub(super) fn lets_go(&mut self, ready: usize, in_flight: usize, now: Instant) -> bool {
        if ready == 0 {
            (self.returned, self.lingers_until) = (false, None);
            return false;
        }
        let until = *self.lingers_until.get_or_insert(now + self.linger);
        let is_due = in_flight == 0 || ready >= CALL_ITEMS_MAX || self.returned || until <= now;
        is_due && in_flight < self.calls_max
    }

    /// A batch went. What is left begins to wait anew.
    pub(super) fn went(&mut self) {
        (self.returned, self.lingers_until) = (false, None);
    }

    /// When to ask again, should nothing happen until then.
    pub(super) fn wake_at(&self, in_flight: usize) -> Option<Instant> {
        self.lingers_until.filter(|_| in_flight < self.calls_max)
    }
}
