//! The hours and holidays of a calendar, as clients write them.

use std::ops::RangeInclusive;

use hearth_plugin::prelude::*;
use hearth_plugin::time::{WEEKDAYS, parse_time_of_day, time_of_day};
use hearth_plugin::zone::Zone;

use super::calendar::{self, Calendar, Interval};

/// Intervals of one weekday at most.
const INTERVALS_MAX: usize = 10;
/// Holidays of a calendar at most.
const HOLIDAYS_MAX: usize = 1000;

/// Opening hours, in a time zone.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: Zone,
    week: [Vec<Interval>; 7],
    holidays: Vec<String>,
}

impl Hours {
    /// Reads `time_zone`, `hours` and `holidays`, of a client or as they are stored.
    pub fn read(fields: &mut Fields) -> Self {
        let unknown = "this must be a name in the IANA time zone database";
        let zone =
            fields
                .text("time_zone")
                .length(1..=64)
                .convert("not_allowed", unknown, |name| {
                    Zone::by_name(&name).map(Some)
                });
        Hours {
            zone: zone.required().unwrap_or_else(Zone::utc),
            week: week(fields),
            holidays: holidays(fields),
        }
    }

    /// Monday to Friday, 9 to 17, UTC: where the customer has no calendar.
    pub fn built_in() -> Self {
        let working = vec![Interval {
            start_minute: 9 * 60,
            end_minute: 17 * 60,
        }];
        let mut week: [Vec<Interval>; 7] = Default::default();
        week.iter_mut()
            .take(5)
            .for_each(|day| day.clone_from(&working));
        Hours {
            zone: Zone::utc(),
            week,
            holidays: Vec::new(),
        }
    }

    /// What reckons with them.
    pub fn calendar(&self) -> Calendar {
        let days = self.holidays.iter();
        let days = days.filter_map(|date| calendar::day_of(date)).collect();
        Calendar::new(self.zone.clone(), self.week.clone(), days)
    }

    /// The name of the zone as the database writes it.
    pub fn time_zone(&self) -> &str {
        self.zone.name()
    }

    /// The holidays, in order and each once.
    pub fn holidays(&self) -> &[String] {
        &self.holidays
    }

    /// The hours of every weekday, as they are stored and answered.
    pub fn week_json(&self) -> Value {
        let interval = |interval: &Interval| json!({"start": time_of_day(interval.start_minute), "end": time_of_day(interval.end_minute)});
        let day = |hours: &Vec<Interval>| hours.iter().map(interval).collect();
        let days = WEEKDAYS.iter().zip(&self.week);
        let members = days.map(|(name, hours)| (name.to_string(), Value::Array(day(hours))));
        Value::Object(members.collect())
    }
}

fn week(fields: &mut Fields) -> [Vec<Interval>; 7] {
    let week = fields.nested("hours", |hours| WEEKDAYS.map(|name| day(hours, name)));
    let is_empty = |day: &Option<Vec<Interval>>| day.as_ref().is_some_and(Vec::is_empty);
    match week {
        None => fields.refuse("hours", "required", "this is required, as an object"),
        Some(ref week) if week.iter().all(is_empty) => {
            fields.refuse("hours", "too_short", "at least one interval is required");
        }
        Some(_) => {}
    }
    week.unwrap_or_default().map(Option::unwrap_or_default)
}

/// The intervals of a weekday, in order; none where it is not given, `None` where
/// one of them is wrong. Whether they overlap is asked only where none is.
fn day(fields: &mut Fields, name: &str) -> Option<Vec<Interval>> {
    let given = fields.objects(name, 0..=INTERVALS_MAX, interval);
    let given: Option<Vec<Interval>> = given.unwrap_or_default().into_iter().collect();
    let mut intervals = given?;
    intervals.sort_unstable();
    let ends = intervals.iter().map(|earlier| earlier.end_minute);
    let starts = intervals.iter().skip(1).map(|later| later.start_minute);
    if ends.zip(starts).any(|(end, start)| start < end) {
        fields.refuse(name, "overlapping", "these intervals must not overlap");
    }
    Some(intervals)
}

/// An interval; `None` where anything is wrong with it.
fn interval(fields: &mut Fields) -> Option<Interval> {
    let from = "this must be a time of day, 00:00 to 23:59";
    let until = "this must be a time of day, 00:01 to 24:00";
    let start_minute = time(fields, "start", from, 0..=1439);
    let end_minute = time(fields, "end", until, 1..=1440);
    let (start_minute, end_minute) = start_minute.zip(end_minute)?;
    if end_minute <= start_minute {
        fields.refuse("end", "too_early", "this must be after the start");
        return None;
    }
    Some(Interval {
        start_minute,
        end_minute,
    })
}

/// A time of day that must be given, in minutes since midnight.
fn time(fields: &mut Fields, name: &str, wrong: &str, range: RangeInclusive<i64>) -> Option<i64> {
    let within = |text: String| parse_time_of_day(&text).filter(|minute| range.contains(minute));
    let field = fields.text(name);
    field
        .convert("not_allowed", wrong, |text| within(text).map(Some))
        .required()
}

fn holidays(fields: &mut Fields) -> Vec<String> {
    let wrong = "these must be dates, such as 2026-12-25";
    let given = fields.texts("holidays").count(0..=HOLIDAYS_MAX);
    let mut holidays = given
        .check("not_allowed", wrong, |dates| {
            dates.iter().all(|date| calendar::day_of(date).is_some())
        })
        .or([]);
    holidays.sort_unstable();
    holidays.dedup();
    holidays
}
