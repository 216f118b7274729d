//! The time zones of the IANA database, from 1970 on. A component has no files, so the
//! table is compiled into it if it uses one. `build.rs` says how it is written; a test
//! compares it with the database itself.
//!
//! ```
//! use hearth_plugin::zone::Zone;
//! let berlin = Zone::by_name("europe/berlin").unwrap();
//! assert_eq!(berlin.name(), "Europe/Berlin");
//! // 2026-07-01T00:00:00Z; the clocks go back on 2026-10-25 at 01:00 UTC.
//! assert_eq!(berlin.offset(1_782_864_000), (7_200, Some(1_792_890_000)));
//! assert!(Zone::by_name("Mars/Base").is_none());
//! ```

use crate::time::{civil_from_days, days_from_civil};

/// The compiled table. A table that cannot be read counts as empty, and tests would
/// fail.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.bin"));

const SECONDS_PER_DAY: i64 = 86_400;
/// What times of changes are counted in.
const UNIT_SECONDS: i64 = 30;

/// How far from UTC the clocks on the walls of a region are, and when that changes.
#[derive(Clone, Debug)]
pub struct Zone {
    name: &'static str,
    /// Seconds east of UTC until the first change.
    first: i64,
    /// Instants in seconds since 1970, and the offset from there on. The last may
    /// change nothing: it says from when on the rule holds.
    changes: Vec<(i64, i64)>,
    /// What holds after the last change.
    rule: Option<Rule>,
}

/// Summer time, year after year.
#[derive(Clone, Copy, Debug)]
struct Rule {
    winter: i64,
    summer: i64,
    begins: Date,
    ends: Date,
}

/// A weekday of a month, of which the fifth is the last.
#[derive(Clone, Copy, Debug)]
struct Date {
    month: i64,
    week: i64,
    /// 0 is Sunday.
    weekday: i64,
    /// On the wall, since that day's midnight; may be of another day.
    seconds: i64,
}

impl Zone {
    /// A zone by any of its names, in any case.
    pub fn by_name(name: &str) -> Option<Zone> {
        let mut head = Reader(TABLE);
        let (zones, names) = (head.u16()?, head.u16()?);
        let mut starts = Vec::new();
        for _ in 0..zones {
            starts.push(head.u16()?);
        }
        let bodies = head.0;
        // The names lie behind the last zone.
        let mut last = Reader(bodies.get(*starts.last()?..)?);
        last.zone("")?;
        let mut index = last;
        for _ in 0..names {
            let (zone, own) = (index.u16()?, index.text()?);
            if own.eq_ignore_ascii_case(name) {
                return Reader(bodies.get(*starts.get(zone)?..)?).zone(own);
            }
        }
        None
    }

    /// Where the wall shows what all clocks mean.
    pub fn utc() -> Zone {
        Zone {
            name: "UTC",
            first: 0,
            changes: Vec::new(),
            rule: None,
        }
    }

    /// As the database writes it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The seconds east of UTC at an instant, in seconds since 1970, and the instant
    /// of the next change.
    pub fn offset(&self, at: i64) -> (i64, Option<i64>) {
        let passed = self.changes.partition_point(|(change, _)| *change <= at);
        let last = passed
            .checked_sub(1)
            .and_then(|last| self.changes.get(last));
        let offset = last.map_or(self.first, |(_, offset)| *offset);
        let later = self.changes.get(passed..).unwrap_or_default();
        let next = later.iter().find(|(_, later)| *later != offset);
        match (next, self.rule, self.changes.last()) {
            (Some((next, _)), ..) => (offset, Some(*next)),
            (None, None, _) => (offset, None),
            (None, Some(rule), last) => rule.offset(last.map_or(at, |(begins, _)| at.max(*begins))),
        }
    }
}

impl Rule {
    fn offset(&self, at: i64) -> (i64, Option<i64>) {
        let (year, _, _) = civil_from_days(at.div_euclid(SECONDS_PER_DAY));
        let years = [year - 1, year, year + 1].map(|year| {
            let begins = self.begins.instant(year, self.winter);
            let ends = self.ends.instant(year, self.summer);
            [(begins, self.summer), (ends, self.winter)]
        });
        let mut changes = years.concat();
        changes.sort_unstable();
        let passed = changes.iter().rev().find(|(change, _)| *change <= at);
        let next = changes.iter().find(|(change, _)| *change > at);
        let offset = passed.map_or(self.winter, |(_, offset)| *offset);
        (offset, next.map(|(change, _)| *change))
    }
}

impl Date {
    /// When it is in a year, by a wall that is so far from UTC.
    fn instant(&self, year: i64, offset: i64) -> i64 {
        let first = days_from_civil(year, self.month, 1);
        let next = match self.month {
            12 => days_from_civil(year + 1, 1, 1),
            month => days_from_civil(year, month + 1, 1),
        };
        // 1970-01-01 was a Thursday.
        let weekday = (first + 4).rem_euclid(7);
        let day = first + (self.weekday - weekday).rem_euclid(7) + 7 * (self.week - 1);
        let day = if day >= next { day - 7 } else { day };
        day * SECONDS_PER_DAY + self.seconds - offset
    }
}

/// The rest of the table.
struct Reader(&'static [u8]);

impl Reader {
    fn bytes(&mut self, count: usize) -> Option<&'static [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<usize> {
        Some(usize::from(self.u8()?) | usize::from(self.u8()?) << 8)
    }

    fn i24(&mut self) -> Option<i64> {
        let (low, high) = (self.u16()?, self.u8()?.cast_signed());
        Some(i64::from(high) << 16 | i64::try_from(low).ok()?)
    }

    fn varint(&mut self) -> Option<i64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.u8()?;
            number |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 56 {
                return Some(number);
            }
        }
    }

    fn text(&mut self) -> Option<&'static str> {
        let length = usize::from(self.u8()?);
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn zone(&mut self, name: &'static str) -> Option<Zone> {
        let first = self.i24()?;
        let mut changes = Vec::new();
        let mut at = 0;
        for _ in 0..self.varint()? {
            at += self.varint()? * UNIT_SECONDS;
            changes.push((at, i64::from(self.u8()?)));
        }
        let mut offsets = Vec::new();
        for _ in 0..self.u8()? {
            offsets.push(self.i24()?);
        }
        for (_, place) in &mut changes {
            *place = *offsets.get(usize::try_from(*place).ok()?)?;
        }
        let rule = match self.u8()? {
            0 => None,
            _ => Some(self.rule()?),
        };
        Some(Zone {
            name,
            first,
            changes,
            rule,
        })
    }

    fn rule(&mut self) -> Option<Rule> {
        Some(Rule {
            winter: self.i24()?,
            summer: self.i24()?,
            begins: self.date()?,
            ends: self.date()?,
        })
    }

    fn date(&mut self) -> Option<Date> {
        Some(Date {
            month: self.u8()?.into(),
            week: self.u8()?.into(),
            weekday: self.u8()?.into(),
            seconds: self.i24()?,
        })
    }
}

#[cfg(test)]
mod tests;
