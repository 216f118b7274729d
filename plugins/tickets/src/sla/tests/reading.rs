//! Policies and calendars as clients write them.

use hearth_plugin::prelude::*;

use super::super::hours::Hours;
use super::super::policy::{Policy, TIERS};

fn hours(body: Value) -> Result<Hours, Problem> {
    let mut fields = Fields::of(body)?;
    let hours = Hours::read(&mut fields);
    fields.finish().map(|()| hours)
}

#[test]
fn hours_are_stored_as_they_are_read() {
    let body = json!({
        "time_zone": "europe/berlin",
        "hours": {"monday": [{"start": "13:00", "end": "24:00"}, {"start": "00:00", "end": "12:30"}]},
        "holidays": ["2026-12-26", "2026-12-25", "2026-12-25"],
    });
    let read = hours(body).unwrap();
    assert_eq!(read.time_zone(), "Europe/Berlin");
    assert_eq!(read.holidays(), ["2026-12-25", "2026-12-26"]);
    let week = read.week_json();
    let monday = json!([{"start": "00:00", "end": "12:30"}, {"start": "13:00", "end": "24:00"}]);
    assert_eq!((&week["monday"], &week["sunday"]), (&monday, &json!([])));
    let stored = json!({"time_zone": read.time_zone(), "hours": week});
    assert_eq!(hours(stored).unwrap().week_json(), read.week_json());
}

#[test]
fn every_mistake_in_a_calendar_is_named_by_its_pointer() {
    let body = json!({
        "time_zone": "Mars/Base",
        "hours": {
            "monday": [{"start": "9:00", "end": "17:00"}, {"start": "10:00", "end": "10:00", "x": 1}],
            "tuesday": [{"start": "09:00", "end": "12:00"}, {"start": "11:59", "end": "13:00"}],
            "friday": 7,
            "doomsday": [],
        },
        "holidays": ["2026-02-29"],
    });
    let problem = hours(body).err().unwrap();
    let text = format!("{:?}", problem.field_errors());
    for pointer in [
        "\"/time_zone\"",
        "\"/hours/monday/0/start\"",
        "\"/hours/monday/1/end\"",
        "\"/hours/monday/1/x\"",
        "\"/hours/tuesday\"",
        "\"/hours/friday\"",
        "\"/hours/doomsday\"",
        "\"/holidays\"",
    ] {
        assert!(text.contains(pointer), "{pointer}: {text}");
    }
    assert_eq!(problem.field_errors().len(), 8, "{text}");
    let empty = json!({"time_zone": "UTC", "hours": {"monday": []}});
    assert_eq!(hours(empty).err().unwrap().field_errors().len(), 1);
}

#[test]
fn every_mistake_in_a_policy_is_named_by_its_pointer() {
    let body = json!({
        "targets": {
            "low": {"first_response_minutes": 0, "resolution_minutes": 1e30, "soon": 1},
            "normal": [], "extreme": {},
        },
        "warn_before": {"percent": 100, "minutes": "x"},
    });
    let mut fields = Fields::of(body).unwrap();
    Policy::read(&mut fields);
    let problem = fields.finish().unwrap_err();
    let text = format!("{:?}", problem.field_errors());
    for pointer in [
        "/targets/low/first_response_minutes",
        "/targets/low/resolution_minutes",
        "/targets/low/soon",
        "\"/targets/normal\"",
        "/targets/extreme",
        "/warn_before/percent",
        "/warn_before/minutes",
    ] {
        assert!(text.contains(pointer), "{pointer}: {text}");
    }
}

#[test]
fn built_in_policies_promise_more_to_higher_tiers_and_priorities() {
    let minutes = |tier: &str, priority: &str| {
        let promises = Policy::built_in(tier).promises(priority);
        promises.map(|promise| promise.unwrap().minutes)
    };
    for priority in ["low", "normal", "high", "urgent"] {
        let tiers = TIERS.map(|tier| minutes(tier, priority));
        assert!(tiers.is_sorted_by(|one, next| one[0] > next[0] && one[1] > next[1]));
    }
    for tier in TIERS {
        let priorities = ["low", "normal", "high", "urgent"].map(|name| minutes(tier, name));
        assert!(priorities.is_sorted_by(|one, next| one[0] > next[0] && one[1] > next[1]));
    }
}
