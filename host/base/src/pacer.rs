//! Who goes first: those who wait for an answer, before what happens in the background.
//!
//! Requests and consumers want the same processors, here and in Postgres. So while
//! requests come, calls of consumers begin at a bounded rate. What waits meanwhile is
//! received together, in larger batches, and a call that hangs on somebody else's server
//! holds up no other, as it would where the calls under way were counted.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// For so long after the last request more of them are expected.
const BUSY: Duration = Duration::from_millis(10);

/// One per host, shared by the server and the consumers.
pub struct Pacer {
    began: Instant,
    /// When the last request came, in microseconds since `began`; 0 before the first.
    last_request: AtomicU64,
    /// Calls of consumers while requests come.
    calls: DefaultDirectRateLimiter,
}

impl Pacer {
    /// `calls_per_second` is for each processor of the machine.
    pub fn new(calls_per_second: u32) -> Pacer {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        let calls = NonZeroU32::new(calls_per_second.saturating_mul(processors));
        let quota = Quota::per_second(calls.unwrap_or(NonZeroU32::MIN));
        Pacer {
            began: Instant::now(),
            last_request: AtomicU64::new(0),
            // No burst: requests would wait behind all of it.
            calls: RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN)),
        }
    }

    /// A request has come.
    pub fn note_request(&self) {
        self.last_request.store(self.now().max(1), Relaxed);
    }

    /// Waits until a call of a consumer may begin. Whoever is dropped while waiting has
    /// had no turn.
    pub async fn turn(&self) {
        if self.is_busy() {
            self.calls.until_ready().await;
        }
    }

    /// Whether one may begin now.
    pub fn try_turn(&self) -> bool {
        !self.is_busy() || self.calls.check().is_ok()
    }

    /// Whether requests come.
    pub fn is_busy(&self) -> bool {
        let last = self.last_request.load(Relaxed);
        last > 0 && self.now().saturating_sub(last) < micros(BUSY)
    }

    fn now(&self) -> u64 {
        micros(self.began.elapsed())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_begin_as_they_like_where_no_request_comes() {
        let pacer = Pacer::new(1);
        assert!((0..1_000).all(|_| pacer.try_turn()));
    }

    #[test]
    fn few_calls_begin_while_requests_come() {
        let pacer = Pacer::new(1);
        let begun = (0..1_000).filter(|_| {
            pacer.note_request();
            pacer.try_turn()
        });
        assert!(begun.count() < 10);
    }

    #[tokio::test]
    async fn consumer_that_must_wait_has_its_turn_although_requests_come() {
        let pacer = Pacer::new(100);
        pacer.note_request();
        while pacer.try_turn() {
            pacer.note_request();
        }
        let mut turn = std::pin::pin!(pacer.turn());
        pacer.note_request();
        assert!(futures_util::poll!(&mut turn).is_pending(), "it waits");
        turn.await;
    }
}
