//! Whether a delivery may be attempted now. A slow or broken receiver must not hold
//! back the others: an attempt keeps a worker busy for as long as its receiver takes,
//! up to fifteen seconds, and there are only so many workers.
//!
//! So each endpoint has a few attempts under way and no more, fewer where it does not
//! fare well or never answered; all of those together have a part of what the customer
//! may have, which itself is a part of the workers there are. A delivery that has to
//! wait is told when to come again: the waiting ones of an endpoint are spread over
//! time, however many they are.

use std::time::Duration;

use hearth_plugin::prelude::*;

use crate::sql::deliveries::{Due, Standing};

/// Attempts of one endpoint under way at once, by how it fares.
const WELL_MAX: i64 = 8;
const UNPROVEN_EACH_MAX: i64 = 2;
const HANGING_MAX: i64 = 1;
/// Attempts of a customer to all endpoints that do not fare well.
const UNPROVEN_MAX: i64 = 64;
/// Attempts of a customer to all endpoints. The manifest has 128 workers.
const CUSTOMER_MAX: i64 = 96;

/// How far the deliveries that wait in an endpoint's line are apart.
const STEP: Duration = Duration::from_millis(50);
const STEP_UNPROVEN: Duration = Duration::from_millis(100);
const STEP_HANGING: Duration = Duration::from_secs(5);
/// The longest wait in line: the endpoint may have got well meanwhile.
const LINE_MAX: Duration = Duration::from_secs(5 * 60);
/// For how long a time that the rate gave holds when its delivery comes late.
const SLOT_HOLDS: Duration = Duration::from_secs(1);

/// What becomes of a delivery whose message came.
#[derive(Debug, PartialEq)]
pub enum Admission {
    /// It is over, or another message carries it on.
    Void,
    /// The endpoint gets nothing any more.
    Stop,
    /// It is not its time yet; nothing changes.
    Early(Timestamp),
    /// It has to wait until then.
    Wait(Wait),
    /// Now. The instant is what the rate leaves free then.
    Go(Option<Timestamp>),
}

/// Until when a delivery waits, and what that changes.
#[derive(Debug, PartialEq)]
pub struct Wait {
    pub until: Timestamp,
    /// Whether the rate keeps this instant for it.
    pub has_slot: bool,
    pub line_ends_at: Option<Timestamp>,
    pub rate_free_at: Option<Timestamp>,
}

/// Decides, from what the locked rows say. `fraction` is a random number from 0 to 1.
pub fn admit(
    standing: &Standing,
    due: &Due,
    round: i64,
    now: Timestamp,
    fraction: f64,
) -> Admission {
    if due.round != round || due.status != "pending" {
        return Admission::Void;
    }
    if !standing.enabled {
        return Admission::Stop;
    }
    if let Some(until) = due.leased_until.filter(|until| *until > now) {
        return Admission::Early(until);
    }
    if due.due_at > now {
        return Admission::Early(due.due_at);
    }
    if let Some(until) = standing.paused_until.filter(|until| *until > now) {
        return in_line(standing, until, now, fraction);
    }
    if is_full(standing, due) {
        return in_line(standing, now, now, fraction);
    }
    at_rate(standing, due, now)
}

/// How an endpoint fares.
#[derive(Clone, Copy, PartialEq)]
enum Fares {
    /// It answered, and its last attempt was neither slow nor in vain.
    Well,
    /// It never answered, or not well, or only after seconds.
    Unproven,
    /// It keeps workers busy for nothing.
    Hanging,
}

fn fares(standing: &Standing) -> Fares {
    let fails = standing.failing_since.is_some();
    match standing.slow > 0 {
        true if fails => Fares::Hanging,
        true => Fares::Unproven,
        false if fails || standing.last_success_at.is_none() => Fares::Unproven,
        false => Fares::Well,
    }
}

/// Whether the endpoint has as much under way as it may.
pub fn is_full(standing: &Standing, due: &Due) -> bool {
    let fares = fares(standing);
    let most = match fares {
        _ if standing.ordered => 1,
        Fares::Well => WELL_MAX,
        Fares::Unproven => UNPROVEN_EACH_MAX,
        Fares::Hanging => HANGING_MAX,
    };
    let crowded = fares != Fares::Well && due.to_unproven >= UNPROVEN_MAX;
    due.to_endpoint >= most || due.to_customer >= CUSTOMER_MAX || crowded
}

/// At the end of the endpoint's line, which begins at that instant at the earliest.
fn in_line(standing: &Standing, from: Timestamp, now: Timestamp, fraction: f64) -> Admission {
    let step = match fares(standing) {
        Fares::Well => STEP,
        Fares::Unproven => STEP_UNPROVEN,
        Fares::Hanging => STEP_HANGING,
    };
    let end = standing.line_ends_at.unwrap_or(now).max(from).after(step);
    let latest = from.max(now).after(LINE_MAX.mul_f64(0.5 + fraction / 2.0));
    Admission::Wait(Wait {
        until: end.min(latest),
        has_slot: false,
        line_ends_at: Some(end.min(from.max(now).after(LINE_MAX))),
        rate_free_at: standing.rate_free_at,
    })
}

/// One after the other, evenly. Who has to wait gets an instant of its own.
fn at_rate(standing: &Standing, due: &Due, now: Timestamp) -> Admission {
    let rate = standing
        .rate_per_second
        .and_then(|rate| u32::try_from(rate).ok());
    let Some(rate) = rate.filter(|rate| *rate > 0) else {
        return Admission::Go(None);
    };
    if due.has_slot && now <= due.due_at.after(SLOT_HOLDS) {
        return Admission::Go(standing.rate_free_at);
    }
    let free = standing.rate_free_at.unwrap_or(now).max(now);
    let next = Some(free.after(Duration::from_secs(1) / rate));
    match free > now {
        false => Admission::Go(next),
        true => Admission::Wait(Wait {
            until: free,
            has_slot: true,
            line_ends_at: standing.line_ends_at,
            rate_free_at: next,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn seconds(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn standing() -> Standing {
        Standing {
            enabled: true,
            ordered: false,
            rate_per_second: None,
            last_success_at: Some(NOW),
            failing_since: None,
            slow: 0,
            paused_until: None,
            line_ends_at: None,
            rate_free_at: None,
        }
    }

    fn due() -> Due {
        Due {
            status: "pending".into(),
            round: 1,
            tries: 0,
            attempts: 0,
            due_at: NOW,
            has_slot: false,
            leased_until: None,
            to_endpoint: 0,
            to_customer: 0,
            to_unproven: 0,
        }
    }

    fn judge(standing: &Standing, due: &Due) -> Admission {
        admit(standing, due, 1, NOW, 0.5)
    }

    fn waits(admission: Admission) -> Wait {
        match admission {
            Admission::Wait(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_over_or_carried_on_by_another_message_is_void() {
        for status in ["delivered", "failed", "stopped"] {
            let mut due = due();
            due.status = status.into();
            assert_eq!(judge(&standing(), &due), Admission::Void);
        }
        let mut due = due();
        due.round = 2;
        assert_eq!(judge(&standing(), &due), Admission::Void);
    }

    #[test]
    fn a_disabled_endpoint_gets_nothing() {
        let mut standing = standing();
        standing.enabled = false;
        assert_eq!(judge(&standing, &due()), Admission::Stop);
    }

    #[test]
    fn nobody_attempts_what_another_one_does_or_before_it_is_due() {
        let mut early = due();
        early.leased_until = Some(seconds(9));
        assert_eq!(judge(&standing(), &early), Admission::Early(seconds(9)));
        early.leased_until = Some(NOW);
        assert_eq!(judge(&standing(), &early), Admission::Go(None));
        early.due_at = seconds(5);
        assert_eq!(judge(&standing(), &early), Admission::Early(seconds(5)));
    }

    #[test]
    fn an_endpoint_has_as_many_attempts_under_way_as_it_fares() {
        let most = |standing: &Standing| {
            let admits = |under_way: &i64| {
                let mut due = due();
                due.to_endpoint = *under_way;
                judge(standing, &due) == Admission::Go(None)
            };
            (0..100).take_while(admits).count()
        };
        assert_eq!(most(&standing()), 8);
        let (mut new, mut failing, mut slow) = (standing(), standing(), standing());
        new.last_success_at = None;
        failing.failing_since = Some(NOW);
        slow.slow = 1;
        assert_eq!([&new, &failing, &slow].map(most), [2, 2, 2]);
        let mut hanging = failing;
        hanging.slow = 1;
        let mut ordered = standing();
        ordered.ordered = true;
        assert_eq!([&hanging, &ordered].map(most), [1, 1]);
    }

    #[test]
    fn endpoints_that_hang_leave_room_for_those_that_do_not() {
        let mut full = due();
        full.to_unproven = 64;
        full.to_customer = 64;
        assert_eq!(judge(&standing(), &full), Admission::Go(None));
        let mut failing = standing();
        failing.failing_since = Some(NOW);
        assert!(matches!(judge(&failing, &full), Admission::Wait(_)));
        full.to_customer = 96;
        assert!(matches!(judge(&standing(), &full), Admission::Wait(_)));
    }

    #[test]
    fn those_that_wait_are_spread_over_time_and_never_for_long() {
        let mut standing = standing();
        standing.failing_since = Some(NOW);
        standing.slow = 1;
        let mut full = due();
        full.to_endpoint = 1;
        let mut untils = Vec::new();
        for _ in 0..100 {
            let wait = waits(judge(&standing, &full));
            standing.line_ends_at = wait.line_ends_at;
            untils.push(wait.until);
        }
        assert_eq!(untils[..3], [seconds(5), seconds(10), seconds(15)]);
        assert!(untils.iter().all(|until| *until <= seconds(300)));
        assert_eq!(standing.line_ends_at, Some(seconds(300)));
    }

    #[test]
    fn a_pause_holds_all_of_an_endpoint_s_deliveries() {
        let mut paused = standing();
        paused.paused_until = Some(seconds(30));
        let wait = waits(judge(&paused, &due()));
        assert!(wait.until > seconds(30) && wait.until <= seconds(31));
        paused.paused_until = Some(NOW);
        assert_eq!(judge(&paused, &due()), Admission::Go(None));
    }

    #[test]
    fn a_rate_of_two_gives_every_half_second_to_one() {
        let mut standing = standing();
        standing.rate_per_second = Some(2);
        let Admission::Go(next) = judge(&standing, &due()) else {
            panic!("the first goes at once")
        };
        standing.rate_free_at = next;
        let half = |halves: u64| NOW.after(Duration::from_millis(500 * halves));
        for turn in 1..5 {
            let wait = waits(judge(&standing, &due()));
            assert_eq!((wait.until, wait.has_slot), (half(turn), true));
            standing.rate_free_at = wait.rate_free_at;
        }
        let mut come_back = due();
        come_back.has_slot = true;
        assert_eq!(judge(&standing, &come_back), Admission::Go(Some(half(5))));
        come_back.due_at = NOW.before(Duration::from_secs(2));
        assert!(
            matches!(judge(&standing, &come_back), Admission::Wait(_)),
            "too late"
        );
    }
}
