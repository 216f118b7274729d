//! The small words of the API.

use hearth_plugin::Query;
use hearth_plugin::prelude::*;

use crate::month::Month;
use crate::selection::{GroupBy, Metric, Selection};

#[test]
fn months_are_read_written_and_counted() {
    let month = Month::parse("2026-11").unwrap();
    assert_eq!(month.to_string(), "2026-11");
    assert_eq!(month.plus(2).to_string(), "2027-01");
    assert_eq!(month.plus(-11).to_string(), "2025-12");
    assert_eq!(month.since(Month::parse("2025-11").unwrap()), 12);
    assert_eq!(month.start().to_string(), "2026-11-01T00:00:00.000000Z");
    let instant = Timestamp::parse("2026-12-01T01:00:00+02:00").unwrap();
    assert_eq!(Month::of(instant), month);
    for text in [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "26-11",
        "2026-1",
        "2026-11-01",
        "+026-11",
    ] {
        assert_eq!(Month::parse(text), None, "{text}");
    }
}

#[test]
fn a_selection_is_read_or_refused() {
    let mut query = Query::parse("metric=effective_cost&currency=EUR&group_by=tag:team").unwrap();
    let selection = Selection::read(&mut query);
    assert!(query.finish().is_ok());
    assert_eq!(selection.metric, Some(Metric::Effective));
    assert_eq!(selection.group_by, Some(GroupBy::Tag("team".into())));
    assert_eq!(selection.key(), r#"["EffectiveCost","EUR","tag:team"]"#);
    for name in [
        "account",
        "provider",
        "region",
        "charge_category",
        "tag:service",
    ] {
        assert_eq!(GroupBy::parse(name).unwrap().name(), name);
    }
    let mut query = Query::parse("metric=cost&currency=eur&group_by=tag:").unwrap();
    Selection::read(&mut query);
    assert_eq!(query.finish().unwrap_err().field_errors().len(), 3);
}
