use super::*;
use crate::month::Month;
use hearth_plugin::Query;
use hearth_plugin::problem::Location;

fn target(query: &str) -> Target {
    Target::read(Query::parse(query).unwrap()).unwrap()
}

fn read_to(
    target: &Target,
    format: Format,
    text: &str,
) -> Result<(Vec<Record>, Warnings), Problem> {
    let mut rows = Rows::new(target);
    let take: &mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem> =
        &mut |line, cells| rows.take(line, cells);
    match format {
        Format::Csv => csv::read(text, take),
        Format::Json => json::read(text, take),
    }?;
    rows.finish()
}

fn rows(format: Format, text: &str) -> Result<Vec<Record>, Problem> {
    Ok(read_to(&target(""), format, text)?.0)
}

/// Where mistakes are, and their codes.
fn mistakes(format: Format, text: &str) -> Vec<(String, &'static str)> {
    let problem = rows(format, text).unwrap_err();
    let errors = problem.field_errors().iter();
    let place = |place: &Location| match place {
        Location::Pointer(pointer) => pointer.clone(),
        Location::Parameter(name) => name.clone(),
    };
    errors
        .map(|error| (place(&error.location), error.code))
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
    let tags =
        r#"{"BilledCost": 1, "ChargePeriodStart": "2026-01-01", "Tags": {"a": {"b": 1, "b": 2}}}"#;
    for text in [row.to_string(), format!("[{row}]"), tags.to_string()] {
        let problem = mistakes::of_json(rows(Format::Json, &text).unwrap_err());
        assert_eq!(problem.status(), 400, "{text}");
    }
    for csv in [
        "BilledCost,ChargePeriodStart,BilledCost\n1,2026-01-01,2\n",
        "BilledCost,ChargePeriodStart,Tags\n1,2026-01-01,\"{\"\"a\"\":1,\"\"a\"\":2}\"\n",
    ] {
        assert_eq!(rows(Format::Csv, csv).unwrap_err().status(), 422, "{csv}");
    }
    let foreign = "Own,BilledCost,Own,ChargePeriodStart\n1,2,3,2026-01-01\n";
    assert!(
        rows(Format::Csv, foreign).is_ok(),
        "columns that nobody reads"
    );
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
    assert_eq!(
        rows(Format::Csv, "Cost,Day\n1,2\n").unwrap_err().status(),
        422
    );
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
fn mistakes_are_bounded() {
    let wrong = "{}\n".repeat(500);
    let problem = rows(Format::Json, &wrong).unwrap_err();
    assert_eq!(problem.field_errors().len(), 100);
}

#[test]
fn broken_lists_are_not_json() {
    for text in ["[", "[{}", "[1,]", "[]x", "[{\"a\": }]"] {
        assert!(
            matches!(rows(Format::Json, text).unwrap_err().status(), 400 | 422),
            "{text}"
        );
    }
}

#[test]
fn a_file_may_have_no_rows() {
    for (format, text) in [
        (Format::Csv, "BilledCost,ChargePeriodStart\n"),
        (Format::Json, "[]"),
        (Format::Json, "\n"),
    ] {
        assert_eq!(rows(format, text).unwrap(), [], "{text:?}");
    }
}

#[test]
fn null_and_empty_are_no_value() {
    let text = "BilledCost,EffectiveCost,ServiceName,ServiceProviderName,ProviderName,Tags,\
        ChargePeriodStart,ChargePeriodEnd\n\
        \"NULL\",.5,null,NULL,AWS,NULL,2026-09-01 00:00:00,\"\"\n";
    let row = &rows(Format::Csv, text).unwrap()[0];
    assert_eq!(row.costs, ["0.5"; 4]);
    assert_eq!((row.service.as_str(), row.provider.as_str()), ("", "AWS"));
    assert_eq!((row.tags.as_str(), row.charged_until), ("{}", None));
    let line = r#"{"BilledCost": "", "EffectiveCost": ".5", "ServiceName": "NULL",
        "ServiceProviderName": null, "ProviderName": "AWS", "Tags": "NULL",
        "ChargePeriodStart": "2026-09-01 00:00:00", "ChargePeriodEnd": ""}"#;
    let line = rows(Format::Json, &line.replace('\n', " ")).unwrap();
    assert_eq!(line, rows(Format::Csv, text).unwrap());
}

#[test]
fn providers_and_regions_are_those_of_every_version() {
    let of = |members: &str| {
        let line = format!(r#"{{"BilledCost": 1, "ChargePeriodStart": "2026-09-01", {members}}}"#);
        let row = rows(Format::Json, &line).unwrap().remove(0);
        (row.provider, row.region, row.charge_category)
    };
    let texts = |provider: &str, region: &str, category: &str| {
        (
            provider.to_string(),
            region.to_string(),
            category.to_string(),
        )
    };
    let old = of(r#""ProviderName": "AWS", "PublisherName": "Amazon", "RegionName": "Ohio""#);
    assert_eq!(old, texts("AWS", "Ohio", ""));
    let both = r#""ProviderName": "AWS", "ServiceProviderName": "MongoDB",
        "HostProviderName": "AWS", "RegionId": "us-east-2", "RegionName": "Ohio",
        "ChargeCategory": "Usage""#;
    assert_eq!(
        of(&both.replace('\n', " ")),
        texts("MongoDB", "us-east-2", "Usage")
    );
    assert_eq!(of(r#""HostProviderName": "GCP""#), texts("GCP", "", ""));
}

#[test]
fn what_is_too_long_is_cut_with_a_warning() {
    let tags: Vec<_> = (0..64)
        .map(|tag| format!(r#""t{tag:02}": {tag}"#))
        .collect();
    let long = "k".repeat(200);
    let line = |tags: &str, service: &str| {
        format!(
            r#"{{"BilledCost": 1, "ChargePeriodStart": "2026-09-01", "ServiceName": "{service}",
            "Tags": {{{tags}}}}}"#
        )
        .replace('\n', " ")
    };
    let text = [
        line(&tags.join(","), "s"),
        line(&format!(r#""{long}": "{long}{long}""#), &"s".repeat(300)),
        line(r#""a": {"b": [1]}, "c": null"#, "s"),
    ];
    let (rows, warnings) = read_to(&target(""), Format::Json, &text.join("\n")).unwrap();
    let kept = |row: usize| {
        Json::parse(&rows[row].tags)
            .unwrap()
            .0
            .as_object()
            .unwrap()
            .clone()
    };
    assert_eq!(kept(0).len(), 50);
    assert_eq!((&kept(0)["t49"], kept(0).get("t50")), (&json!("49"), None));
    let (key, value) = kept(1).into_iter().next().unwrap();
    assert_eq!((key.len(), value.as_str().unwrap().len()), (128, 256));
    assert_eq!(rows[1].service.len(), 256);
    assert_eq!(rows[2].tags, r#"{"a":"{\"b\":[1]}"}"#);
    let (named, count) = warnings.to_json();
    let pointers: Vec<_> = named
        .as_array()
        .unwrap()
        .iter()
        .map(|own| &own["pointer"])
        .collect();
    assert_eq!(pointers, ["/0/Tags", "/1/ServiceName", "/1/Tags"]);
    assert_eq!(count, 3);
    let many = [text[0].as_str(); 100].join("\n");
    let (_, warnings) = read_to(&target(""), Format::Json, &many).unwrap();
    let (named, count) = warnings.to_json();
    assert_eq!((named.as_array().unwrap().len(), count), (20, 100));
}

#[test]
fn another_separator_is_named() {
    for (text, name) in [
        ("BilledCost;ChargePeriodStart\n1;2026-09-01\n", "';'"),
        (
            "\"BilledCost\";\"ChargePeriodStart\"\n\"1,5\";\"2026-09-01\"\n",
            "';'",
        ),
        ("BilledCost\tChargePeriodStart\n", "'\\\\t'"),
        ("Cost,Day\n", "must name the columns"),
    ] {
        let problem = format!("{:?}", rows(Format::Csv, text).unwrap_err());
        assert!(problem.contains(name), "{name}: {problem}");
    }
}

#[test]
fn too_many_rows_say_how_they_are_sent() {
    let row = r#"{"BilledCost": 1, "ChargePeriodStart": "2026-01-01"}"#;
    let many = vec![row; ROWS_MAX + 1].join("\n");
    let problem = format!("{:?}", rows(Format::Json, &many).unwrap_err());
    assert!(problem.contains("load=ID&part=1"), "{problem}");
}

#[test]
fn a_load_of_one_billing_period_has_no_row_of_another() {
    let target = target("source=aws&billing_period=2026-09");
    assert_eq!(target.source, "aws");
    let of = |start: &str| {
        let text =
            format!("BilledCost,BillingPeriodStart,ChargePeriodStart\n1,{start},2026-09-30\n");
        read_to(&target, Format::Csv, &text).map(|(rows, _)| rows.len())
    };
    assert_eq!(of("2026-09-01").unwrap(), 1);
    let problem = of("2026-10-01").unwrap_err();
    assert_eq!(problem.field_errors()[0].code, "out_of_range");
}

#[test]
fn a_part_says_of_which_load_it_is() {
    let part = target("load=a&part=3&last=true").part.unwrap();
    assert_eq!(
        (part.load.as_str(), part.number, part.is_last),
        ("a", 3, true)
    );
    assert!(!target("load=a&part=1").part.unwrap().is_last);
    assert_eq!(target("").part, None);
    for query in [
        "load=a",
        "part=1",
        "last=true",
        "load=&part=1",
        "load=a&part=0",
        "load=a&part=1001",
        "load=a&part=1&last=1",
        "billing_period=2026-9",
    ] {
        let problem = Target::read(Query::parse(query).unwrap()).unwrap_err();
        assert_eq!(problem.status(), 400, "{query}");
    }
}
