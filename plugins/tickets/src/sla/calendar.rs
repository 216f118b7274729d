//! Business time: how much of a time span counts, and when a given amount of it has
//! passed.
//!
//! An instant counts if the local time in the calendar's zone is within the hours of
//! its weekday, and its date is not a holiday. So an hour that occurs twice in autumn
//! counts twice, one that is skipped in spring not at all, and what counts is always
//! real time.

use hearth_plugin::prelude::*;
use hearth_plugin::zone::Zone;

const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 24 * 60 * MICROS_PER_MINUTE;

/// How far ahead business time is looked for, and how long a span is measured:
/// ten years of days. What a calendar does not reach in them has no due time.
const HORIZON_DAYS_MAX: i64 = 3653;

/// 1970-01-01 was a Thursday, the fourth day of a week that begins with Monday.
const WEEKDAY_OF_1970: i64 = 3;

/// Hours of one day: minutes since its midnight on the wall, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    pub start_minute: i64,
    pub end_minute: i64,
}

/// When business is open.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: Zone,
    /// From Monday; within a day in order and apart.
    week: [Vec<Interval>; 7],
    /// Days since 1970, in order.
    holidays: Vec<i64>,
}

/// The days since 1970 of a date like `2026-12-25`; `None` where it is none.
pub fn day_of(date: &str) -> Option<i64> {
    let midnight = Timestamp::parse(&[date, "T00:00:00Z"].concat())?;
    Some(midnight.micros().div_euclid(MICROS_PER_DAY))
}

impl Calendar {
    /// A calendar of hours from Monday on, and of holidays in days since 1970.
    /// The hours of a day must not overlap.
    pub fn new(zone: Zone, mut week: [Vec<Interval>; 7], mut holidays: Vec<i64>) -> Self {
        week.iter_mut().for_each(|hours| hours.sort_unstable());
        holidays.sort_unstable();
        Calendar {
            zone,
            week,
            holidays,
        }
    }

    /// The first instant at which so many microseconds of business time have
    /// passed since `from`; `from` itself where there are none to pass. `None`
    /// where ten years do not have them.
    pub fn add_business(&self, from: Timestamp, micros: i64) -> Option<Timestamp> {
        if micros <= 0 {
            return Some(from);
        }
        let mut left = micros;
        let reached = self.walk(from.micros(), i64::MAX, |start, end| {
            let enough = end - start >= left;
            let reached = start + left;
            left -= end - start;
            enough.then_some(reached)
        });
        reached.map(Timestamp::from_micros)
    }

    /// The microseconds of business time between two instants, of ten years at
    /// most; none where the second is not after the first.
    pub fn business_between(&self, from: Timestamp, to: Timestamp) -> i64 {
        let mut sum = 0;
        self.walk::<()>(from.micros(), to.micros(), |start, end| {
            sum += end - start;
            None
        });
        sum
    }

    /// Shows the open spans from one instant to another, in order, until `visit`
    /// answers something.
    fn walk<T>(
        &self,
        from: i64,
        to: i64,
        mut visit: impl FnMut(i64, i64) -> Option<T>,
    ) -> Option<T> {
        if self.week.iter().all(Vec::is_empty) {
            return None;
        }
        let to = to.min(from.saturating_add(HORIZON_DAYS_MAX * MICROS_PER_DAY));
        let mut at = from;
        while at < to {
            let (offset, changes_at) = self.offset(at);
            let end = changes_at.min(to);
            let found = self.walk_local(at, end, offset, &mut visit);
            if found.is_some() {
                return found;
            }
            at = end;
        }
        None
    }

    /// The same where the zone's offset to UTC is one throughout.
    fn walk_local<T>(
        &self,
        from: i64,
        to: i64,
        offset: i64,
        visit: &mut impl FnMut(i64, i64) -> Option<T>,
    ) -> Option<T> {
        let mut day = from.saturating_add(offset).div_euclid(MICROS_PER_DAY);
        loop {
            let midnight = day.saturating_mul(MICROS_PER_DAY).saturating_sub(offset);
            if midnight >= to {
                return None;
            }
            for hours in self.hours(day) {
                let start = midnight.saturating_add(hours.start_minute * MICROS_PER_MINUTE);
                let end = midnight.saturating_add(hours.end_minute * MICROS_PER_MINUTE);
                let (start, end) = (start.max(from), end.min(to));
                if start < end
                    && let Some(found) = visit(start, end)
                {
                    return Some(found);
                }
            }
            day += 1;
        }
    }

    fn hours(&self, day: i64) -> &[Interval] {
        if self.holidays.binary_search(&day).is_ok() {
            return &[];
        }
        let weekday = usize::try_from((day + WEEKDAY_OF_1970).rem_euclid(7));
        let hours = weekday.ok().and_then(|weekday| self.week.get(weekday));
        hours.map_or(&[], Vec::as_slice)
    }

    /// The zone's microseconds east of UTC at an instant, and the instant of its
    /// next change.
    fn offset(&self, at: i64) -> (i64, i64) {
        let (offset, next) = self.zone.offset(at.div_euclid(MICROS_PER_SECOND));
        let changes_at = next.map_or(i64::MAX, |next| next.saturating_mul(MICROS_PER_SECOND));
        (offset * MICROS_PER_SECOND, changes_at)
    }
}
