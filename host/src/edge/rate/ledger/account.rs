//! One customer's bucket, and what is known of its requests on other hosts.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Heard, Report};
use crate::edge::rate::bucket::{Bucket, Nanos, Quota};

/// Counts of another host are worth nothing once so much time has passed: what
/// was spent then has come back in part. Its word for what it owes is taken
/// instead.
const FORGOTTEN: Nanos = 1_000_000_000;

/// A request is never charged for more hosts than this, so that one that begins
/// to get a customer's requests is not kept waiting for long.
const CHARGED_FOR_MAX: f64 = 64.0;

pub(super) struct Account {
    pub(super) bucket: Bucket,
    quota: Quota,
    spent: u64,
    asked: u64,
    /// The counts of the last report that was written.
    told: (u64, u64),
    /// When that was.
    settled_at: Option<Nanos>,
    asked_at: Nanos,
    others: HashMap<Uuid, (u64, u64)>,
    /// Requests here and elsewhere, those of long ago counting less.
    demand: (f64, f64),
    /// What was charged for requests elsewhere that are not known yet: since the
    /// last report, and before it.
    foreseen: (Nanos, Nanos),
}

impl Account {
    pub(super) fn new(quota: Quota) -> Account {
        Account {
            bucket: Bucket::default(),
            quota,
            spent: 0,
            asked: 0,
            told: (0, 0),
            settled_at: None,
            asked_at: 0,
            others: HashMap::new(),
            demand: (0.0, 0.0),
            foreseen: (0, 0),
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
        if alone_among.is_none() {
            self.foreseen.0 = self.foreseen.0.saturating_add(price - quota.each);
        }
        Ok(())
    }

    /// One request, and those that come elsewhere for each that comes here.
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

    fn untold(&self) -> u64 {
        self.spent.saturating_sub(self.told.0)
    }

    /// Whether a quarter of the burst has gone since the others last heard. Said
    /// once for every such quarter.
    pub(super) fn is_in_a_hurry(&self) -> bool {
        self.untold() == (self.quota.burst / 4).max(1)
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        let spends = self.untold() >= (self.quota.burst / 10).max(1);
        let is_near = self.bucket.owed(now) > self.quota.whole() / 2;
        self.asked > self.told.1 && (spends || is_near)
    }

    pub(super) fn is_over(&self, now: Nanos, silent: Nanos) -> bool {
        self.bucket.owed(now) == 0 && now - self.asked_at > silent
    }

    pub(super) fn report(&mut self, customer: &Arc<str>, now: Nanos) -> Report {
        self.foreseen = (0, self.foreseen.0.saturating_add(self.foreseen.1));
        Report {
            customer: customer.clone(),
            spent: self.spent,
            asked: self.asked,
            owed: self.bucket.owed(now),
        }
    }

    /// What was foreseen stays charged until the others are heard again.
    pub(super) fn failed(&mut self) {
        self.foreseen = (self.foreseen.0.saturating_add(self.foreseen.1), 0);
    }

    /// The report was written, and this is what the others wrote.
    pub(super) fn settle(
        &mut self,
        now: Nanos,
        report: &Report,
        others: &[&Heard],
        debt_max: Nanos,
    ) {
        let follows = self.settled_at.is_some_and(|at| now - at <= FORGOTTEN);
        let (mut spent, mut asked, mut owed) = (0, 0, 0);
        let before = std::mem::take(&mut self.others);
        for heard in others {
            let counts = (heard.report.spent, heard.report.asked);
            let known = before.get(&heard.host).copied().unwrap_or_default();
            spent += since(counts.0, known.0);
            asked += since(counts.1, known.1);
            owed = owed.max(heard.report.owed);
            self.others.insert(heard.host, counts);
        }
        let here = self.bucket.owed(now) - self.foreseen.1;
        let owes = match follows {
            true => here.saturating_add(self.quota.cost(spent)),
            // Its own requests since it last told are in no other's count.
            false => here.max(owed.saturating_add(self.quota.cost(self.untold()))),
        };
        let debt = self.quota.whole().saturating_add(debt_max);
        self.bucket.set(now, owes.min(debt));
        self.foreseen.1 = 0;
        let here = since(report.asked, self.told.1);
        match follows {
            true => self.learn(here, asked),
            false => self.demand = (here as f64, 0.0),
        }
        self.told = (report.spent, report.asked);
        self.settled_at = Some(now);
    }

    /// Half of what is known of the demand is from this exchange.
    fn learn(&mut self, here: u64, elsewhere: u64) {
        let (was_here, was_elsewhere) = self.demand;
        self.demand = (
            was_here / 2.0 + here as f64,
            was_elsewhere / 2.0 + elsewhere as f64,
        );
    }
}

/// How far a count has come. One that is smaller than it was began anew.
fn since(count: u64, known: u64) -> u64 {
    match count >= known {
        true => count - known,
        false => count,
    }
}
