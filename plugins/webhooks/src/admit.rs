//! Decides whether a delivery may be attempted now. A slow or broken receiver must not
//! delay the others: an attempt occupies a worker for as long as its receiver takes, up
//! to fifteen seconds, and the number of workers is limited.
//!
//! So each endpoint may have a few attempts in progress, fewer if it fails or never
//! answered; all of those together have a share of what the customer may have, which
//! itself is a share of all workers. A delivery that has to wait gets a time to come
//! again: the waiting ones of an endpoint are spread over time, however many they are,
//! as each waits a random time that grows with their number.

use std::time::Duration;

use hearth_plugin::prelude::*;

use crate::sql::deliveries::DeliveryState;

/// How many attempts to one endpoint may be in progress at once, by its health.
const WELL_MAX: i64 = 8;
const UNPROVEN_EACH_MAX: i64 = 2;
const HANGING_MAX: i64 = 1;
/// Attempts of a customer to all endpoints that do not fare well.
const UNPROVEN_MAX: i64 = 64;
/// Attempts of a customer to all endpoints. The manifest has 128 workers.
const CUSTOMER_MAX: i64 = 96;

/// How far the deliveries that wait in an endpoint's line are apart, more or less.
const STEP: Duration = Duration::from_millis(50);
const STEP_UNPROVEN: Duration = Duration::from_millis(100);
const STEP_HANGING: Duration = Duration::from_secs(5);
/// The longest wait in line: the endpoint may have got well meanwhile. Those of a line
/// that is not counted to its end wait anywhere within.
const LINE_MAX: Duration = Duration::from_secs(5 * 60);
/// As far as a line is counted, as its statement has it.
const COUNTED_MAX: i64 = 1_000;
/// For how long a time that the rate gave holds when its delivery comes late.
const SLOT_HOLDS: Duration = Duration::from_secs(1);

/// The decision for a delivery whose message was received.
#[derive(Debug, PartialEq)]
pub enum Admission {
    /// It is over, or another message carries it on.
    Void,
    /// The endpoint gets nothing any more.
    Stop,
    /// It is not its time yet; nothing changes.
    Early(Timestamp),
    /// It has to wait in the endpoint's line, which begins at that instant.
    Line(Timestamp),
    /// Where the endpoint's rate leaves an instant free, so far from the one before.
    Slot(Duration),
    /// Now.
    Go,
}

/// Decides, from what the rows say.
pub fn admit(standing: &DeliveryState, round: i64, now: Timestamp) -> Admission {
    if standing.round != round || standing.status != "pending" {
        return Admission::Void;
    }
    if !standing.enabled {
        return Admission::Stop;
    }
    if let Some(until) = standing.leased_until.filter(|until| *until > now) {
        return Admission::Early(until);
    }
    if standing.due_at > now {
        return Admission::Early(standing.due_at);
    }
    if let Some(until) = standing.paused_until.filter(|until| *until > now) {
        return Admission::Line(until);
    }
    if is_full(standing) {
        return Admission::Line(now);
    }
    at_rate(standing, now)
}

/// The health of an endpoint.
#[derive(Clone, Copy, PartialEq)]
enum Fares {
    /// It answered, and its last attempt was neither slow nor in vain.
    Well,
    /// It never answered, or not well, or only after seconds.
    Unproven,
    /// It keeps workers busy for nothing.
    Hanging,
}

fn fares(standing: &DeliveryState) -> Fares {
    let fails = standing.failing_since.is_some();
    match standing.slow > 0 {
        true if fails => Fares::Hanging,
        true => Fares::Unproven,
        false if fails || standing.last_success_at.is_none() => Fares::Unproven,
        false => Fares::Well,
    }
}

/// How many attempts of the endpoint may be under way.
fn places(standing: &DeliveryState) -> i64 {
    match fares(standing) {
        _ if standing.ordered => 1,
        Fares::Well => WELL_MAX,
        Fares::Unproven => UNPROVEN_EACH_MAX,
        Fares::Hanging => HANGING_MAX,
    }
}

/// Whether the endpoint has as much under way as it may.
pub fn is_full(standing: &DeliveryState) -> bool {
    let unproven = fares(standing) != Fares::Well;
    standing.to_endpoint >= places(standing)
        || standing.to_customer >= CUSTOMER_MAX
        || (unproven && standing.to_unproven >= UNPROVEN_MAX)
}

/// How long a delivery waits behind so many others. `fraction` is a random number from
/// 0 to 1.
pub fn wait(standing: &DeliveryState, others: i64, fraction: f64) -> Duration {
    let step = match fares(standing) {
        Fares::Well => STEP,
        // It answers at once, and takes the next when it has rested.
        Fares::Unproven if standing.throttles > 0 => STEP,
        Fares::Unproven => STEP_UNPROVEN,
        Fares::Hanging => STEP_HANGING,
    };
    if others >= COUNTED_MAX {
        return LINE_MAX.mul_f64(fraction);
    }
    let mean = step * u32::try_from(others).unwrap_or_default();
    let longest = (mean * 2).min(LINE_MAX);
    (step + longest.mul_f64(fraction)).min(LINE_MAX)
}

/// One after the other, evenly.
fn at_rate(standing: &DeliveryState, now: Timestamp) -> Admission {
    let rate = standing
        .rate_per_second
        .and_then(|rate| u32::try_from(rate).ok());
    let Some(rate) = rate.filter(|rate| *rate > 0) else {
        return Admission::Go;
    };
    match standing.has_slot && now <= standing.due_at.after(SLOT_HOLDS) {
        true => Admission::Go,
        false => Admission::Slot(Duration::from_secs(1) / rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn seconds(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    /// Of a delivery that is due, to an endpoint that fares well.
    fn delivery_state() -> DeliveryState {
        DeliveryState {
            enabled: true,
            ordered: false,
            rate_per_second: None,
            last_success_at: Some(NOW),
            failing_since: None,
            slow: 0,
            paused_until: None,
            throttles: 0,
            claims: 0,
            status: "pending".into(),
            round: 1,
            due_at: NOW,
            has_slot: false,
            leased_until: None,
            to_endpoint: 0,
            to_customer: 0,
            to_unproven: 0,
            has_line: false,
        }
    }

    fn but(change: impl FnOnce(&mut DeliveryState)) -> DeliveryState {
        let mut standing = delivery_state();
        change(&mut standing);
        standing
    }

    fn judge(standing: &DeliveryState) -> Admission {
        admit(standing, 1, NOW)
    }

    fn failing() -> DeliveryState {
        but(|standing| standing.failing_since = Some(NOW))
    }

    fn hanging() -> DeliveryState {
        but(|standing| (standing.failing_since, standing.slow) = (Some(NOW), 1))
    }

    #[test]
    fn what_is_over_or_carried_on_by_another_message_is_void() {
        for status in ["delivered", "failed", "stopped"] {
            let over = but(|standing| standing.status = status.into());
            assert_eq!(judge(&over), Admission::Void);
        }
        let anew = but(|standing| standing.round = 2);
        assert_eq!(judge(&anew), Admission::Void);
    }

    #[test]
    fn a_disabled_endpoint_gets_nothing() {
        let disabled = but(|standing| standing.enabled = false);
        assert_eq!(judge(&disabled), Admission::Stop);
    }

    #[test]
    fn nobody_attempts_what_another_one_does_or_before_it_is_due() {
        let mut early = but(|standing| standing.leased_until = Some(seconds(9)));
        assert_eq!(judge(&early), Admission::Early(seconds(9)));
        early.leased_until = Some(NOW);
        assert_eq!(judge(&early), Admission::Go);
        early.due_at = seconds(5);
        assert_eq!(judge(&early), Admission::Early(seconds(5)));
    }

    #[test]
    fn an_endpoint_has_as_many_attempts_under_way_as_it_fares() {
        let most = |mut standing: DeliveryState| {
            let mut admits = |under_way: &i64| {
                standing.to_endpoint = *under_way;
                judge(&standing) == Admission::Go
            };
            (0..100).take_while(|count| admits(count)).count()
        };
        assert_eq!(most(delivery_state()), 8);
        let new = but(|standing| standing.last_success_at = None);
        let slow = but(|standing| standing.slow = 1);
        assert_eq!([new, failing(), slow].map(most), [2, 2, 2]);
        let ordered = but(|standing| standing.ordered = true);
        assert_eq!([hanging(), ordered].map(most), [1, 1]);
    }

    #[test]
    fn endpoints_that_hang_leave_room_for_those_that_do_not() {
        let crowded = |mut standing: DeliveryState, to_customer| {
            (standing.to_unproven, standing.to_customer) = (64, to_customer);
            judge(&standing)
        };
        assert_eq!(crowded(delivery_state(), 64), Admission::Go);
        assert_eq!(crowded(failing(), 64), Admission::Line(NOW));
        assert_eq!(crowded(delivery_state(), 96), Admission::Line(NOW));
    }

    #[test]
    fn those_that_wait_are_spread_over_time_and_never_for_long() {
        let waits = |standing: &DeliveryState, others| {
            [0.0, 0.5, 0.99].map(|fraction| wait(standing, others, fraction).as_millis())
        };
        assert_eq!(waits(&delivery_state(), 0), [50, 50, 50]);
        assert_eq!(waits(&delivery_state(), 100), [50, 5_050, 9_950]);
        assert_eq!(waits(&failing(), 100), [100, 10_100, 19_900]);
        let mut throttled = failing();
        throttled.throttles = 1;
        assert_eq!(waits(&throttled, 100), waits(&delivery_state(), 100));
        assert_eq!(waits(&hanging(), 10), [5_000, 55_000, 104_000]);
        assert_eq!(waits(&hanging(), 999), [5_000, 155_000, 300_000]);
        assert_eq!(waits(&delivery_state(), COUNTED_MAX), [0, 150_000, 297_000]);
    }

    #[test]
    fn a_pause_holds_all_of_an_endpoint_s_deliveries() {
        let mut paused = but(|standing| standing.paused_until = Some(seconds(30)));
        assert_eq!(judge(&paused), Admission::Line(seconds(30)));
        paused.paused_until = Some(NOW);
        assert_eq!(judge(&paused), Admission::Go);
    }

    #[test]
    fn a_rate_of_two_gives_every_half_second_to_one() {
        let mut standing = but(|standing| standing.rate_per_second = Some(2));
        let half = Admission::Slot(Duration::from_millis(500));
        assert_eq!(judge(&standing), half);
        standing.has_slot = true;
        assert_eq!(judge(&standing), Admission::Go);
        standing.due_at = NOW.before(Duration::from_secs(2));
        assert_eq!(judge(&standing), half, "too late");
    }
}
