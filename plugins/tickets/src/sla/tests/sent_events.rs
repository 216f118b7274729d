//! What is told of clocks, and when.

use super::super::clock::{Clocks, Moment};
use super::super::plan::Plan;
use super::super::track::Tracked;
use super::{at, calendar, moment, plan, started};

/// Business that never closes: an hour to the answer, eight to the solution, and a
/// warning a quarter of an hour before.
fn always() -> Plan {
    plan(calendar("UTC", &[(0, 24 * 60)], 7, &[]))
}

/// What nobody was told, as `clock kind hh:mm`.
fn unsent_events(clocks: &Clocks, now: &str) -> Vec<String> {
    let told = clocks.unsent_events(at(now)).into_iter().map(|check| {
        let time = check.at.to_string();
        format!("{} {} {}", check.clock, check.kind, &time[11..16])
    });
    told.collect()
}

/// Tells all that is due.
fn record_sent(clocks: &mut Clocks, now: &str) -> usize {
    let due = clocks.unsent_events(at(now)).into_iter();
    let due: Vec<_> = due.filter(|check| check.at <= at(now)).collect();
    due.iter()
        .for_each(|check| clocks.record_sent(check, at(now)));
    due.len()
}

#[test]
fn each_instant_is_told_once() {
    let mut clocks = started(&always(), "2026-11-25T09:00:00Z");
    let all = [
        "first_response warning 09:45",
        "first_response breach 10:00",
        "resolution warning 16:45",
        "resolution breach 17:00",
    ];
    assert_eq!(unsent_events(&clocks, "2026-11-25T09:45:00Z"), all);
    assert_eq!(record_sent(&mut clocks, "2026-11-25T09:45:00Z"), 1);
    assert_eq!(unsent_events(&clocks, "2026-11-25T09:45:00Z"), all[1..]);
    assert_eq!(record_sent(&mut clocks, "2026-11-25T10:00:01Z"), 1);
    assert_eq!(unsent_events(&clocks, "2026-11-25T10:00:01Z"), all[2..]);
    // Nobody looked for hours: it is too late to warn.
    assert_eq!(unsent_events(&clocks, "2026-11-25T18:00:00Z"), all[3..]);
    assert_eq!(record_sent(&mut clocks, "2026-11-25T18:00:00Z"), 1);
    assert!(unsent_events(&clocks, "2026-11-25T18:00:00Z").is_empty());
}

#[test]
fn what_was_told_is_told_again_only_of_a_later_due_time() {
    let plan = always();
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    assert_eq!(record_sent(&mut clocks, "2026-11-25T10:10:00Z"), 1);
    // Half as much time was missed all the longer.
    clocks.follow(&plan, moment("2026-11-25T10:20:00Z", "open", "high"));
    clocks.follow(&plan, moment("2026-11-25T10:25:00Z", "pending", "high"));
    clocks.follow(&plan, moment("2026-11-25T10:30:00Z", "open", "high"));
    let unsent_then = unsent_events(&clocks, "2026-11-25T10:30:00Z");
    assert!(
        unsent_then
            .iter()
            .all(|told| told.starts_with("resolution")),
        "{unsent_then:?}"
    );
    // With another promise it is in time, until that is over.
    let mut longer = always();
    longer.policy = super::Policy::built_in("free");
    clocks.schedule(&longer, "high");
    let first = &unsent_events(&clocks, "2026-11-25T10:30:00Z")[0];
    assert_eq!(first, "first_response warning 21:53");
}

#[test]
fn clock_that_stands_still_warns_of_nothing_and_is_told_where_it_was_missed() {
    let plan = always();
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    clocks.follow(&plan, moment("2026-11-25T09:50:00Z", "pending", "normal"));
    assert!(unsent_events(&clocks, "2026-11-25T12:00:00Z").is_empty());
    clocks.follow(&plan, moment("2026-11-25T12:00:00Z", "open", "normal"));
    let unsent_then = unsent_events(&clocks, "2026-11-25T12:00:00Z");
    assert_eq!(
        unsent_then[..2],
        [
            "first_response warning 09:45",
            "first_response breach 12:10"
        ]
    );
    clocks.follow(&plan, moment("2026-11-25T12:15:00Z", "hold", "normal"));
    assert_eq!(
        unsent_events(&clocks, "2026-11-25T13:00:00Z"),
        ["first_response breach 12:10"]
    );
}

#[test]
fn promise_that_was_kept_too_late_is_told_and_one_in_time_is_not() {
    let plan = always();
    for (time, expected) in [("2026-11-25T09:59:00Z", 0), ("2026-11-25T10:01:00Z", 1)] {
        let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
        let answer = Moment {
            answered: true,
            ..moment(time, "solved", "normal")
        };
        clocks.follow(&plan, answer);
        assert_eq!(
            clocks.unsent_events(at("2026-11-26T09:00:00Z")).len(),
            expected,
            "{time}"
        );
    }
}

#[test]
fn clocks_are_looked_at_when_the_next_is_to_be_told_and_not_while_they_stand_still() {
    let plan = always();
    let mut tracked = Tracked {
        ticket_id: "tkt_1".into(),
        status: "new".into(),
        priority: "normal".into(),
        clocks: started(&plan, "2026-11-25T09:00:00Z"),
        check_at: None,
        due_at: None,
    };
    let mut next = |time: &str, status, priority| {
        let moment = moment(time, status, priority);
        tracked.clocks.follow(&plan, moment);
        let overlooked = tracked.is_overlooked(at(time));
        tracked.watch(at(time));
        let check_at = tracked.check_at.map(|check_at| check_at.to_string());
        (check_at.map(|time| time[11..16].to_string()), overlooked)
    };
    let clock = |time: &str| Some(time.to_string());
    let first = next("2026-11-25T09:00:00Z", "new", "normal");
    assert_eq!(first, (clock("09:45"), true));
    let paused = next("2026-11-25T09:10:00Z", "hold", "normal");
    assert_eq!(paused, (None, false));
    let resumed = next("2026-11-25T09:20:00Z", "open", "normal");
    assert_eq!(resumed, (clock("09:55"), true));
    let sooner = next("2026-11-25T09:21:00Z", "open", "high");
    assert_eq!(sooner, (clock("09:25"), true));
    let later = next("2026-11-25T09:22:00Z", "open", "normal");
    assert_eq!(later, (clock("09:55"), false));
}

#[test]
fn due_time_is_that_of_the_next_promise_that_was_not_kept_and_none_while_the_clocks_stand() {
    let plan = always();
    let mut clocks = started(&plan, "2026-11-25T09:00:00Z");
    let due = |clocks: &Clocks| {
        let due_at = clocks.due_at().map(|due_at| due_at.to_string());
        due_at.map(|time| time[11..16].to_string())
    };
    assert_eq!(due(&clocks).as_deref(), Some("10:00"));
    let answer = Moment {
        answered: true,
        ..moment("2026-11-25T09:10:00Z", "open", "normal")
    };
    clocks.follow(&plan, answer);
    assert_eq!(due(&clocks).as_deref(), Some("17:00"));
    for status in ["pending", "solved"] {
        clocks.follow(&plan, moment("2026-11-25T09:20:00Z", status, "normal"));
        assert_eq!(due(&clocks), None, "{status}");
    }
}
