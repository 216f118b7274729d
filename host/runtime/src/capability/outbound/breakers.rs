//! The breakers of all destinations, and what a call tells them.
//!
//! They hear of connections alone: whether one could be had says something of all that
//! lies behind a host and port, and what is answered on it, or is not, says something of
//! one URL. Behind one name there may be many receivers, and it is for the caller to
//! leave the one alone that fails.
//!
//! A call asks two. One is of the destination whoever calls, so that a host that is gone
//! is found out once and not by each. The other is of the caller's plugin and customer,
//! and hears also of those who did not wait for a connection: how long one waits is one's
//! own choice, and must not shut a shared host for others.

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::breaker::{Breaker, Config, Ticket, Verdict};
use super::target::Destination;
use super::{Error, RequestOwner};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BreakerKey {
    /// `None` for the breaker that all share.
    whose: Option<RequestOwner>,
    destination: Destination,
}

pub struct Breakers {
    rules: Arc<Config>,
    all: Cache<BreakerKey, Arc<Mutex<Breaker>>>,
    open: Gauge,
}

impl Breakers {
    pub fn new(rules: &Config, open: Gauge) -> Breakers {
        let all = Cache::builder()
            .max_capacity(rules.breakers_max)
            .eviction_policy(EvictionPolicy::lru());
        Breakers {
            rules: Arc::new(rules.clone()),
            all: all.build(),
            open,
        }
    }

    /// Lets a call through, or says how long nobody is.
    pub fn admit(
        &self,
        whose: &RequestOwner,
        destination: &Destination,
    ) -> Result<Trial, Duration> {
        let shared = self.part(None, destination)?;
        let own = self.part(Some(whose.clone()), destination)?;
        Ok(Trial {
            shared,
            own,
            reached: Reached::Waiting,
        })
    }

    fn part(
        &self,
        whose: Option<RequestOwner>,
        destination: &Destination,
    ) -> Result<TrialPart, Duration> {
        let key = BreakerKey {
            whose,
            destination: destination.clone(),
        };
        let fresh = || Arc::new(Mutex::new(Breaker::new(&self.open)));
        let breaker = self.all.get_with(key, fresh);
        let ticket = breaker.lock().admit(Instant::now(), &self.rules)?;
        Ok(TrialPart {
            rules: self.rules.clone(),
            breaker,
            ticket: Some(ticket),
        })
    }
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Whatever went wrong until here is not the destination's fault.
    Waiting,
    Connecting,
    Connected,
}

/// One call that was let through. Dropped without an end it says nothing.
pub struct Trial {
    shared: TrialPart,
    own: TrialPart,
    reached: Reached,
}

impl Trial {
    pub fn reach(&mut self, reached: Reached) {
        self.reached = reached;
    }

    /// Takes in how it went, as far as the answer's head: an error where none came.
    pub fn end(mut self, failed: Option<&Error>) {
        let (shared, own) = verdicts(self.reached, failed);
        self.shared.record(shared);
        self.own.record(own);
    }
}

/// What the shared breaker and the caller's own hear.
fn verdicts(reached: Reached, failed: Option<&Error>) -> (Verdict, Verdict) {
    use Error::{Connect, Dns, Protocol, Timeout, Tls};
    match (reached, failed) {
        (Reached::Connected, _) => (Verdict::Good, Verdict::Good),
        (Reached::Connecting, Some(Dns(_) | Connect(_) | Tls(_))) => (Verdict::Bad, Verdict::Bad),
        (Reached::Connecting, Some(Timeout | Protocol(_))) => (Verdict::Unsaid, Verdict::Bad),
        _ => (Verdict::Unsaid, Verdict::Unsaid),
    }
}

struct TrialPart {
    rules: Arc<Config>,
    breaker: Arc<Mutex<Breaker>>,
    ticket: Option<Ticket>,
}

impl TrialPart {
    fn record(&mut self, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            let mut breaker = self.breaker.lock();
            breaker.record(ticket, verdict, Instant::now(), &self.rules);
        }
    }
}

impl Drop for TrialPart {
    fn drop(&mut self) {
        self.record(Verdict::Unsaid);
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::Target;
    use super::*;

    fn acme() -> RequestOwner {
        RequestOwner {
            plugin: "webhooks".into(),
            customer: Some("acme".into()),
        }
    }

    #[test]
    fn breakers_of_long_ago_are_forgotten() {
        let rules = Config {
            breakers_max: 100,
            ..Config::default()
        };
        let breakers = Breakers::new(&rules, Gauge::noop());
        for port in 1..1_000 {
            let url = format!("http://example.com:{port}/");
            let target = Target::parse(&url, 100).unwrap();
            breakers.admit(&acme(), &target.destination).unwrap();
        }
        breakers.all.run_pending_tasks();
        assert_eq!(breakers.all.entry_count(), 100);
    }

    #[test]
    fn breakers_hear_of_connections_alone() {
        let (good, bad) = (Verdict::Good, Verdict::Bad);
        let unsaid = Verdict::Unsaid;
        let (connect, timeout) = (Error::Connect(String::new()), Error::Timeout);
        let (broken, own) = (
            Error::Protocol(String::new()),
            Error::Exhausted(String::new()),
        );
        for (reached, failed, expected) in [
            (Reached::Connected, None, (good, good)),
            (Reached::Connected, Some(&timeout), (good, good)),
            (Reached::Connected, Some(&broken), (good, good)),
            (Reached::Connecting, Some(&connect), (bad, bad)),
            (Reached::Connecting, Some(&timeout), (unsaid, bad)),
            (Reached::Waiting, Some(&timeout), (unsaid, unsaid)),
            (Reached::Connecting, Some(&own), (unsaid, unsaid)),
        ] {
            assert_eq!(
                verdicts(reached, failed),
                expected,
                "{reached:?} {failed:?}"
            );
        }
    }
}
