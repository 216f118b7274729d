//! One bucket, by the generic cell rate algorithm: the time at which it would be
//! full again is all that is kept.

use super::Allowance;

/// Nanoseconds since the host began to count.
pub(super) type Nanos = i64;

const SECOND: i128 = 1_000_000_000;

/// An allowance in the bucket's own measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// How long one request takes to come back.
    pub(super) each: Nanos,
    pub(super) burst: u64,
}

impl Quota {
    pub(super) fn new(allowance: Allowance) -> Quota {
        let each = SECOND / i128::from(allowance.per_second.max(1));
        Quota {
            each: i64::try_from(each).unwrap_or(i64::MAX).max(1),
            burst: allowance.burst.max(1),
        }
    }

    /// What so many requests take to come back.
    pub(super) fn cost(&self, requests: u64) -> Nanos {
        let requests = Nanos::try_from(requests).unwrap_or(Nanos::MAX);
        self.each.saturating_mul(requests)
    }

    pub(super) fn whole(&self) -> Nanos {
        self.cost(self.burst)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: Nanos,
}

impl Bucket {
    /// How long it takes to be full again. More than the whole is a debt.
    pub(super) fn owed(&self, now: Nanos) -> Nanos {
        self.full_at.saturating_sub(now).max(0)
    }

    /// Takes one request out, at this price.
    ///
    /// # Errors
    /// If there is none: how long it takes until there is.
    pub(super) fn take(&mut self, now: Nanos, quota: Quota, price: Nanos) -> Result<(), Nanos> {
        let owed = self.owed(now);
        let missing = owed.saturating_add(quota.each) - quota.whole();
        if missing > 0 {
            return Err(missing);
        }
        self.set(now, owed.saturating_add(price));
        Ok(())
    }

    pub(super) fn set(&mut self, now: Nanos, owed: Nanos) {
        self.full_at = now.saturating_add(owed.max(0));
    }

    /// How many requests are left.
    pub(super) fn left(&self, now: Nanos, quota: Quota) -> u64 {
        let left = (quota.whole() - self.owed(now)).max(0) / quota.each;
        u64::try_from(left).unwrap_or(0)
    }
}
