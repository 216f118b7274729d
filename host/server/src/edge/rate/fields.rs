//! The response headers that show a client its limit.

use std::time::Duration;

use http::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Allowance;
use super::bucket::Nanos;
use super::ledger::Judged;
use crate::edge::problem::Problem;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A tier's name and its `RateLimit-Policy`.
///
/// The draft knows a quota for a window, and no bucket. `q` is the burst and `w`
/// the seconds in which it comes back: so `q` is the most that goes at once, and
/// `q / w` the rate in the long run. Where the burst does not come back in whole
/// seconds, `w` is rounded up and promises less than there is.
pub(super) struct Policy {
    name: &'static str,
    field: Option<HeaderValue>,
}

impl Policy {
    pub(super) fn new(name: &'static str, allowance: Allowance) -> Policy {
        let window = allowance.burst.div_ceil(allowance.per_second.max(1)).max(1);
        let field = format!("\"{name}\";q={};w={window}", allowance.burst);
        Policy {
            name,
            field: HeaderValue::from_str(&field).ok(),
        }
    }

    pub(super) fn status(&self, judged: &Judged) -> RateStatus {
        let wait = judged.wait.map(whole_seconds);
        let reset = wait.unwrap_or_else(|| whole_seconds(judged.full_in));
        let field = format!("\"{}\";r={};t={reset}", self.name, judged.left);
        RateStatus {
            policy: self.field.clone(),
            limit: HeaderValue::from_str(&field).ok(),
            wait: wait.map(Duration::from_secs),
        }
    }
}

/// The state of a caller's limit after a request was counted.
#[derive(Clone, Debug)]
pub struct RateStatus {
    policy: Option<HeaderValue>,
    limit: Option<HeaderValue>,
    wait: Option<Duration>,
}

impl RateStatus {
    /// The answer to a request that is too much.
    pub fn refusal(&self) -> Option<Problem> {
        self.wait.map(Problem::too_many_requests)
    }

    /// Adds the headers to an answer, whatever its status.
    pub fn tell<B>(self, answered: Result<Response<B>, Problem>) -> Result<Response<B>, Problem> {
        match answered {
            Ok(mut answer) => {
                self.insert(answer.headers_mut());
                Ok(answer)
            }
            Err(mut problem) => {
                self.insert(&mut problem.headers);
                Err(problem)
            }
        }
    }

    fn insert(self, headers: &mut HeaderMap) {
        let fields = [(POLICY, self.policy), (LIMIT, self.limit)];
        for (name, value) in fields {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

/// Rounded up, so that a client that waits so long is admitted.
fn whole_seconds(time: Nanos) -> u64 {
    let nanos = u64::try_from(time).unwrap_or(0);
    nanos.div_ceil(1_000_000_000)
}
