//! One attempt: the request, the answer, and the outcome.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

use hearth_plugin::outbound::{self, Error, Partial, Refusal, Request};
use hearth_plugin::prelude::*;

use crate::headers::Headers;
use crate::schedule;
use crate::sign::{self, Key};

/// For a whole attempt (Standard Webhooks).
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// What is kept of an answer's body.
const RESPONSE_KEPT_BYTES: usize = 16 * 1024;
/// What is read of it, and for how long: the status has come by then, and the rest only
/// lets the connection serve again.
const RESPONSE_BYTES_MAX: u64 = 1024 * 1024;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// An attempt that takes longer is slow.
const SLOW: Duration = Duration::from_secs(5);
/// The rest of an endpoint that asks for some and does not say how long, and of one that
/// hangs: each further time in a row doubles it.
const PAUSE_THROTTLED: Duration = Duration::from_secs(1);
const PAUSE_HANGING: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The mask for a value that is not shown.
const MASK: &str = "***";

/// What is sent, and where to.
pub struct Delivery<'d> {
    pub event_id: &'d str,
    pub url: &'d str,
    pub body: &'d str,
    pub headers: &'d Headers,
    pub keys: &'d [Key],
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Attempt {
    pub started_at: Timestamp,
    pub duration: Duration,
    /// `delivered`, `status`, or why there was no answer.
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub error: Option<String>,
    /// What was wrong with an answer whose status counts nevertheless.
    pub note: Option<String>,
    pub response: Vec<u8>,
    /// How long the receiver asked to be left alone.
    pub asked: Option<Duration>,
    /// Where to, and with which headers; what may be a secret is masked.
    pub url: String,
    pub request_headers: Value,
}

impl<'d> Delivery<'d> {
    /// One that stands for all that will go there.
    pub fn example(url: &'d str, headers: &'d Headers) -> Self {
        Delivery {
            event_id: "evt",
            url,
            body: "",
            headers,
            keys: &[],
        }
    }

    /// What the host would not send of it. Nothing is sent.
    pub fn check(&self) -> Result<(), Vec<Refusal>> {
        self.request(&self.head(0)).check()
    }

    /// Signs with what signs now, and sends. An error says that nothing was sent,
    /// and for how long there is no point in it: that is no attempt.
    pub fn send(&self) -> Result<Attempt, Duration> {
        let (started_at, started) = (Timestamp::now(), Instant::now());
        let head = self.head(started_at.micros().div_euclid(1_000_000));
        let answer = self.request(&head).send_partial();
        let attempt = Attempt {
            started_at,
            duration: started.elapsed(),
            outcome: "status",
            status: None,
            error: None,
            note: None,
            response: Vec::new(),
            asked: None,
            url: self.url.into(),
            request_headers: self.masked_headers(head),
        };
        match answer {
            Ok(partial) => Ok(attempt.with_answer(partial)),
            Err(Error::BreakerOpen(wait)) => Err(wait),
            Err(error) => Ok(Attempt {
                outcome: name(&error),
                error: Some(error.to_string()),
                ..attempt
            }),
        }
    }

    /// The headers of every delivery, signed at that time.
    fn head(&self, timestamp: i64) -> [(&'static str, String); 5] {
        let signatures = sign::signatures(self.keys, self.event_id, timestamp, self.body);
        let agent = concat!("Hearth-Webhooks/", env!("CARGO_PKG_VERSION"));
        [
            ("content-type", "application/json".into()),
            ("user-agent", agent.into()),
            ("webhook-id", self.event_id.into()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signatures),
        ]
    }

    fn request(&self, head: &[(&'static str, String)]) -> Request {
        let request = Request::new("POST", self.url)
            .body(self.body.as_bytes().to_vec())
            .timeout(TIMEOUT)
            .body_timeout(RESPONSE_TIMEOUT)
            .max_response_bytes(RESPONSE_BYTES_MAX);
        let head = head.iter().map(|(name, value)| (*name, value));
        let own = self.headers.0.iter();
        head.chain(own.map(|(name, value)| (name.as_str(), value)))
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
    }

    /// The headers of the request as they are shown in the list of attempts.
    fn masked_headers(&self, head: [(&'static str, String); 5]) -> Value {
        let own = self.headers.0.keys().cloned();
        let own = own.map(|name| (name, Value::from(MASK)));
        let head = head.map(|(name, value)| (name.to_string(), value.into()));
        head.into_iter().chain(own).collect()
    }
}

fn name(error: &outbound::Error) -> &'static str {
    match error {
        Error::BlockedAddress => "blocked_address",
        Error::Dns(_) => "dns",
        Error::Connect(_) => "connect",
        Error::Tls(_) => "tls",
        Error::Timeout => "timeout",
        Error::TooLarge => "too_large",
        Error::BreakerOpen(_) => "breaker_open",
        Error::Denied(_) => "denied",
        Error::Protocol(_) => "protocol",
        Error::Invalid(_) => "invalid",
    }
}

/// What was before an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Which attempt of its round it is, 1 for the first.
    pub tries: i64,
    /// How many attempts of the endpoint in a row were slow, this one included.
    pub slow: i64,
    /// How often in a row the endpoint asked for rest before this attempt.
    pub throttles: i64,
}

/// What an attempt means for its delivery and its endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Delivered,
    /// Again after so long; the endpoint rests for so long.
    Again {
        wait: Duration,
        pause: Option<Duration>,
    },
    /// It was the last attempt.
    Failed,
    /// The receiver wants nothing any more.
    Gone,
}

impl Attempt {
    /// A status that has arrived counts, whatever became of the rest (Standard Webhooks).
    fn with_answer(mut self, Partial { answer, cut }: Partial) -> Self {
        self.status = Some(answer.status);
        let asked = answer.header("retry-after");
        self.asked = asked.and_then(|text| schedule::retry_after(text, SystemTime::now()));
        if answer.is_success() {
            self.outcome = "delivered";
        } else {
            self.error = Some(format!("the receiver answered {}", answer.status));
        }
        self.note = cut.map(|why| format!("the answer is incomplete: {why}"));
        self.response = answer.body;
        self.response.truncate(RESPONSE_KEPT_BYTES);
        self
    }

    /// Whether the receiver says that it gets too much. Too many requests, a bad gateway
    /// and a gateway timeout do (Standard Webhooks); so does one that is unavailable for
    /// a time that it names (RFC 9110, section 15.6.4).
    pub fn is_throttled(&self) -> bool {
        match self.status {
            Some(429 | 502 | 504) => true,
            Some(503) => self.asked.is_some(),
            _ => false,
        }
    }

    /// How many attempts in a row were slow, this one included.
    pub fn slow(&self, before: i64) -> i64 {
        match self.duration >= SLOW {
            true => before.saturating_add(1),
            false => 0,
        }
    }

    /// Judges the attempt. `fraction` is a random number from 0 to 1.
    pub fn verdict(&self, past: Past, fraction: f64) -> Verdict {
        match self.status {
            _ if self.outcome == "delivered" => return Verdict::Delivered,
            Some(410) => return Verdict::Gone,
            _ => {}
        }
        match schedule::wait(past.tries, self.asked, fraction) {
            None => Verdict::Failed,
            Some(wait) => Verdict::Again {
                wait,
                pause: self.pause(past),
            },
        }
    }

    /// How long the endpoint rests: as long as it asks for, else for seconds that grow.
    /// One that hangs keeps a worker busy each time.
    fn pause(&self, past: Past) -> Option<Duration> {
        match (self.is_throttled(), self.asked) {
            (true, Some(asked)) => Some(asked.clamp(PAUSE_THROTTLED, schedule::ASKED_MAX)),
            (true, None) => Some(doubled(PAUSE_THROTTLED, past.throttles)),
            (false, _) if self.outcome == "timeout" => {
                Some(doubled(PAUSE_HANGING, past.slow.saturating_sub(1)))
            }
            (false, _) => None,
        }
    }
}

/// A time doubled so often, up to the longest rest.
fn doubled(time: Duration, times: i64) -> Duration {
    let doublings = u32::try_from(times.clamp(0, 16)).unwrap_or_default();
    time.saturating_mul(2_u32.saturating_pow(doublings))
        .min(PAUSE_MAX)
}
