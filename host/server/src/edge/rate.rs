//! Rate limits for customers.
//!
//! The limit depends on the customer's tier and is counted for the customer, over all
//! its keys: counted by key, it would grow with every key that a customer creates. Each
//! request costs one. A bucket of `burst` requests fills at `per_second` (the generic
//! cell rate algorithm, ITU-T I.371: one number for each customer).
//!
//! A request is admitted by what this host knows, and waits for nothing. Several times
//! a second each host takes what it admitted for its busy customers out of the fleet's
//! buckets in Postgres, and reads how full they are: that replaces its estimate, and
//! what was admitted in excess is paid back. Until then a host assumes that the other
//! hosts continue as before, so that the limit of a fleet does not grow with the number
//! of hosts. While Postgres is unavailable each host admits its even share, by the
//! number of hosts that it saw last.
//!
//! Clients see the limit in `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11), and in `Retry-After` of a 429.

mod bucket;
mod exchange;
mod fields;
mod ledger;

use std::time::{Duration, Instant};

use metrics::Counter;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use self::bucket::{Nanos, Quota};
use self::fields::Policy;
pub use self::fields::RateStatus;
use self::ledger::Ledger;
use crate::edge::keys::{Caller, Tier};
use hearth_base::bounds;
use hearth_base::section::{HOUR_MS, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;

/// The `[rate]` table of hearth.toml. The tier `unlimited` has no limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub free: Allowance,
    pub standard: Allowance,
    pub premium: Allowance,
    /// Customers that are counted at once. With one more, the one that has most
    /// left of its burst begins anew.
    pub customers_max: usize,
    /// Milliseconds between two exchanges with the other hosts.
    pub exchange_ms: u64,
    /// How long one exchange may take before Postgres counts as unavailable.
    pub exchange_ms_max: u64,
    /// The longest `Retry-After`: what other hosts admitted too much beyond it is
    /// not paid back.
    pub retry_ms_max: u64,
}

/// What a tier may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Requests a second in the long run.
    pub per_second: u64,
    /// Requests at once, after a pause.
    pub burst: u64,
}

impl Section for Allowance {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            per_second in 1..=1_000_000,
            burst in 1..=1_000_000,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let allowance = |per_second, burst| Allowance { per_second, burst };
        Config {
            free: allowance(10, 20),
            standard: allowance(50, 100),
            premium: allowance(200, 400),
            customers_max: 10_000,
            exchange_ms: 200,
            exchange_ms_max: 1_000,
            retry_ms_max: 10_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            customers_max in 1..=1_000_000,
            exchange_ms in 50..=1_000,
            exchange_ms_max in 50..=10_000,
            retry_ms_max in 1_000..=HOUR_MS,
        }
        mistakes.section("free", &self.free);
        mistakes.section("standard", &self.standard);
        mistakes.section("premium", &self.premium);
    }
}

/// Every customer's limit, one per process.
pub struct Rate {
    tiers: [Rated; 3],
    ledger: Mutex<Ledger>,
    /// Told when a customer spends so fast that the others should know now.
    hurry: Notify,
    start: Instant,
    /// The most that a bucket may owe.
    owed_max: Nanos,
    config: Config,
}

/// A tier that has a limit.
struct Rated {
    tier: Tier,
    quota: Quota,
    policy: Policy,
    limited: Counter,
}

impl Rate {
    pub fn open(config: &Config, metrics: &HostMetrics) -> Rate {
        let rated = |tier: Tier, allowance: Allowance| Rated {
            tier,
            quota: Quota::new(allowance),
            policy: Policy::new(tier.as_str(), allowance),
            limited: metrics.requests_limited(tier.as_str()),
        };
        let tiers = [
            rated(Tier::Free, config.free),
            rated(Tier::Standard, config.standard),
            rated(Tier::Premium, config.premium),
        ];
        let longest = tiers.iter().map(|rated| rated.quota.whole()).max();
        Rate {
            owed_max: millis(config.retry_ms_max).saturating_add(longest.unwrap_or(0)),
            tiers,
            ledger: Mutex::new(Ledger::new(config)),
            hurry: Notify::new(),
            start: Instant::now(),
            config: config.clone(),
        }
    }

    /// Counts one request and returns the state of the caller's limit. `None` if it has
    /// no limit.
    pub fn count(&self, caller: &Caller) -> Option<RateStatus> {
        let rated = self.tiers.iter().find(|rated| rated.tier == caller.tier)?;
        let judged = {
            let now = self.now();
            let mut ledger = self.ledger.lock();
            ledger.take(&caller.customer_id, rated.quota, now)
        };
        if judged.hurry {
            self.hurry.notify_one();
        }
        if judged.wait.is_some() {
            rated.limited.increment(1);
        }
        Some(rated.policy.status(&judged))
    }

    /// Nanoseconds since this host began to count.
    fn now(&self) -> Nanos {
        nanos(self.start.elapsed())
    }
}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

fn millis(millis: u64) -> Nanos {
    nanos(Duration::from_millis(millis))
}
