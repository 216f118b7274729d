//! The engine by example; `model` compares it with counting minutes.

mod model;
mod reading;
mod sent_events;

use hearth_plugin::prelude::*;
use hearth_plugin::zone::Zone;

use super::calendar::{Calendar, Interval, MICROS_PER_MINUTE, day_of};
use super::clock::{Clocks, Moment};
use super::plan::Plan;
use super::policy::Policy;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A calendar with the same hours from Monday to Friday, or on all days.
fn calendar(time_zone: &str, hours: &[(i64, i64)], days: usize, holidays: &[&str]) -> Calendar {
    let hours = hours.iter().map(|(start, end)| Interval {
        start_minute: *start,
        end_minute: *end,
    });
    let hours: Vec<Interval> = hours.collect();
    let mut week: [Vec<Interval>; 7] = Default::default();
    week.iter_mut()
        .take(days)
        .for_each(|day| day.clone_from(&hours));
    let holidays = holidays.iter().map(|date| day_of(date).unwrap()).collect();
    Calendar::new(Zone::by_name(time_zone).unwrap(), week, holidays)
}

fn working_hours() -> Calendar {
    calendar("UTC", &[(9 * 60, 17 * 60)], 5, &[])
}

#[track_caller]
fn assert_adds(calendar: &Calendar, from: &str, minutes: i64, expected: &str) {
    let reached = calendar.add_business(at(from), minutes * MICROS_PER_MINUTE);
    assert_eq!(reached, Some(at(expected)), "{from} and {minutes} minutes");
    let between = calendar.business_between(at(from), at(expected));
    assert_eq!(between, minutes * MICROS_PER_MINUTE);
}

#[test]
fn time_outside_of_working_hours_does_not_count() {
    let calendar = working_hours();
    // 2026-11-27 is a Friday.
    assert_adds(
        &calendar,
        "2026-11-27T16:30:00Z",
        60,
        "2026-11-30T09:30:00Z",
    );
    assert_adds(
        &calendar,
        "2026-11-25T10:00:00Z",
        120,
        "2026-11-25T12:00:00Z",
    );
    assert_adds(
        &calendar,
        "2026-11-25T07:00:00Z",
        120,
        "2026-11-25T11:00:00Z",
    );
    assert_adds(
        &calendar,
        "2026-11-28T12:00:00Z",
        480,
        "2026-11-30T17:00:00Z",
    );
    assert_adds(
        &calendar,
        "2026-11-27T16:00:00Z",
        60,
        "2026-11-27T17:00:00Z",
    );
}

#[test]
fn a_day_may_have_several_intervals_and_a_holiday_has_none() {
    let hours = [(8 * 60, 12 * 60), (13 * 60, 17 * 60), (22 * 60, 24 * 60)];
    let calendar = calendar("UTC", &hours, 5, &["2026-12-25", "2027-01-01"]);
    assert_adds(
        &calendar,
        "2026-12-23T11:30:00Z",
        60,
        "2026-12-23T13:30:00Z",
    );
    assert_adds(
        &calendar,
        "2026-12-23T16:30:00Z",
        60,
        "2026-12-23T22:30:00Z",
    );
    assert_adds(
        &calendar,
        "2026-12-24T23:30:00Z",
        60,
        "2026-12-28T08:30:00Z",
    );
}

#[test]
fn the_wall_of_the_zone_says_what_is_open() {
    let calendar = calendar("America/New_York", &[(9 * 60, 17 * 60)], 5, &[]);
    assert_adds(
        &calendar,
        "2026-03-06T21:00:00Z",
        120,
        "2026-03-09T14:00:00Z",
    );
    let other = calendar_of_all_days("europe/berlin", (9 * 60, 17 * 60));
    assert_adds(&other, "2026-03-28T15:00:00Z", 120, "2026-03-29T08:00:00Z");
}

fn calendar_of_all_days(time_zone: &str, hours: (i64, i64)) -> Calendar {
    calendar(time_zone, &[hours], 7, &[])
}

#[test]
fn an_hour_that_the_wall_skips_does_not_pass_and_one_shown_twice_passes_twice() {
    let calendar = calendar_of_all_days("Europe/Berlin", (60, 180));
    // From 01:00 to 02:00, when the wall goes on with 03:00; the rest on the next day.
    assert_adds(
        &calendar,
        "2026-03-28T23:00:00Z",
        90,
        "2026-03-29T23:30:00Z",
    );
    // From 01:00 to 03:00 in summer time, then 02:00 to 03:00 again.
    assert_adds(
        &calendar,
        "2026-10-24T22:00:00Z",
        180,
        "2026-10-25T02:00:00Z",
    );
    // Half an hour, on Lord Howe Island: 01:30 to 02:00 comes twice.
    let calendar = calendar_of_all_days("Australia/Lord_Howe", (90, 120));
    assert_adds(
        &calendar,
        "2026-04-04T14:00:00Z",
        60,
        "2026-04-04T15:30:00Z",
    );
}

#[test]
fn what_ten_years_do_not_reach_has_no_due_time_and_is_told_quickly() {
    let closed = calendar("UTC", &[], 7, &[]);
    assert_eq!(closed.add_business(at("2026-11-25T10:00:00Z"), 1), None);
    let between = closed.business_between(at("2026-11-25T10:00:00Z"), at("9999-12-31T00:00:00Z"));
    assert_eq!(between, 0);
    let mut week: [Vec<Interval>; 7] = Default::default();
    week[6].push(Interval {
        start_minute: 0,
        end_minute: 1,
    });
    let rare = Calendar::new(Zone::by_name("UTC").unwrap(), week, vec![]);
    let year = 525_600 * MICROS_PER_MINUTE;
    assert_eq!(rare.add_business(at("2026-11-25T10:00:00Z"), year), None);
    for micros in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let from = Timestamp::from_micros(micros);
        assert_eq!(rare.add_business(from, 0), Some(from));
        rare.add_business(from, i64::MAX);
        rare.business_between(from, Timestamp::from_micros(i64::MAX));
        rare.business_between(from, Timestamp::from_micros(i64::MIN));
    }
}

/// A promise of an hour until the answer and eight until the solution; with high
/// priority half of both.
fn plan(calendar: Calendar) -> Plan {
    let targets = json!({
        "normal": {"first_response_minutes": 60, "resolution_minutes": 480},
        "high": {"first_response_minutes": 30, "resolution_minutes": 240},
        "low": {},
    });
    let fields = json!({"targets": targets, "warn_before": {"minutes": 15}});
    let mut fields = Fields::of(fields).unwrap();
    let policy = Policy::read(&mut fields);
    fields.finish().unwrap();
    Plan {
        policy_id: "test".into(),
        policy,
        calendar_id: None,
        calendar,
    }
}

fn moment<'t>(time: &str, status: &'t str, priority: &'t str) -> Moment<'t> {
    let (at, answered) = (at(time), false);
    Moment {
        at,
        status,
        priority,
        answered,
    }
}

fn started(plan: &Plan, time: &str) -> Clocks {
    let mut clocks = Clocks::start(at(time));
    clocks.schedule(plan, "normal");
    clocks
}

#[test]
fn a_clock_stands_still_while_pending_and_goes_on_with_what_was_left() {
    let plan = plan(working_hours());
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    assert_eq!(
        clocks.first_response.due_at,
        Some(at("2026-11-25T10:00:00Z"))
    );
    assert_eq!(
        clocks.first_response.warn_at,
        Some(at("2026-11-25T09:45:00Z"))
    );
    assert_eq!(clocks.resolution.due_at, Some(at("2026-11-25T17:00:00Z")));
    clocks.follow(&plan, moment("2026-11-25T09:30:00Z", "pending", "normal"));
    assert_eq!(clocks.first_response.due_at, None);
    assert!(clocks.next_checks(at("2026-11-25T09:30:00Z")).is_empty());
    clocks.follow(&plan, moment("2026-11-26T16:45:00Z", "open", "normal"));
    assert_eq!(
        clocks.first_response.due_at,
        Some(at("2026-11-27T09:15:00Z"))
    );
    assert_eq!(
        clocks.first_response.warn_at,
        Some(at("2026-11-26T17:00:00Z"))
    );
    assert_eq!(clocks.resolution.due_at, Some(at("2026-11-27T16:15:00Z")));
    let checks = clocks.next_checks(at("2026-11-26T17:00:00Z"));
    let told: Vec<_> = checks
        .iter()
        .map(|check| (check.clock, check.kind))
        .collect();
    let expected = [
        ("first_response", "breach"),
        ("resolution", "warning"),
        ("resolution", "breach"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn another_priority_has_other_targets_from_the_beginning_on() {
    let plan = plan(working_hours());
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    clocks.follow(&plan, moment("2026-11-25T09:10:00Z", "open", "high"));
    assert_eq!(
        clocks.first_response.due_at,
        Some(at("2026-11-25T09:30:00Z"))
    );
    assert_eq!(clocks.resolution.due_at, Some(at("2026-11-25T13:00:00Z")));
    clocks.follow(&plan, moment("2026-11-25T10:00:00Z", "open", "low"));
    assert_eq!(clocks.resolution.target_minutes, None);
    clocks.follow(&plan, moment("2026-11-25T14:00:00Z", "open", "high"));
    assert!(clocks.resolution.is_breached(at("2026-11-25T14:00:00Z")));
    clocks.follow(&plan, moment("2026-11-25T14:00:00Z", "open", "normal"));
    assert_eq!(clocks.resolution.due_at, Some(at("2026-11-25T17:00:00Z")));
    assert!(!clocks.resolution.is_breached(at("2026-11-25T14:00:00Z")));
}

#[test]
fn an_answer_and_a_solution_stop_their_clocks_and_reopening_starts_the_second() {
    let plan = plan(working_hours());
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    let answered = Moment {
        answered: true,
        ..moment("2026-11-25T10:30:00Z", "new", "normal")
    };
    clocks.follow(&plan, answered);
    assert!(
        clocks
            .first_response
            .is_breached(at("2026-11-25T10:30:00Z"))
    );
    clocks.follow(
        &plan,
        Moment {
            at: at("2026-11-25T11:00:00Z"),
            ..answered
        },
    );
    assert_eq!(
        clocks.first_response.met_at,
        Some(answered.at),
        "the first one counts"
    );
    clocks.follow(&plan, moment("2026-11-25T16:00:00Z", "solved", "normal"));
    clocks.follow(&plan, moment("2026-11-25T16:30:00Z", "closed", "normal"));
    assert_eq!(clocks.resolution.met_at, Some(at("2026-11-25T16:00:00Z")));
    assert!(!clocks.resolution.is_breached(at("2027-11-25T16:00:00Z")));
    clocks.follow(&plan, moment("2026-11-26T10:00:00Z", "open", "normal"));
    assert_eq!(clocks.resolution.met_at, None);
    assert_eq!(clocks.resolution.due_at, Some(at("2026-11-26T11:00:00Z")));
}

#[test]
fn what_was_breached_stays_so_through_a_pause() {
    let plan = plan(working_hours());
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    let due_at = clocks.first_response.due_at;
    for (time, status) in [
        ("2026-11-25T11:00:00Z", "hold"),
        ("2026-11-25T12:00:00Z", "pending"),
        ("2026-11-26T12:00:00Z", "open"),
    ] {
        clocks.follow(&plan, moment(time, status, "normal"));
        assert_eq!(clocks.first_response.due_at, due_at, "{status}");
        assert!(clocks.first_response.is_breached(at(time)));
    }
}
