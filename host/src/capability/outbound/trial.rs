//! The breakers of all destinations, and what a call tells them.
//!
//! A call asks two. One is of its own plugin and customer, and hears of whatever
//! went wrong. The other is of the destination whoever calls, and hears only
//! whether a connection could be had: that is the same for all, while a customer
//! can make its own requests fail as it likes. So nobody shuts a shared host for
//! others, and a host that is gone is found out once and not by each.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use metrics::Gauge;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::breaker::{Breaker, Rules, Ticket, Verdict};
use super::target::Destination;
use super::{Error, Whose};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// `None` for the breaker that all share.
    whose: Option<Whose>,
    destination: Destination,
}

pub struct Breakers {
    rules: Arc<Rules>,
    all: Cache<Key, Arc<Mutex<Breaker>>>,
    open: Gauge,
}

impl Breakers {
    pub fn new(rules: &Rules, open: Gauge) -> Breakers {
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
    pub fn admit(&self, whose: &Whose, destination: &Destination) -> Result<Trial, Duration> {
        let shared = self.part(None, destination)?;
        let own = self.part(Some(whose.clone()), destination)?;
        Ok(Trial {
            shared,
            own,
            reached: Reached::Waiting,
        })
    }

    fn part(&self, whose: Option<Whose>, destination: &Destination) -> Result<Part, Duration> {
        let key = Key {
            whose,
            destination: destination.clone(),
        };
        let fresh = || Arc::new(Mutex::new(Breaker::new(&self.open)));
        let breaker = self.all.get_with(key, fresh);
        let ticket = breaker.lock().admit(Instant::now(), &self.rules)?;
        Ok(Part {
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
    shared: Part,
    own: Part,
    reached: Reached,
}

/// How a call ended, as far as the destination has to do with it.
pub enum End<'a> {
    Answered(StatusCode),
    Failed(&'a Error),
}

impl Trial {
    pub fn reach(&mut self, reached: Reached) {
        self.reached = reached;
    }

    pub fn end(mut self, end: &End<'_>) {
        let (shared, own) = verdicts(self.reached, end);
        self.shared.record(shared);
        self.own.record(own);
    }
}

/// What the shared breaker and the caller's own hear.
fn verdicts(reached: Reached, end: &End<'_>) -> (Verdict, Verdict) {
    use Error::{Connect, Dns, Protocol, Timeout, Tls, TooLarge};
    let shared = match (reached, end) {
        (Reached::Connected, _) => Verdict::Good,
        (Reached::Connecting, End::Failed(Dns(_) | Connect(_) | Tls(_))) => Verdict::Bad,
        _ => Verdict::Unsaid,
    };
    let own = match end {
        _ if reached == Reached::Waiting => Verdict::Unsaid,
        // What stands before the receiver says that it is not there.
        End::Answered(status) if matches!(status.as_u16(), 502..=504) => Verdict::Bad,
        End::Answered(_) | End::Failed(TooLarge) => Verdict::Good,
        End::Failed(Dns(_) | Connect(_) | Tls(_) | Timeout | Protocol(_)) => Verdict::Bad,
        End::Failed(_) => Verdict::Unsaid,
    };
    (shared, own)
}

struct Part {
    rules: Arc<Rules>,
    breaker: Arc<Mutex<Breaker>>,
    ticket: Option<Ticket>,
}

impl Part {
    fn record(&mut self, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            let mut breaker = self.breaker.lock();
            breaker.record(ticket, verdict, Instant::now(), &self.rules);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.record(Verdict::Unsaid);
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::Target;
    use super::*;

    fn acme() -> Whose {
        Whose {
            plugin: "webhooks".into(),
            customer: Some("acme".into()),
        }
    }

    #[test]
    fn breakers_of_long_ago_are_forgotten() {
        let rules = Rules {
            breakers_max: 100,
            ..Rules::default()
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
    fn shared_breaker_hears_of_connections_alone() {
        let answered = End::Answered(StatusCode::BAD_GATEWAY);
        let (connect, timeout) = (Error::Connect(String::new()), Error::Timeout);
        for (reached, end, expected) in [
            (Reached::Connected, answered, (Verdict::Good, Verdict::Bad)),
            (
                Reached::Connecting,
                End::Failed(&connect),
                (Verdict::Bad, Verdict::Bad),
            ),
            (
                Reached::Connecting,
                End::Failed(&timeout),
                (Verdict::Unsaid, Verdict::Bad),
            ),
            (
                Reached::Waiting,
                End::Failed(&timeout),
                (Verdict::Unsaid, Verdict::Unsaid),
            ),
            (
                Reached::Connecting,
                End::Failed(&Error::Exhausted(String::new())),
                (Verdict::Unsaid, Verdict::Unsaid),
            ),
        ] {
            assert_eq!(verdicts(reached, &end), expected);
        }
    }
}
