//! One customer's bucket, and what is known of the customer's requests on other hosts.

use std::sync::Arc;

use super::{Fleet, Report};
use crate::edge::rate::bucket::{Bucket, Nanos, Quota};

/// What was known of the demand elsewhere is worth nothing after so much time.
const FORGOTTEN: Nanos = 1_000_000_000;

/// A request is never charged for more hosts than this, so that one that begins
/// to get a customer's requests is not kept waiting for long.
const CHARGED_FOR_MAX: f64 = 64.0;

pub(super) struct Account {
    pub(super) bucket: Bucket,
    quota: Quota,
    spent: u64,
    asked: u64,
    asked_at: Nanos,
    /// Both counts as of the last report.
    told: (u64, u64),
    /// When that was, and what the whole fleet had been asked by then.
    heard: Option<(Nanos, u64)>,
    /// Requests here and elsewhere, those of long ago counting less.
    demand: (f64, f64),
}

impl Account {
    pub(super) fn new(quota: Quota) -> Account {
        Account {
            bucket: Bucket::default(),
            quota,
            spent: 0,
            asked: 0,
            asked_at: 0,
            told: (0, 0),
            heard: None,
            demand: (0.0, 0.0),
        }
    }

    pub(super) fn take(
        &mut self,
        quota: Quota,
        now: Nanos,
        alone_among: Option<u64>,
    ) -> Result<(), Nanos> {
        self.quota = quota;
        self.asked += 1;
        self.asked_at = now;
        let price = match alone_among {
            Some(hosts) => quota.cost(hosts),
            None => self.price(),
        };
        self.bucket.take(now, quota, price)?;
        self.spent += 1;
        Ok(())
    }

    /// One request, and those that come elsewhere for each that comes here. What
    /// the others really admitted replaces it with the next exchange.
    fn price(&self) -> Nanos {
        let (here, elsewhere) = self.demand;
        if elsewhere < 1.0 {
            return self.quota.each;
        }
        let hosts = ((here + elsewhere) / here.max(1.0)).clamp(1.0, CHARGED_FOR_MAX);
        // Far below 2^53 nanoseconds, so exact enough.
        (self.quota.each as f64 * hosts) as Nanos
    }

    /// Whether other hosts had requests of this customer lately.
    pub(super) fn is_shared(&self) -> bool {
        self.demand.1 >= 1.0
    }

    fn unreported(&self) -> u64 {
        self.spent.saturating_sub(self.told.0)
    }

    /// Whether a quarter of the burst has gone since the others last heard.
    pub(super) fn is_in_a_hurry(&self) -> bool {
        self.unreported() == (self.quota.burst / 4).max(1)
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        let spends = self.unreported() >= (self.quota.burst / 10).max(1);
        let is_near = self.bucket.owed(now) > self.quota.whole() / 2;
        self.asked > self.told.1 && (spends || is_near)
    }

    pub(super) fn is_over(&self, now: Nanos, silent: Nanos) -> bool {
        self.bucket.owed(now) == 0 && now - self.asked_at > silent
    }

    /// Counts as sent from now on: a report that does not arrive is dropped, as its
    /// requests are out of the bucket by the time that a later one arrives.
    pub(super) fn report(&mut self, customer: &Arc<str>) -> Report {
        let report = Report {
            customer: customer.clone(),
            cost: self.quota.cost(self.unreported()),
            asked: self.asked.saturating_sub(self.told.1),
        };
        self.told = (self.spent, self.asked);
        report
    }

    /// The report has arrived: the debt of the fleet's bucket replaces the estimate,
    /// except for the requests since the report. If no other host had requests, the
    /// smaller debt applies: the fleet's began when the report arrived, and the client
    /// got its time to wait before that.
    pub(super) fn settle(&mut self, now: Nanos, report: &Report, fleet: &Fleet) {
        let since = self.quota.cost(self.unreported());
        let heard = self.heard.map_or(0, |(_, asked)| asked);
        let alone = fleet.asked.saturating_sub(heard) == report.asked;
        let owed = fleet.owed.saturating_add(since);
        let own = if alone { self.bucket.owed(now) } else { owed };
        self.bucket.set(now, owed.min(own));
        let lately = self.heard.filter(|(at, _)| now - at <= FORGOTTEN);
        self.demand = match lately {
            // Half of what is known is from this exchange.
            Some((_, asked)) => {
                let all = fleet.asked.saturating_sub(asked);
                let elsewhere = all.saturating_sub(report.asked);
                (
                    self.demand.0 / 2.0 + report.asked as f64,
                    self.demand.1 / 2.0 + elsewhere as f64,
                )
            }
            None => (report.asked as f64, 0.0),
        };
        self.heard = Some((now, fleet.asked));
    }
}
