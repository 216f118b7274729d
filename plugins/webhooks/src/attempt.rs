//! One attempt: what is sent, what came back, and what that means.

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
/// What stands for a value that is not shown.
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
    /// What was amiss with an answer whose status counts all the same.
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
            request_headers: self.shown(head),
        };
        match answer {
            Ok(partial) => Ok(attempt.answered(partial)),
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

    /// The headers of the request for whoever looks at the attempt.
    fn shown(&self, head: [(&'static str, String); 5]) -> Value {
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
    fn answered(mut self, Partial { answer, cut }: Partial) -> Self {
        self.status = Some(answer.status);
        let asked = answer.header("retry-after");
        self.asked = asked.and_then(|text| schedule::retry_after(text, SystemTime::now()));
        if answer.is_success() {
            self.outcome = "delivered";
        } else {
            self.error = Some(format!("the receiver answered {}", answer.status));
        }
        self.note = cut.map(|why| format!("the answer was not read to its end: {why}"));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hearth_plugin::outbound::Answer;

    use super::*;

    fn attempt(status: Option<u16>, outcome: &'static str) -> Attempt {
        Attempt {
            started_at: Timestamp::default(),
            duration: Duration::from_millis(20),
            outcome,
            status,
            error: None,
            note: None,
            response: Vec::new(),
            asked: None,
            url: String::new(),
            request_headers: Value::Null,
        }
    }

    fn partly(status: u16, headers: &[(&str, &str)], body: &[u8], cut: Option<Error>) -> Attempt {
        let header = |(name, value): &(&str, &str)| (name.to_string(), value.as_bytes().to_vec());
        let answer = Answer {
            status,
            headers: headers.iter().map(header).collect(),
            body: body.to_vec(),
        };
        attempt(None, "status").answered(Partial { answer, cut })
    }

    fn answered(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Attempt {
        partly(status, headers, body, None)
    }

    fn past(tries: i64, slow: i64, throttles: i64) -> Past {
        Past {
            tries,
            slow,
            throttles,
        }
    }

    fn first(attempt: &Attempt) -> Verdict {
        attempt.verdict(past(1, 0, 0), 0.5)
    }

    fn pause(attempt: &Attempt, past: Past) -> Option<u64> {
        match attempt.verdict(past, 0.5) {
            Verdict::Again { pause, .. } => pause.map(|pause| pause.as_secs()),
            _ => None,
        }
    }

    #[test]
    fn only_2xx_is_a_success() {
        for status in [200, 201, 204, 299] {
            assert_eq!(first(&answered(status, &[], b"")), Verdict::Delivered);
        }
        for status in [100, 300, 301, 302, 307, 400, 404, 500, 503] {
            let wait = Duration::from_secs(5);
            let again = Verdict::Again { wait, pause: None };
            assert_eq!(first(&answered(status, &[], b"")), again, "{status}");
        }
    }

    #[test]
    fn status_counts_whatever_became_of_the_body() {
        for why in [
            Error::TooLarge,
            Error::Timeout,
            Error::Protocol("closed".into()),
        ] {
            let delivered = partly(200, &[], b"abc", Some(why.clone()));
            assert_eq!(first(&delivered), Verdict::Delivered);
            assert_eq!((delivered.error, delivered.response), (None, b"abc".into()));
            assert!(delivered.note.unwrap().contains(&why.to_string()));
            assert_eq!(first(&partly(410, &[], b"", Some(why))), Verdict::Gone);
        }
        assert_eq!(answered(200, &[], b"").note, None);
    }

    #[test]
    fn gone_ends_it_at_once_and_the_tenth_attempt_ends_it_too() {
        let tenth = past(10, 0, 0);
        assert_eq!(first(&answered(410, &[], b"")), Verdict::Gone);
        assert_eq!(answered(500, &[], b"").verdict(tenth, 0.5), Verdict::Failed);
        assert_eq!(
            answered(200, &[], b"").verdict(tenth, 0.5),
            Verdict::Delivered
        );
    }

    #[test]
    fn endpoint_rests_as_long_as_it_asks_for() {
        for status in [429, 502, 503, 504] {
            let asks = |text: &str| answered(status, &[("retry-after", text)], b"");
            let wait = Duration::from_secs(60);
            let pause = Some(wait);
            assert_eq!(first(&asks("60")), Verdict::Again { wait, pause });
            let again = past(9, 0, 5);
            assert_eq!(self::pause(&asks("0"), again), Some(1));
            assert_eq!(self::pause(&asks("3600"), again), Some(3_600));
            assert_eq!(self::pause(&asks("999999999"), again), Some(7_200));
        }
        let fault = answered(500, &[("retry-after", "60")], b"");
        assert_eq!(pause(&fault, past(1, 0, 0)), None, "its own matter");
    }

    #[test]
    fn endpoint_that_does_not_say_how_long_rests_for_seconds_that_grow() {
        for status in [429, 502, 504] {
            let throttled = answered(status, &[], b"");
            let rests = [0, 1, 2, 5, 6, i64::MAX].map(|times| past(9, 0, times));
            let rests = rests.map(|past| pause(&throttled, past));
            assert_eq!(rests, [1, 2, 4, 32, 60, 60].map(Some), "{status}");
        }
    }

    #[test]
    fn a_receiver_that_hangs_rests_ever_longer() {
        let hangs = attempt(None, "timeout");
        let rests = [1, 2, 3, 4, 5, 100].map(|slow| pause(&hangs, past(1, slow, 0)));
        assert_eq!(rests, [5, 10, 20, 40, 60, 60].map(Some));
        let mut slow = attempt(None, "timeout");
        assert_eq!(slow.slow(3), 0);
        slow.duration = TIMEOUT;
        assert_eq!(slow.slow(3), 4);
    }

    #[test]
    fn the_beginning_of_an_answer_is_kept() {
        let long = vec![b'x'; 20_000];
        assert_eq!(answered(500, &[], &long).response.len(), 16 * 1024);
        assert_eq!(answered(200, &[], b"ok").response, b"ok");
    }

    #[test]
    fn headers_are_shown_without_the_values_of_the_endpoint_s_own() {
        let own = ("authorization".to_string(), "Bearer hunter2".to_string());
        let headers = Headers(BTreeMap::from([own]));
        let delivery = Delivery::example("https://example.com/", &headers);
        let shown = delivery.shown(delivery.head(7));
        assert_eq!(shown["webhook-id"], "evt");
        assert_eq!(shown["webhook-timestamp"], "7");
        assert_eq!(shown["authorization"], "***");
        assert!(!shown.to_string().contains("hunter2"));
    }
}
