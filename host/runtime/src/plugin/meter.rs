//! How much CPU a call has used.
//!
//! CPU is the thread's CPU time summed over the polls of the call's future, so
//! that waiting for Postgres and being preempted cost nothing. The epoch
//! callback looks at it in the middle of a poll.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The call used all the CPU time that its plugin may use for one call.
#[derive(Debug, thiserror::Error)]
#[error("the guest used its {0:?} of CPU time")]
pub struct CpuExhausted(pub Duration);

/// The CPU account of one call.
#[derive(Debug)]
pub struct Meter {
    spent_ns: AtomicU64,
    poll_began_ns: AtomicU64,
    limit_ns: u64,
}

impl Meter {
    pub fn new(limit: Duration) -> Meter {
        Meter {
            spent_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            limit_ns: nanoseconds(limit),
        }
    }

    /// CPU time of all polls that have ended.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_ns.load(Relaxed))
    }

    /// Called from within a poll: an error once the limit is passed.
    pub fn check(&self) -> Result<(), CpuExhausted> {
        let now = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed));
        if self.spent_ns.load(Relaxed).saturating_add(now) > self.limit_ns {
            return Err(CpuExhausted(Duration::from_nanos(self.limit_ns)));
        }
        Ok(())
    }

    fn begin(&self) {
        self.poll_began_ns.store(thread_cpu_ns(), Relaxed);
    }

    fn end(&self) {
        let used = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed));
        self.spent_ns.fetch_add(used, Relaxed);
    }
}

/// A future whose polls are charged to a meter.
pub struct Metered<F> {
    meter: Arc<Meter>,
    future: Pin<Box<F>>,
}

impl<F: Future> Metered<F> {
    pub fn new(meter: Arc<Meter>, future: F) -> Metered<F> {
        Metered {
            meter,
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.begin();
        let polled = self.future.as_mut().poll(context);
        self.meter.end();
        polled
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
