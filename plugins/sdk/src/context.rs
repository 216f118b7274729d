//! The circumstances of one call.

use std::time::{Duration, Instant};

use crate::caller::Caller;

/// The circumstances of one call.
#[derive(Clone, Debug)]
pub struct Context {
    /// Appears in logs, in error answers and in the `X-Request-Id` header.
    pub request_id: String,
    /// Absent on public routes and on messages that belong to no customer.
    pub caller: Option<Caller>,
    /// When the host ends the call.
    pub deadline: Deadline,
    /// Where the plugin is mounted, for example `/support`.
    pub mount: String,
}

/// The instant at which the host ends a call, whatever it does then.
///
/// ```
/// use std::time::Duration;
/// use hearth_plugin::context::Deadline;
/// let deadline = Deadline::after(Duration::from_secs(10));
/// assert!(deadline.is_far());
/// assert!(deadline.remaining() <= Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    total: Duration,
}

impl Deadline {
    /// A deadline so long after now.
    pub fn after(total: Duration) -> Self {
        Deadline {
            started: Instant::now(),
            total,
        }
    }

    /// The time that is left; zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.total.saturating_sub(self.started.elapsed())
    }

    /// Whether more than half of the time is left: then what took up to now can
    /// be tried again.
    pub fn is_far(&self) -> bool {
        self.remaining() > self.total / 2
    }
}
