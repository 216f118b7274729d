//! Quiet hours: the time of day, in a time zone, in which only critical notifications
//! are sent to streams and webhooks.

use hearth_plugin::prelude::*;
use hearth_plugin::time::{WEEKDAYS, parse_time_of_day, time_of_day};
use hearth_plugin::zone::Zone;
use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MINUTES_PER_DAY: i64 = 1_440;
/// 1970-01-01 was a Thursday, the fourth day of a week that begins with Monday.
const WEEKDAY_OF_1970: i64 = 3;

/// From one time of day to another, which is of the next day where it is not later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    time_zone: String,
    /// Minutes since midnight on the wall.
    start: i64,
    end: i64,
    /// On which days they begin; on none, where this is empty.
    days: Vec<String>,
}

impl Hours {
    /// Reads them of a client.
    pub fn read(fields: &mut Fields) -> Self {
        let unknown = "this must be a name in the IANA time zone database";
        let zone = fields.text("time_zone").length(1..=64);
        let zone = zone.convert("not_allowed", unknown, |name| {
            Zone::by_name(&name).map(|zone| zone.name().to_string())
        });
        let time_zone = zone.required();
        let (start, end) = (time(fields, "start"), time(fields, "end"));
        if let (Some(start), Some(end)) = (start, end)
            && start == end
        {
            fields.refuse("end", "not_allowed", "this must not be the start");
        }
        Hours {
            time_zone,
            start: start.unwrap_or_default(),
            end: end.unwrap_or_default(),
            days: days(fields),
        }
    }

    /// When they end, if it is quiet at this instant. What the wall shows twice, where it
    /// goes back, is quiet from the first time on to the last: so a span ends once.
    pub fn end_after(&self, now: Timestamp) -> Option<Timestamp> {
        let zone = Zone::by_name(&self.time_zone)?;
        let now = now.micros().div_euclid(MICROS_PER_SECOND);
        let today = (now + zone.offset(now).0).div_euclid(SECONDS_PER_DAY);
        // Where the wall has gone back over midnight, it is a day's that comes again.
        let days = [today - 1, today, today + 1].into_iter();
        let spans = days.filter(|day| self.begins_on(*day)).map(|day| {
            let (start, end) = self.span(day);
            (shown(&zone, start).0, shown(&zone, end).1)
        });
        let quiet = spans.filter(|(start, end)| (*start..*end).contains(&now));
        let end = quiet.map(|(_, end)| end).max()?;
        Some(Timestamp::from_micros(end * MICROS_PER_SECOND))
    }

    fn begins_on(&self, day: i64) -> bool {
        let place = usize::try_from((day + WEEKDAY_OF_1970).rem_euclid(7));
        let name = place.ok().and_then(|place| WEEKDAYS.get(place));
        name.is_some_and(|name| self.days.iter().any(|own| own == name))
    }

    /// On the wall, in seconds since 1970 there.
    fn span(&self, day: i64) -> (i64, i64) {
        let next = if self.end <= self.start {
            MINUTES_PER_DAY
        } else {
            0
        };
        let at = |minute: i64| day * SECONDS_PER_DAY + minute * 60;
        (at(self.start), at(self.end + next))
    }

    pub fn to_json(&self) -> Value {
        json!({"time_zone": self.time_zone, "start": time_of_day(self.start), "end": time_of_day(self.end),
            "days": self.days})
    }
}

/// When the wall shows this for the first time, and for the last. What it skips is as
/// long after the skip as it is after what the wall showed before it.
fn shown(zone: &Zone, wall: i64) -> (i64, i64) {
    let before = zone.offset(wall - SECONDS_PER_DAY).0;
    let after = zone.offset(wall + SECONDS_PER_DAY).0;
    let times = [before, after].map(|offset| wall - offset).into_iter();
    let times = times.filter(|at| at + zone.offset(*at).0 == wall);
    let skipped = wall - before;
    let first = times.clone().min().unwrap_or(skipped);
    (first, times.max().unwrap_or(skipped))
}

fn time(fields: &mut Fields, name: &str) -> Option<i64> {
    let wrong = "this must be a time of day, 00:00 to 23:59";
    let field = fields.text(name);
    let minute = |text: String| parse_time_of_day(&text).filter(|minute| *minute < MINUTES_PER_DAY);
    field
        .convert("not_allowed", wrong, |text| minute(text).map(Some))
        .required()
}

/// All days where none is named.
fn days(fields: &mut Fields) -> Vec<String> {
    let wrong = "these must be days, monday to sunday";
    let are_days = |days: &Vec<String>| days.iter().all(|day| WEEKDAYS.contains(&day.as_str()));
    let given = fields.texts("days").count(0..=7);
    let given = given.check("not_allowed", wrong, are_days).optional();
    let Some(given) = given else {
        return WEEKDAYS.map(String::from).into();
    };
    let is_given = |day: &&str| given.iter().any(|own| own == day);
    let days = WEEKDAYS.into_iter().filter(is_given);
    days.map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(start: &str, end: &str, days: Value) -> Hours {
        let body = json!({"time_zone": "Europe/Berlin", "start": start, "end": end, "days": days});
        let mut fields = Fields::of(body).unwrap();
        let hours = Hours::read(&mut fields);
        fields.finish().unwrap();
        hours
    }

    fn end(hours: &Hours, now: &str) -> Option<String> {
        let end = hours.end_after(Timestamp::parse(now).unwrap());
        end.map(|end| end.to_string())
    }

    #[test]
    fn night_ends_in_the_morning_of_the_zone() {
        let night = hours("22:00", "07:00", Value::Null);
        let morning = Some("2026-11-24T06:00:00.000000Z".into());
        assert_eq!(end(&night, "2026-11-23T21:00:00Z"), morning);
        assert_eq!(end(&night, "2026-11-24T05:59:59Z"), morning);
        assert_eq!(end(&night, "2026-11-24T06:00:00Z"), None);
        assert_eq!(end(&night, "2026-11-23T20:59:59Z"), None);
    }

    #[test]
    fn quiet_hours_begin_on_their_days_alone() {
        // 2026-11-27 is a Friday.
        let friday = hours("22:00", "07:00", json!(["friday"]));
        assert!(end(&friday, "2026-11-27T22:00:00Z").is_some());
        assert!(end(&friday, "2026-11-28T05:00:00Z").is_some());
        assert!(end(&friday, "2026-11-28T22:00:00Z").is_none());
        let never = hours("00:00", "23:59", json!([]));
        assert!(end(&never, "2026-11-27T12:00:00Z").is_none());
    }

    #[test]
    fn clocks_that_change_at_night_move_the_end() {
        let night = hours("22:00", "07:00", Value::Null);
        // Summer time ends on 2026-10-25, and began on 2026-03-29.
        let autumn = Some("2026-10-25T06:00:00.000000Z".into());
        assert_eq!(end(&night, "2026-10-24T21:00:00Z"), autumn);
        let spring = Some("2026-03-29T05:00:00.000000Z".into());
        assert_eq!(end(&night, "2026-03-28T22:00:00Z"), spring);
        // An end that the wall skips, 02:30, is past the skip and no later than the
        // wall's 03:30.
        let skipped = hours("22:00", "02:30", Value::Null);
        let end = end(&skipped, "2026-03-28T22:00:00Z").unwrap();
        assert!(
            ("2026-03-29T00:30".."2026-03-29T01:31").contains(&end.as_str()),
            "{end}"
        );
    }

    #[test]
    fn span_across_the_hour_that_comes_twice_begins_once_and_ends_once() {
        // 2026-10-25T00:00:00Z is 02:00 on the wall, and an hour later it is again.
        let begin = Timestamp::parse("2026-10-24T18:00:00Z").unwrap().micros();
        let minutes =
            (0..18 * 60).map(|minute| Timestamp::from_micros(begin + minute * 60_000_000));
        for (start, ends, expected) in [
            ("22:00", "02:30", "2026-10-25T01:30:00.000000Z"),
            ("02:30", "06:00", "2026-10-25T05:00:00.000000Z"),
            ("02:10", "02:50", "2026-10-25T01:50:00.000000Z"),
            ("02:50", "02:10", "2026-10-26T01:10:00.000000Z"),
        ] {
            let hours = hours(start, ends, json!(["saturday", "sunday"]));
            let quiet: Vec<_> = minutes.clone().map(|now| hours.end_after(now)).collect();
            let changes = quiet
                .windows(2)
                .filter(|pair| pair[0].is_some() != pair[1].is_some());
            let is_over = quiet.last().unwrap().is_none();
            let last = quiet.iter().flatten().next_back().unwrap();
            assert_eq!(last.to_string(), expected, "{start} to {ends}");
            let expected = if is_over { 2 } else { 1 };
            assert!(changes.count() <= expected, "{start} to {ends}");
        }
    }

    #[test]
    fn wrong_hours_are_told() {
        let body =
            json!({"time_zone": "Mars/Base", "start": "24:00", "end": "7:00", "days": ["x"]});
        let mut fields = Fields::of(body).unwrap();
        Hours::read(&mut fields);
        assert_eq!(fields.finish().unwrap_err().field_errors().len(), 4);
        let same = json!({"time_zone": "UTC", "start": "07:00", "end": "07:00"});
        let mut fields = Fields::of(same).unwrap();
        Hours::read(&mut fields);
        assert!(fields.finish().is_err());
    }
}
