//! The retry schedule: when a failed attempt is repeated (the schedule of Standard
//! Webhooks).

use std::time::{Duration, SystemTime};

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// How long after each attempt the next one comes. The first is made at once, and
/// after the last of these there is none.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    minutes(2 * 60),
    minutes(5 * 60),
    minutes(10 * 60),
    minutes(14 * 60),
    minutes(20 * 60),
    minutes(24 * 60),
];

/// By how much a wait is longer or shorter at most, so that what failed together
/// is not tried together.
const JITTER: f64 = 0.2;

/// By how much longer than the schedule's a wait is at most that a receiver asks for, and
/// how long all of an endpoint's deliveries wait for it.
pub const ASKED_MAX: Duration = minutes(2 * 60);

/// What fails for so long without one success has its endpoint disabled.
pub const FAILING_MAX: Duration = minutes(5 * 24 * 60);

/// The wait after the attempt of this number in its round, 1 for the first; `None`
/// where it was the last. It is never shorter than the receiver asked for (RFC 9110,
/// section 10.2.3), up to [`ASKED_MAX`] past the schedule's time. `fraction` is a random
/// number from 0 to 1.
pub fn wait(tries: i64, asked: Option<Duration>, fraction: f64) -> Option<Duration> {
    let base = *WAITS.get(usize::try_from(tries).ok()?.checked_sub(1)?)?;
    let own = base.mul_f64(1.0 - JITTER + 2.0 * JITTER * fraction);
    Some(own.max(asked.unwrap_or_default().min(base + ASKED_MAX)))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are no fewer.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn ten_attempts_within_three_days_and_four_hours() {
        let waits: Vec<_> = (1..).map_while(|tries| wait(tries, None, 0.5)).collect();
        assert_eq!(waits.len() + 1, 10);
        let seconds: Vec<_> = waits
            .iter()
            .map(|wait| wait.as_secs_f64().round())
            .collect();
        let hours = |hours: f64| hours * 3600.0;
        let expected = [
            5.0,
            300.0,
            1800.0,
            hours(2.0),
            hours(5.0),
            hours(10.0),
            hours(14.0),
            hours(20.0),
            hours(24.0),
        ];
        assert_eq!(seconds, expected);
        assert_eq!(wait(0, None, 0.5), None);
        assert_eq!(wait(10, None, 0.5), None);
    }

    #[test]
    fn jitter_is_a_fifth_at_most() {
        let base = minutes(5);
        assert_eq!(wait(2, None, 0.0).unwrap(), base.mul_f64(0.8));
        for step in 0..100 {
            let wait = wait(2, None, f64::from(step) / 100.0).unwrap();
            assert!(wait >= base.mul_f64(0.8) && wait <= base.mul_f64(1.2));
        }
    }

    #[test]
    fn no_wait_is_shorter_than_the_receiver_asked_for_up_to_two_hours_more() {
        let asked = |tries, seconds| {
            let asked = Some(Duration::from_secs(seconds));
            wait(tries, asked, 0.5).unwrap().as_secs()
        };
        assert_eq!(
            [0, 5, 60, 7_205, 86_400, u64::MAX].map(|seconds| asked(1, seconds)),
            [5, 5, 60, 7_205, 7_205, 7_205]
        );
        assert_eq!(asked(2, 60), 300);
        assert_eq!(asked(9, u64::MAX), 26 * 3_600);
    }

    #[test]
    fn what_is_asked_for_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let read = |text| retry_after(text, now).map(|wish| wish.as_secs());
        assert_eq!(read(" 120 "), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(read("Sat, 05 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(u64::MAX));
        for wrong in ["", "-1", "+1", "1.5", "soon"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
