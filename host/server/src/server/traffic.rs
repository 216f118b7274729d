//! What customers have under way: their requests, and answers that they have not taken.
//!
//! An answer is in memory until its client has taken it, and by then it is too late to
//! refuse it: its request had its effect. So whoever leaves too much unread gets no
//! further request through.

use std::time::Duration;

use crate::edge::problem::Problem;
use crate::server::config::Config as Limits;
use hearth_base::budget::{Budget, Customer, Full, Part};
use hearth_base::telemetry::HostMetrics;

/// When a client that was turned away may well try again.
const COME_AGAIN: Duration = Duration::from_secs(1);

pub struct Traffic {
    requests: Budget<Customer>,
    answers: Budget<Customer>,
}

/// One request, from its head until its client has taken the answer.
pub struct Passage {
    _request: Part<Customer>,
    answer: Part<Customer>,
}

impl Traffic {
    pub fn new(limits: &Limits, metrics: &HostMetrics) -> Traffic {
        let percent = limits.customer_percent_max;
        let (requests, answers) = (limits.requests_max, limits.answers_bytes_max);
        Traffic {
            requests: Budget::with_gauge(requests, percent, metrics.requests_under_way()),
            answers: Budget::with_gauge(answers, percent, metrics.answers_bytes()),
        }
    }

    /// A further request of a customer, where it may have one.
    ///
    /// # Errors
    /// What the client is told where it may not.
    pub fn enter(&self, customer: Customer) -> Result<Passage, Problem> {
        self.answers.check(&customer).map_err(|full| match full {
            Full::Share => Problem::too_many_answer_bytes(COME_AGAIN),
            Full::Whole => Problem::overloaded(COME_AGAIN),
        })?;
        let request = self.requests.take(customer.clone(), 1);
        let request = request.map_err(|full| match full {
            Full::Share => Problem::too_many_concurrent_requests(COME_AGAIN),
            Full::Whole => Problem::overloaded(COME_AGAIN),
        })?;
        Ok(Passage {
            _request: request,
            answer: self.answers.part(customer),
        })
    }
}

impl Passage {
    /// The answer has so many bytes, which are in memory as long as this lives.
    pub fn set_answer_bytes(&mut self, bytes: Option<u64>) {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        self.answer.set(bytes.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_base::telemetry::Metrics;

    fn traffic() -> Traffic {
        let limits = Limits {
            requests_max: 4,
            answers_bytes_max: 1_000,
            customer_percent_max: 50,
            ..Limits::default()
        };
        Traffic::new(
            &limits,
            &HostMetrics::new(&Metrics::new(&Default::default())),
        )
    }

    fn kind(entered: Result<Passage, Problem>) -> &'static str {
        entered.err().map_or("admitted", |problem| problem.kind)
    }

    #[test]
    fn customer_has_so_many_requests_under_way_and_others_have_theirs() {
        let traffic = traffic();
        let enter = |name: &str| traffic.enter(Some(name.into()));
        let acme = [enter("acme").unwrap(), enter("acme").unwrap()];
        assert_eq!(kind(enter("acme")), "too-many-concurrent-requests");
        let _globex = [enter("globex").unwrap(), enter("globex").unwrap()];
        assert_eq!(kind(enter("initech")), "overloaded");
        drop(acme);
        assert_eq!(kind(enter("acme")), "admitted");
    }

    #[test]
    fn customer_that_leaves_its_answers_unread_asks_for_no_more() {
        let traffic = traffic();
        let mut unread = traffic.enter(None).unwrap();
        unread.set_answer_bytes(Some(2_000));
        assert_eq!(kind(traffic.enter(None)), "too-many-answer-bytes");
        let globex = traffic.enter(Some("globex".into()));
        assert!(globex.is_ok());
        drop(unread);
        assert_eq!(kind(traffic.enter(None)), "admitted");
    }
}
