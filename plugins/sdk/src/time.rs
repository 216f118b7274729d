//! Instants, without a date crate: microseconds since 1970 and RFC 3339.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MINUTES_PER_DAY: i64 = 1_440;

/// An instant, in microseconds since 1970-01-01T00:00:00Z (`timestamptz` in
/// Postgres). Written as RFC 3339 in UTC, in JSON too.
///
/// ```
/// use hearth_plugin::Timestamp;
/// let instant = Timestamp::parse("2026-11-23T09:30:00.5+02:00").unwrap();
/// assert_eq!(instant.to_string(), "2026-11-23T07:30:00.500000Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant so many microseconds after 1970 began.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since 1970 began.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Now, by the host's clock.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or_default())
    }

    /// The instant so long after this one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hearth_plugin::Timestamp;
    /// let (noon, one) = (Timestamp::from_micros(0), Timestamp::from_micros(3_600_000_000));
    /// assert_eq!(noon.after(Duration::from_secs(3_600)), one);
    /// assert_eq!(noon.until(one), Duration::from_secs(3_600));
    /// assert_eq!(one.until(noon), Duration::ZERO);
    /// ```
    pub fn after(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(wait))
    }

    /// The instant so long before this one.
    pub fn before(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(wait))
    }

    /// How long it is from here to a later instant; nothing to an earlier one.
    pub fn until(self, later: Timestamp) -> Duration {
        let micros = later.0.saturating_sub(self.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// Reads RFC 3339, of any offset, in the years 0001 to 9999. Digits past
    /// the microsecond are cut. `None` where the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let (date, rest) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes().get(10)?, b'T' | b't' | b' ') {
            return None;
        }
        let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
        let (micros, offset) = parse_fraction(rest)?;
        let seconds = parse_date(date)? * SECONDS_PER_DAY + parse_clock(clock)?;
        Some(Timestamp(
            (seconds - parse_offset(offset)?) * MICROS_PER_SECOND + micros,
        ))
    }
}

impl Timestamp {
    /// Reads a date of ISO 8601, `2026-11-23`: from its first microsecond to its last,
    /// in UTC. `None` where the text is anything else.
    ///
    /// ```
    /// use hearth_plugin::Timestamp;
    /// let day = Timestamp::parse_day("2026-11-23").unwrap();
    /// assert_eq!(day.start().to_string(), "2026-11-23T00:00:00.000000Z");
    /// assert_eq!(day.end().to_string(), "2026-11-23T23:59:59.999999Z");
    /// ```
    pub fn parse_day(text: &str) -> Option<RangeInclusive<Self>> {
        let is_date = text.is_ascii() && text.len() == 10;
        let days = is_date.then(|| parse_date(text))??;
        let micros = days * SECONDS_PER_DAY * MICROS_PER_SECOND;
        let last = micros + SECONDS_PER_DAY * MICROS_PER_SECOND - 1;
        Some(Timestamp(micros)..=Timestamp(last))
    }
}

fn digits(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse_date(text: &str) -> Option<i64> {
    let (year, month, day) = (text.get(..4)?, text.get(5..7)?, text.get(8..10)?);
    if text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
        return None;
    }
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1;
    (valid && day <= days_of_month(year, month)).then(|| days_from_civil(year, month, day))
}

/// Seconds of the day. A leap second counts as the last second before it.
fn parse_clock(text: &str) -> Option<i64> {
    let (hour, minute, second) = (text.get(..2)?, text.get(3..5)?, text.get(6..8)?);
    if text.get(2..3) != Some(":") || text.get(5..6) != Some(":") {
        return None;
    }
    let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
    (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// Microseconds of a fraction, if there is one, and what follows it.
fn parse_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let fraction = rest
        .get(..length.min(6))
        .filter(|fraction| !fraction.is_empty())?;
    let scale = 10_i64.pow(u32::try_from(6 - fraction.len()).ok()?);
    Some((digits(fraction)? * scale, rest.get(length..)?))
}

/// Seconds east of UTC.
fn parse_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in eras of
/// 400 years whose years begin in March, so that the leap day is the last.
///
/// ```
/// use hearth_plugin::time::{civil_from_days, days_from_civil};
/// assert_eq!(days_from_civil(1970, 2, 1), 31);
/// assert_eq!(civil_from_days(-1), (1969, 12, 31));
/// ```
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day, the inverse of [`days_from_civil`].
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The days of a week, as ISO 8601 numbers them.
pub const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The minutes since midnight of a time of day, `hh:mm`, 24:00 included.
///
/// ```
/// use hearth_plugin::time::{parse_time_of_day, time_of_day};
/// assert_eq!(parse_time_of_day("09:30"), Some(570));
/// assert_eq!(parse_time_of_day("24:00"), Some(1_440));
/// assert_eq!((parse_time_of_day("24:01"), parse_time_of_day("9:30")), (None, None));
/// assert_eq!(time_of_day(570), "09:30");
/// ```
pub fn parse_time_of_day(text: &str) -> Option<i64> {
    let [high, low, b':', ten, one] = *text.as_bytes() else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let hour = digit(high)? * 10 + digit(low)?;
    let minute = digit(ten)? * 10 + digit(one)?;
    let all = hour * 60 + minute;
    (minute < 60 && all <= MINUTES_PER_DAY).then_some(all)
}

/// The time of day so many minutes after midnight, as `hh:mm`.
pub fn time_of_day(minutes: i64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (
            self.0.div_euclid(MICROS_PER_SECOND),
            self.0.rem_euclid(MICROS_PER_SECOND),
        );
        let (days, second) = (
            seconds.div_euclid(SECONDS_PER_DAY),
            seconds.rem_euclid(SECONDS_PER_DAY),
        );
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        write!(out, ".{micros:06}Z")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_are_read_and_written() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-02-29T12:00:00.000000Z", 951_825_600_000_000),
            ("2026-11-23T07:30:00.123456Z", 1_795_419_000_123_456),
            ("9999-12-31T23:59:59.000000Z", 253_402_300_799_000_000),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(micros)), "{text}");
            assert_eq!(Timestamp(micros).to_string(), text);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_way_there_and_back() {
        for days in -150_000..150_000 {
            let (year, month, day) = civil_from_days(days);
            assert!((1..=days_of_month(year, month)).contains(&day));
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn what_is_no_rfc_3339_is_refused() {
        for text in [
            "",
            "2026",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+01:00x",
            "2026-01-01T00:00:0éZ",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.1234567890",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert!(Timestamp::parse("2026-01-01t00:00:00.123456789z").is_some());
    }
}
