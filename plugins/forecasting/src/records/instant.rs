//! Dates and times in the formats of FOCUS exporters, in UTC unless they have an
//! offset: `2026-09-01`, `2026-09-01T00:00Z`, `2026-09-01 00:00:00.000 +0000`,
//! `2026-09-01 00:00:00 UTC`.

use hearth_plugin::prelude::*;

/// Bytes of a date.
const DATE: usize = 10;

/// Reads one; `None` where it is none.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or(text, str::trim_end);
    let (date, rest) = text.split_at_checked(DATE)?;
    let rest = match rest.strip_prefix(['T', 't', ' ']) {
        Some("") => return None,
        Some(clock) => clock,
        None => rest,
    };
    let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, offset) = rest.split_at_checked(end)?;
    let clock = match clock.trim_end() {
        "" => "00:00:00".into(),
        clock if clock.len() == 5 => [clock, ":00"].concat(),
        clock => clock.into(),
    };
    let offset = match offset.len() {
        0 => "Z".into(),
        3 => [offset, ":00"].concat(),
        5 => {
            let (hours, minutes) = offset.split_at_checked(3)?;
            [hours, ":", minutes].concat()
        }
        _ => offset.into(),
    };
    Timestamp::parse(&[date, "T", &clock, &offset].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_exporters_write_them() {
        let midnight = Timestamp::parse("2026-09-01T00:00:00Z");
        for text in [
            "2026-09-01",
            "2026-09-01Z",
            "2026-09-01 UTC",
            "2026-09-01T00:00",
            "2026-09-01T00:00Z",
            "2026-09-01 00:00 UTC",
            "2026-09-01 00:00:00",
            "2026-09-01 00:00:00 UTC",
            "2026-09-01 00:00:00+00",
            "2026-09-01 00:00:00.000 +0000",
            "2026-09-01T00:00:00.000000000Z",
            "2026-09-01 00:00:00.000 Z",
            "2026-09-01t00:00:00z",
            " 2026-09-01T02:00:00+02:00 ",
            "2026-08-31 20:30-0330",
        ] {
            assert_eq!(read(text), midnight, "{text}");
        }
        let fraction = Timestamp::parse("2026-09-01T00:00:00.25Z");
        assert_eq!(read("2026-09-01 00:00:00.25"), fraction);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "January",
            "2026-09",
            "2026-09-31",
            "2026-09-01T",
            "2026-09-01 24:00",
            "2026-09-01 1:00",
            "2026-09-01 00:00:00 CET",
            "2026-09-01 00:00:00 +1",
            "2026-09-01x00:00:00Z",
            "09/01/2026 00:00",
            "2026-09-0\u{661}",
            "UTC",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
