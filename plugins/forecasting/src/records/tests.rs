use super::record::Cells;
use super::*;
use crate::month::Month;
use hearth_plugin::problem::Place;

fn rows(format: Format, text: &str) -> Result<Vec<Record>, Problem> {
    let mut rows = Rows::default();
    let take: &mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem> =
        &mut |line, cells| rows.take(line, cells);
    match format {
        Format::Csv => csv::read(text, take),
        Format::Json => json::read(text, take),
    }?;
    rows.finish()
}

/// Where mistakes are, and their codes.
fn mistakes(format: Format, text: &str) -> Vec<(String, &'static str)> {
    let problem = rows(format, text).unwrap_err();
    let errors = problem.field_errors().iter();
    let place = |place: &Place| match place {
        Place::Pointer(pointer) => pointer.clone(),
        Place::Parameter(name) => name.clone(),
    };
    errors
        .map(|error| (place(&error.place), error.code))
        .collect()
}

#[test]
fn a_row_is_the_same_in_every_format() {
    let lines = r#"{"BilledCost": 12.50, "EffectiveCost":"11", "BillingCurrency": "EUR",
        "BillingPeriodStart": "2026-01-01T00:00:00Z", "ChargePeriodStart": "2026-01-31",
        "ChargePeriodEnd": "2026-02-01 00:00:00", "ServiceName": "Compute, \"big\"",
        "SubAccountId": "a1", "BillingAccountId": "b", "Tags": {"team": "x", "n": 1},
        "x_RowId": "r1", "PricingUnit": ["ignored", {"x": 1}]}"#;
    let csv = "BilledCost,EffectiveCost,BillingCurrency,BillingPeriodStart,ChargePeriodStart,\
        ChargePeriodEnd,ServiceName,SubAccountId,BillingAccountId,Tags,x_RowId,PricingUnit\r\n\
        12.50,11,EUR,2026-01-01T00:00:00Z,2026-01-31,2026-02-01 00:00:00,\
        \"Compute, \"\"big\"\"\",a1,b,\"{\"\"team\"\": \"\"x\"\", \"\"n\"\": 1}\",r1,\"a\nb\"\r\n";
    let line = rows(Format::Json, &lines.replace('\n', " ")).unwrap();
    assert_eq!(line, rows(Format::Json, &format!("[{lines}]")).unwrap());
    assert_eq!(line, rows(Format::Csv, csv).unwrap());
    let record = &line[0];
    assert_eq!(record.costs, ["12.50", "11", "12.50", "12.50"]);
    assert_eq!(record.month.to_string(), "2026-01");
    assert_eq!(
        (record.account.as_str(), record.service.as_str()),
        ("a1", "Compute, \"big\"")
    );
    assert_eq!(record.tags, r#"{"n":"1","team":"x"}"#);
    assert_eq!(
        record.charged_until,
        Timestamp::parse("2026-02-01T00:00:00Z")
    );
}

#[test]
fn a_column_that_a_row_gives_twice_is_refused() {
    let row = r#"{"BilledCost": 1, "ChargePeriodStart": "2026-01-01", "BilledCost": 2}"#;
    for text in [row.to_string(), format!("[{row}]")] {
        assert!(rows(Format::Json, &text).is_err(), "{text}");
    }
}

#[test]
fn numbers_are_kept_as_written() {
    let text = r#"{"BilledCost": 0.10000000000000000001, "ChargePeriodStart": "2026-01-01"}"#;
    let row = &rows(Format::Json, text).unwrap()[0];
    assert_eq!(row.costs[0], "0.10000000000000000001");
}

#[test]
fn little_is_needed() {
    let row = &rows(
        Format::Json,
        r#"{"EffectiveCost": 5, "BillingPeriodStart": "2026-03-01T00:00:00Z"}"#,
    )
    .unwrap()[0];
    assert_eq!(row.costs, ["5", "5", "5", "5"]);
    assert_eq!(
        (row.month, row.billing_month),
        (Month::parse("2026-03").unwrap(), row.month)
    );
    assert_eq!((row.currency.as_str(), row.tags.as_str()), ("USD", "{}"));
    assert_eq!((&row.row_id, row.service.as_str()), (&None, ""));
}

#[test]
fn every_wrong_row_is_named_by_its_place() {
    let lines = "{\"BilledCost\": 1, \"ChargePeriodStart\": \"2026-01-01\"}\n\
        \n\
        {\"BilledCost\": \"x\", \"ChargePeriodStart\": \"January\", \"BillingCurrency\": \"usd\"}\n\
        {\"BilledCost\": 1\n\
        [1]\n\
        {\"ChargePeriodStart\": \"2026-01-01\", \"Tags\": \"none\"}\n\
        {\"BilledCost\": 1, \"ChargePeriodStart\": \"2026-01-02\", \"ChargePeriodEnd\": \"2026-01-01\"}\n";
    let expected = [
        ("/1/ChargePeriodStart", "wrong_type"),
        ("/1/BilledCost", "wrong_type"),
        ("/1/BillingCurrency", "not_allowed"),
        ("/2", "invalid"),
        ("/3", "invalid"),
        ("/4/BilledCost", "required"),
        ("/4/Tags", "wrong_type"),
        ("/5/ChargePeriodEnd", "out_of_range"),
    ];
    let expected = expected.map(|(place, code)| (place.to_string(), code));
    assert_eq!(mistakes(Format::Json, lines), expected);
    let problem = rows(Format::Json, lines).unwrap_err();
    assert!(problem.field_errors()[0].detail.starts_with("line 3: "));
}

#[test]
fn csv_says_what_is_wrong_and_goes_on() {
    let text =
        "BilledCost,ChargePeriodStart\n1,2026-01-01,3\n\"1\"x,2026-01-01\n,\n1,2026-01-01\n\"1";
    let expected = [
        ("/0", "invalid"),
        ("/1", "invalid"),
        ("/2/ChargePeriodStart", "required"),
        ("/2/BilledCost", "required"),
        ("/4", "invalid"),
    ];
    let expected = expected.map(|(place, code)| (place.to_string(), code));
    assert_eq!(mistakes(Format::Csv, text), expected);
    assert_eq!(rows(Format::Csv, "").unwrap_err().status(), 422);
    assert_eq!(rows(Format::Csv, "BilledCost\n").unwrap_err().status(), 422);
}

#[test]
fn an_id_stands_once_in_a_load() {
    let row = r#"{"BilledCost": 1, "ChargePeriodStart": "2026-01-01", "x_RowId": "a"}"#;
    let twice = [row, row].join("\n");
    assert_eq!(
        mistakes(Format::Json, &twice),
        [("/1/x_RowId".to_string(), "repeated")]
    );
}

#[test]
fn mistakes_and_rows_are_bounded() {
    let wrong = "{}\n".repeat(500);
    let problem = rows(Format::Json, &wrong).unwrap_err();
    assert_eq!(problem.field_errors().len(), 100);
    let row = r#"{"BilledCost": 1, "ChargePeriodStart": "2026-01-01"},"#;
    let many = row.repeat(ROWS_MAX + 1);
    let many = format!("[{}]", many.trim_end_matches(','));
    assert_eq!(rows(Format::Json, &many).unwrap_err().status(), 422);
}

#[test]
fn broken_lists_are_not_json() {
    for text in ["[", "[{}", "[1,]", "[]x", "[{\"a\": }]"] {
        assert!(
            matches!(rows(Format::Json, text).unwrap_err().status(), 400 | 422),
            "{text}"
        );
    }
    assert_eq!(rows(Format::Json, "").unwrap_err().status(), 422);
}

#[test]
fn only_json_and_csv_are_read() {
    assert_eq!(
        format(Some("text/csv; charset=utf-8")).unwrap(),
        Format::Csv
    );
    assert_eq!(format(None).unwrap(), Format::Json);
    assert_eq!(format(Some("Application/X-NDJSON")).unwrap(), Format::Json);
    assert_eq!(format(Some("image/png")).unwrap_err().status(), 415);
}
