//! Records in, history out.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Costs, list, month, read, row};

/// The amounts of the history, by month.
pub fn amounts(history: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_string);
    let months = list(&history["months"]).iter();
    months
        .map(|own| (text(&own["month"]).unwrap(), text(&own["amount"])))
        .collect()
}

fn amount(from_now: i64, amount: &str) -> (String, Option<String>) {
    (month(from_now), Some(amount.to_string()))
}

#[tokio::test]
async fn history_is_exact_and_shows_what_was_not_loaded() {
    let costs = Costs::open();
    let nothing = costs.found("/history").await;
    assert_eq!(nothing["months"], json!([]));
    let loaded = costs
        .load(&[
            row(-4, "a", "0.1"),
            row(-4, "b", "0.2"),
            row(-2, "a", "12345678901234.0000001"),
            row(-2, "b", "-0.0000001"),
            row(-1, "a", "1e-3"),
        ])
        .await;
    assert_eq!(loaded["records"], 5);
    assert_eq!(loaded["months_changed"].as_array().unwrap().len(), 3);
    let history = costs.found("/history").await;
    let expected = [
        amount(-4, "0.3"),
        (month(-3), None),
        amount(-2, "12345678901234"),
        amount(-1, "0.001"),
    ];
    assert_eq!(amounts(&history), expected);
    let path = format!(
        "/history?group_by=service&from={}&to={}",
        month(-4),
        month(-4)
    );
    let grouped = costs.found(&path).await;
    assert_eq!(amounts(&grouped), expected[..1]);
    let groups = list(&grouped["groups"]);
    let of = |index: usize| (groups[index]["key"].clone(), amounts(&groups[index]));
    assert_eq!(of(0), (json!("a"), vec![amount(-4, "0.1")]));
    assert_eq!(of(1), (json!("b"), vec![amount(-4, "0.2")]));
    let other = costs.host.get("/costs/history", &costs.other);
    let (_, other) = read(other.send().await.unwrap()).await;
    assert_eq!(other["months"], json!([]), "another customer sees nothing");
}

#[tokio::test]
async fn csv_and_lists_are_read_as_json_lines_are() {
    let costs = Costs::open();
    let (start, end) = (month(-1), month(0));
    let csv = format!(
        "x_RowId,BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,\
         ServiceName,SubAccountId,Tags\r\n\
         r1,1.10,0.9,EUR,{start}-01T00:00:00Z,{end}-01T00:00:00Z,\"Disks, large\",a1,\
         \"{{\"\"team\"\":\"\"x\"\"}}\"\r\n"
    );
    let (status, body) = costs.load_as("text/csv", "/records", csv).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let list_body = json!([{
        "x_RowId": "r2", "BilledCost": 2.2, "BillingCurrency": "EUR",
        "ChargePeriodStart": format!("{start}-05"), "Tags": {"team": "y"},
    }]);
    let list_body = list_body.to_string();
    let (status, body) = costs
        .load_as("application/json", "/records", list_body)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for (path, expected) in [
        ("/history", "3.3"),
        ("/history?metric=EffectiveCost", "3.1"),
        ("/history?metric=list_cost&currency=EUR", "3.3"),
    ] {
        let history = costs.found(path).await;
        assert_eq!(amounts(&history), [amount(-1, expected)], "{path}");
        assert_eq!(history["currency"], "EUR");
    }
    for (group_by, keys) in [
        ("tag:team", json!(["x", "y"])),
        ("account", json!(["a1", null])),
        ("service", json!(["Disks, large", null])),
        ("tag:none", json!([null])),
    ] {
        let history = costs.found(&format!("/history?group_by={group_by}")).await;
        let found: Vec<_> = list(&history["groups"])
            .iter()
            .map(|group| group["key"].clone())
            .collect();
        assert_eq!(json!(found), keys, "{group_by}");
    }
}

#[tokio::test]
async fn rows_with_an_id_are_put_under_it() {
    let costs = Costs::open();
    let with_id = |id: &str, from_now: i64, cost: &str| {
        let mut row = row(from_now, "a", cost);
        row["x_RowId"] = json!(id);
        row
    };
    let rows = [with_id("1", -3, "10"), with_id("2", -2, "20")];
    costs.load(&rows).await;
    costs.load(&rows).await;
    let twice = costs.found("/history").await;
    assert_eq!(amounts(&twice), [amount(-3, "10"), amount(-2, "20")]);
    // A correction may move a row into another month.
    costs.load(&[with_id("1", -1, "15")]).await;
    let corrected = costs.found("/history").await;
    assert_eq!(amounts(&corrected), [amount(-2, "20"), amount(-1, "15")]);
}

#[tokio::test]
async fn rows_without_an_id_replace_those_of_their_days_and_source() {
    let costs = Costs::open();
    costs
        .load(&[row(-3, "a", "1"), row(-2, "a", "2"), row(-2, "b", "3")])
        .await;
    let other_source = row(-2, "c", "100").to_string();
    let (status, _) = costs
        .load_as("application/json", "/records?source=other", other_source)
        .await;
    assert_eq!(status, StatusCode::OK);
    costs.load(&[row(-2, "a", "7"), row(-1, "a", "8")]).await;
    let history = costs.found("/history").await;
    let expected = [amount(-3, "1"), amount(-2, "107"), amount(-1, "8")];
    assert_eq!(amounts(&history), expected);
    // Rows with ids of their own stay.
    let mut own = row(-1, "a", "1000");
    own["x_RowId"] = json!("own");
    costs.load(&[own]).await;
    costs.load(&[row(-1, "a", "9")]).await;
    let history = costs.found("/history").await;
    assert_eq!(amounts(&history)[2], amount(-1, "1009"));
}

#[tokio::test]
async fn every_bad_row_is_named_and_nothing_is_loaded() {
    let costs = Costs::open();
    let good = row(-1, "a", "1").to_string();
    let body = format!(
        "{good}\n{{\"BilledCost\":\"much\",\"ChargePeriodStart\":\"2026-01-01\"}}\nnonsense\n{{}}\n"
    );
    let (status, problem) = costs.load_as("application/jsonl", "/records", body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let pointers: Vec<_> = list(&problem["errors"])
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    let expected = [
        "/1/BilledCost",
        "/2",
        "/3/ChargePeriodStart",
        "/3/BilledCost",
    ];
    assert_eq!(pointers, expected);
    assert_eq!(costs.found("/history").await["months"], json!([]));
    for (media_type, body, wanted) in [
        ("text/csv", "", 422),
        ("text/csv", "BilledCost\nx\n", 422),
        (
            "text/csv",
            "BilledCost;ChargePeriodStart\n1;2026-01-01\n",
            422,
        ),
        ("application/json", "[", 400),
        ("application/json", "", 422),
        ("application/xml", "<a/>", 415),
        ("application/x-www-form-urlencoded", "BilledCost=1", 415),
        (
            "application/jsonl",
            "{}\n{\"BilledCost\":1,\"BilledCost\":2}",
            400,
        ),
        ("text/csv", "BilledCost,BilledCost\n1,2\n", 422),
    ] {
        let (status, _) = costs.load_as(media_type, "/records", body.into()).await;
        assert_eq!(status.as_u16(), wanted, "{media_type} {body:?}");
    }
    let bytes = costs.host.post("/costs/records", &costs.key);
    let answer = bytes.body(b"\xff\xfeB\0i\0".to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Value = answer.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("UTF-16"),
        "{problem}"
    );
}

/// As FOCUS's own sample, BigQuery, Azure and FOCUS 1.4 write it.
#[tokio::test]
async fn files_of_exporters_are_read_as_they_are() {
    let costs = Costs::open();
    let (start, end) = (month(-1), month(0));
    let tags: Vec<_> = (0..64)
        .map(|tag| format!("\"\"t{tag:02}\"\": \"\"x\"\""))
        .collect();
    let csv = format!(
        "\u{feff}\"BilledCost\",\"EffectiveCost\",\"BillingPeriodStart\",\"ChargePeriodStart\",\
         \"ChargePeriodEnd\",\"ProviderName\",\"ServiceProviderName\",\"HostProviderName\",\
         \"RegionId\",\"RegionName\",\"ChargeCategory\",\"Tags\"\n\
         \"0.02000000000\",\"NULL\",\"{start}-01 00:00:00\",\"{start}-02 07:00:00\",\
         \"{start}-02 08:00:00\",\"AWS\",NULL,\"\",\"us-east-1\",\"Virginia\",\"Usage\",NULL\n\
         .5,.25,{start}-01 00:00:00 UTC,{start}-02 07:00:00.000+00,{start}-02 08:00 UTC,\
         ,Google Cloud,Google Cloud,,Iowa,Usage,\"{{{tags}}}\"\n\
         -.25,,{start}-01T00:00Z,{start}-03T00:00Z,{end}-01T00:00Z,Microsoft,,,,,Credit,\n",
        tags = tags.join(",")
    );
    let (status, loaded) = costs.load_as("text/csv", "/records", csv).await;
    assert_eq!(status, StatusCode::OK, "{loaded}");
    assert_eq!(
        (&loaded["records"], &loaded["warning_count"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(loaded["warnings"][0]["pointer"], "/1/Tags");
    for (metric, expected) in [("BilledCost", "0.27"), ("EffectiveCost", "0.02")] {
        let history = costs.found(&format!("/history?metric={metric}")).await;
        assert_eq!(amounts(&history), [amount(-1, expected)], "{metric}");
    }
    for (group_by, keys) in [
        ("provider", json!(["AWS", "Google Cloud", "Microsoft"])),
        ("region", json!(["Iowa", "us-east-1", null])),
        ("charge_category", json!(["Credit", "Usage"])),
        ("tag:t49", json!(["x", null])),
        ("tag:t50", json!([null])),
    ] {
        let history = costs.found(&format!("/history?group_by={group_by}")).await;
        let groups = list(&history["groups"]).iter();
        let found: Vec<_> = groups.map(|group| group["key"].clone()).collect();
        assert_eq!(json!(found), keys, "{group_by}");
    }
}

#[tokio::test]
async fn a_large_load_fits_into_one_request() {
    let costs = Costs::open();
    let rows: Vec<_> = (0..20_000_u32)
        .map(|index| {
            let mut row = row(-1 - i64::from(index % 24), "a", "0.01");
            row["x_RowId"] = json!(format!("row-{index}"));
            row["Tags"] = json!({"team": format!("t{}", index % 7), "env": "prod"});
            row
        })
        .collect();
    let loaded = costs.load(&rows).await;
    assert_eq!(loaded["records"], 20_000);
    let history = costs.found("/history?group_by=tag:team").await;
    let cents: f64 = amounts(&history)
        .iter()
        .map(|(_, amount)| amount.as_ref().unwrap().parse::<f64>().unwrap() * 100.0)
        .sum();
    assert_eq!(cents.round(), 20_000.0);
    assert_eq!(list(&history["groups"]).len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_at_once_lose_nothing() {
    let costs = Costs::open();
    let loads = (0..12).map(|load| {
        let mut row = row(-1, &format!("s{load}"), "1");
        row["x_RowId"] = json!(format!("id-{load}"));
        let request = costs.host.post("/costs/records", &costs.key);
        async move {
            let answer = request.body(row.to_string()).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    });
    futures_util::future::join_all(loads).await;
    let history = costs.found("/history").await;
    assert_eq!(amounts(&history), [amount(-1, "12")]);
}
