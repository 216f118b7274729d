//! One attempt: what is sent, what came back, and what that means.

use std::time::{Duration, Instant, SystemTime};

use hearth_plugin::outbound::{self, Answer, Error, Refusal, Request};
use hearth_plugin::prelude::*;

use crate::headers::Headers;
use crate::schedule;
use crate::sign::{self, Key};

/// For a whole attempt (Standard Webhooks).
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// What is kept of an answer's body.
const RESPONSE_KEPT_BYTES: usize = 16 * 1024;
/// What is read of it; a longer answer fails the attempt.
const RESPONSE_BYTES_MAX: u64 = 1024 * 1024;
/// An attempt that takes longer is slow.
const SLOW: Duration = Duration::from_secs(5);
/// The longest rest that an endpoint gets, however long its deliveries wait.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// The rest after the first timeout; each further one in a row doubles it.
const PAUSE_HANGING: Duration = Duration::from_secs(5);
const PAUSE_HANGING_MAX: Duration = Duration::from_secs(60);

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
    pub response: Vec<u8>,
    /// How long the receiver wishes to be left alone.
    pub wish: Option<Duration>,
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
        self.request(0).check()
    }

    /// Signs with what signs now, and sends. An error says that nothing was sent,
    /// and for how long there is no point in it: that is no attempt.
    pub fn send(&self) -> Result<Attempt, Duration> {
        let (started_at, started) = (Timestamp::now(), Instant::now());
        let timestamp = started_at.micros().div_euclid(1_000_000);
        let answer = self.request(timestamp).send();
        let attempt = Attempt {
            started_at,
            duration: started.elapsed(),
            outcome: "status",
            status: None,
            error: None,
            response: Vec::new(),
            wish: None,
        };
        match answer {
            Ok(answer) => Ok(attempt.answered(answer)),
            Err(Error::BreakerOpen(wait)) => Err(wait),
            Err(error) => Ok(Attempt {
                outcome: name(&error),
                error: Some(error.to_string()),
                ..attempt
            }),
        }
    }

    fn request(&self, timestamp: i64) -> Request {
        let signatures = sign::signatures(self.keys, self.event_id, timestamp, self.body);
        let request = Request::new("POST", self.url)
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("Hearth-Webhooks/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", self.event_id)
            .header("webhook-timestamp", &timestamp.to_string())
            .header("webhook-signature", &signatures)
            .body(self.body.as_bytes().to_vec())
            .timeout(TIMEOUT)
            .max_response_bytes(RESPONSE_BYTES_MAX);
        let own = self.headers.0.iter();
        own.fold(request, |request, (name, value)| {
            request.header(name, value)
        })
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
    fn answered(mut self, answer: Answer) -> Self {
        self.status = Some(answer.status);
        let wish = answer.header("retry-after");
        self.wish = wish.and_then(|text| schedule::retry_after(text, SystemTime::now()));
        if answer.is_success() {
            self.outcome = "delivered";
        } else {
            self.error = Some(format!("the receiver answered {}", answer.status));
        }
        self.response = answer.body;
        self.response.truncate(RESPONSE_KEPT_BYTES);
        self
    }

    /// How many attempts in a row were slow, this one included.
    pub fn slow(&self, before: i64) -> i64 {
        match self.duration >= SLOW {
            true => before.saturating_add(1),
            false => 0,
        }
    }

    /// Judges the attempt of this number in its round, 1 for the first. `slow` is
    /// how many in a row were slow; `fraction` a random number from 0 to 1.
    pub fn verdict(&self, tries: i64, slow: i64, fraction: f64) -> Verdict {
        match self.status {
            _ if self.outcome == "delivered" => return Verdict::Delivered,
            Some(410) => return Verdict::Gone,
            _ => {}
        }
        match schedule::wait(tries, self.wish, fraction) {
            None => Verdict::Failed,
            Some(wait) => Verdict::Again {
                wait,
                pause: self.pause(wait, slow),
            },
        }
    }

    /// Too many requests, a bad gateway and a gateway timeout say that the receiver
    /// has more than it can do (Standard Webhooks). One that hangs keeps a worker busy
    /// each time.
    fn pause(&self, wait: Duration, slow: i64) -> Option<Duration> {
        if matches!(self.status, Some(429 | 502 | 504)) {
            return Some(wait.min(PAUSE_MAX));
        }
        let doublings = u32::try_from(slow.saturating_sub(1).clamp(0, 4)).unwrap_or_default();
        let rest = PAUSE_HANGING.saturating_mul(2_u32.saturating_pow(doublings));
        (self.outcome == "timeout").then(|| rest.min(PAUSE_HANGING_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(status: Option<u16>, outcome: &'static str) -> Attempt {
        Attempt {
            started_at: Timestamp::default(),
            duration: Duration::from_millis(20),
            outcome,
            status,
            error: None,
            response: Vec::new(),
            wish: None,
        }
    }

    fn answered(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Attempt {
        let header = |(name, value): &(&str, &str)| (name.to_string(), value.as_bytes().to_vec());
        attempt(None, "status").answered(Answer {
            status,
            headers: headers.iter().map(header).collect(),
            body: body.to_vec(),
        })
    }

    #[test]
    fn only_2xx_is_a_success() {
        for status in [200, 201, 204, 299] {
            assert_eq!(
                answered(status, &[], b"").verdict(1, 0, 0.5),
                Verdict::Delivered
            );
        }
        for status in [100, 300, 301, 302, 307, 400, 404, 500, 503] {
            let verdict = answered(status, &[], b"").verdict(1, 0, 0.5);
            let wait = Duration::from_secs(5);
            assert_eq!(verdict, Verdict::Again { wait, pause: None }, "{status}");
        }
    }

    #[test]
    fn gone_ends_it_at_once_and_the_tenth_attempt_ends_it_too() {
        assert_eq!(answered(410, &[], b"").verdict(1, 0, 0.5), Verdict::Gone);
        assert_eq!(answered(500, &[], b"").verdict(10, 0, 0.5), Verdict::Failed);
        assert_eq!(
            answered(200, &[], b"").verdict(10, 0, 0.5),
            Verdict::Delivered
        );
    }

    #[test]
    fn a_receiver_with_too_much_to_do_rests_as_long_as_the_delivery_waits() {
        for status in [429, 502, 504] {
            let wished = answered(status, &[("retry-after", "8")], b"").verdict(1, 0, 0.5);
            let wait = Duration::from_secs(8);
            let pause = Some(wait);
            assert_eq!(wished, Verdict::Again { wait, pause }, "{status}");
            let Verdict::Again { wait, pause } = answered(status, &[], b"").verdict(9, 0, 0.5)
            else {
                panic!("there is one more attempt")
            };
            assert_eq!(wait, Duration::from_secs(24 * 3600));
            assert_eq!(pause, Some(Duration::from_secs(300)));
        }
    }

    #[test]
    fn a_receiver_that_hangs_rests_ever_longer() {
        let pause = |slow| match attempt(None, "timeout").verdict(1, slow, 0.5) {
            Verdict::Again { pause, .. } => pause.map(|pause| pause.as_secs()),
            _ => None,
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 100].map(pause),
            [5, 10, 20, 40, 60, 60].map(Some)
        );
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
}
