//! What became of the requests, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::latency::Latencies;

/// How many different deployments are counted by name; a host that made a new
/// one up with every answer would otherwise grow this process.
const DEPLOYMENTS_MAX: usize = 1_000;
const DEPLOYMENT_BYTES_MAX: usize = 256;

/// What is counted under no name of its own.
const OTHERS: &str = "(others)";

/// Why a request did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A whole answer came, with another status than the one expected.
    Status(u16),
    /// No connection could be made, so nothing was sent.
    Connect,
    /// Not done in `--timeout-ms`.
    Timeout,
    /// The connection ended before the answer was whole.
    Reset,
    /// What came was not HTTP.
    Protocol,
}

impl fmt::Display for Kind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Status(status) => write!(to, "status {status}"),
            Kind::Connect => to.write_str("connect"),
            Kind::Timeout => to.write_str("timeout"),
            Kind::Reset => to.write_str("reset"),
            Kind::Protocol => to.write_str("protocol"),
        }
    }
}

/// A request without a whole answer.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// What the system or the HTTP library said of it.
    pub detail: Option<String>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// From sending to the last byte of the body.
    pub latency: Duration,
    /// The header `Hearth-Plugin`.
    pub deployment: Option<HeaderValue>,
}

/// Requests that failed in the same way.
#[derive(Debug, Default)]
pub struct FailureCount {
    pub count: u64,
    /// What was said of the first of them.
    pub first: Option<String>,
}

/// The counts of one run.
#[derive(Debug)]
pub struct LoadCounts {
    pub done: u64,
    pub succeeded: u64,
    pub elapsed: Duration,
    /// Of the requests that succeeded.
    pub latencies: Latencies,
    pub failures: BTreeMap<Kind, FailureCount>,
    /// How many answers each deployment gave, of whatever status.
    pub deployments: BTreeMap<String, u64>,
    expect: StatusCode,
}

impl LoadCounts {
    pub fn new(expect: StatusCode) -> Result<LoadCounts, hdrhistogram::CreationError> {
        Ok(LoadCounts {
            done: 0,
            succeeded: 0,
            elapsed: Duration::ZERO,
            latencies: Latencies::new()?,
            failures: BTreeMap::new(),
            deployments: BTreeMap::new(),
            expect,
        })
    }

    pub fn count(&mut self, outcome: Result<Answer, Failure>) {
        self.done += 1;
        match outcome {
            Ok(answer) => self.count_answer(answer),
            Err(failure) => self.count_failure(failure.kind, failure.detail),
        }
    }

    fn count_answer(&mut self, answer: Answer) {
        if let Some(deployment) = &answer.deployment {
            self.count_deployment(deployment);
        }
        if answer.status == self.expect {
            self.succeeded += 1;
            self.latencies.record(answer.latency);
        } else {
            self.count_failure(Kind::Status(answer.status.as_u16()), None);
        }
    }

    fn count_failure(&mut self, kind: Kind, detail: Option<String>) {
        let failed = self.failures.entry(kind).or_default();
        failed.count += 1;
        failed.first = failed.first.take().or(detail);
    }

    fn count_deployment(&mut self, label: &HeaderValue) {
        let label = label
            .to_str()
            .ok()
            .filter(|label| label.len() <= DEPLOYMENT_BYTES_MAX);
        let label = label.filter(|label| {
            self.deployments.contains_key(*label) || self.deployments.len() < DEPLOYMENTS_MAX
        });
        *self
            .deployments
            .entry(label.unwrap_or(OTHERS).to_string())
            .or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, deployment: &str) -> Result<Answer, Failure> {
        let deployment = HeaderValue::from_bytes(deployment.as_bytes()).ok();
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Answer {
            status,
            latency: Duration::from_millis(1),
            deployment,
        })
    }

    fn tally() -> LoadCounts {
        LoadCounts::new(StatusCode::OK).unwrap()
    }

    #[test]
    fn another_success_status_is_a_failure() {
        let mut tally = tally();
        tally.count(answer(200, "a@1"));
        tally.count(answer(201, "a@2"));
        assert_eq!((tally.done, tally.succeeded), (2, 1));
        assert_eq!(tally.failures[&Kind::Status(201)].count, 1);
        assert_eq!(
            tally.deployments.values().sum::<u64>(),
            2,
            "a failure was answered by a deployment too"
        );
    }

    #[test]
    fn host_that_makes_up_deployments_does_not_grow_the_tally() {
        let mut tally = tally();
        for number in 0..10_000 {
            tally.count(answer(200, &format!("a@{number}")));
        }
        tally.count(answer(200, &"x".repeat(4096)));
        tally.count(answer(200, "a@0"));
        assert!(tally.deployments.len() <= DEPLOYMENTS_MAX + 1);
        assert_eq!(tally.deployments.values().sum::<u64>(), 10_002);
        assert_eq!(tally.deployments["a@0"], 2);
    }

    #[test]
    fn first_detail_of_a_kind_is_kept() {
        let mut tally = tally();
        for detail in ["first", "second"] {
            tally.count(Err(Failure {
                kind: Kind::Connect,
                detail: Some(detail.into()),
            }));
        }
        let failed = &tally.failures[&Kind::Connect];
        assert_eq!((failed.count, failed.first.as_deref()), (2, Some("first")));
    }
}
