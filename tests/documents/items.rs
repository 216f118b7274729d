//! What goes in comes out.

use std::collections::BTreeMap;

use hearth::capability::documents::{Config, GuestError, Item};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Value, json};

use super::fixture::{Bench, Borrowed, item, key};
use crate::harness::host::runs;

/// The attributes of the item that is stored with these.
async fn through(call: &mut Borrowed, attributes: &str) -> String {
    call.put(item("s", attributes)).await.unwrap();
    call.get(key("s")).await.unwrap().attributes
}

async fn refused(call: &mut Borrowed, attributes: &str) -> GuestError {
    call.put(item("s", attributes)).await.unwrap_err()
}

fn invalid(error: GuestError) -> String {
    match error {
        GuestError::Invalid(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_their_value_to_the_last_digit() {
    numbers(&Bench::new().await).await;
}

pub async fn numbers(bench: &Bench) {
    let mut call = bench.call("acme");
    let hundred_and_26 = format!("1{}", "0".repeat(125));
    let smallest = format!("0.{}1", "0".repeat(129));
    let largest = format!("{}{}", "9".repeat(38), "0".repeat(88));
    let long = format!("1{}e3", "0".repeat(39));
    let pairs = [
        (long.as_str(), "1000000000000000000000000000000000000000000"),
        ("0", "0"),
        ("-0", "0"),
        ("0e999", "0"),
        ("1", "1"),
        ("-17", "-17"),
        ("1.50", "1.5"),
        ("15e-1", "1.5"),
        ("100", "100"),
        ("1E2", "100"),
        ("0.1", "0.1"),
        ("0.0000001", "0.0000001"),
        ("1e-8", "0.00000001"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        (
            "0.1234567890123456789012345678901234567",
            "0.1234567890123456789012345678901234567",
        ),
        (
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        ),
        (
            "-12345678901234567890.123456789012345678",
            "-12345678901234567890.123456789012345678",
        ),
        ("1e125", &hundred_and_26),
        ("9.9999999999999999999999999999999999999e125", &largest),
        ("1e-130", &smallest),
        ("-1.25e-5", "-0.0000125"),
    ];
    for (sent, comes_back) in pairs {
        let attributes = format!("{{\"n\":[{sent}]}}");
        let got = through(&mut call, &attributes).await;
        assert_eq!(got, format!("{{\"n\":[{comes_back}]}}"), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn number_that_would_be_rounded_is_refused() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    let too_long = format!("0.{}", "1".repeat(39));
    let endless = format!("1{}", "0".repeat(1_000_000));
    for number in [
        "1e126",
        "-1e126",
        "9e-131",
        "1e400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "123456789012345678901234567890123456789",
        &too_long,
        &endless,
    ] {
        let told = invalid(refused(&mut call, &format!("{{\"n\":{number}}}")).await);
        assert!(told.contains("38 digits"), "{told}");
        assert!(told.len() < 300, "{}", told.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_of_every_kind_come_back_as_they_were() {
    kinds(&Bench::new().await).await;
}

pub async fn kinds(bench: &Bench) {
    let mut call = bench.call("acme");
    let sent = json!({
        "pk": "not the key", "sk": 1, "ttl": 2, "expires": 3, ".": 4, "#n": 5, ":v": 6,
        "null": null, "yes": true, "no": false, "empty": "", "none": {}, "nothing": [],
        "nested": {"a": [{"b": [[], {}, ""]}, null, 1]},
        "text": "\u{0}\u{1f}\"\\/\u{7f}äß€𝄞\u{2028}\u{feff}",
        "name with \"quotes\"\n": {"\u{0}": "nul"},
        "$serde_json::private::Number": "12",
        "inner": {"$serde_json::private::Number": "12", "$serde_json::private::RawValue": "[]"},
        "M": {"M": {"S": "x"}}, "NULL": true, "": {"": [{"": ""}]},
    });
    let got = through(&mut call, &sent.to_string()).await;
    assert_eq!(sorted(&got), sorted(&sent.to_string()));
    let alone = r#"{"$serde_json::private::Number":"12"}"#;
    assert_eq!(through(&mut call, alone).await, alone);
    assert_eq!(through(&mut call, " { } ").await, "{}");
    let written = r#" {"b" : "\u00e4\ud834\udd1e", "a":[ ] } "#;
    assert_eq!(through(&mut call, written).await, "{\"a\":[],\"b\":\"ä𝄞\"}");
}

/// Texts of JSON without serde_json's own reading of some objects as numbers.
fn sorted(text: &str) -> BTreeMap<String, Box<str>> {
    let members: BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(text).unwrap();
    let members = members.into_iter();
    members
        .map(|(name, raw)| (name, raw.get().into()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_object_or_not_dynamodbs_is_refused() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    for attributes in [
        "",
        "[]",
        "1",
        "null",
        "{",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{\"a\":\"\\ud800\"}",
    ] {
        let told = invalid(refused(&mut call, attributes).await);
        assert!(told.contains("not valid JSON"), "{attributes}: {told}");
    }
    let told = invalid(refused(&mut call, r#"{"a":{"b":1,"b":2}}"#).await);
    assert!(told.contains("\"b\" is given twice"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_may_be_nested_32_levels_and_no_deeper() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"a\":{open}1{close}}}")
    };
    assert_eq!(through(&mut call, &nested(31)).await, nested(31));
    let told = invalid(refused(&mut call, &nested(32)).await);
    assert!(told.contains("32 levels"), "{told}");
    let told = invalid(refused(&mut call, &nested(100_000)).await);
    assert!(told.contains("32 levels"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_may_have_400_kb_as_dynamodb_counts_them() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    // `pk`, `sk` and their values, a name, 1 byte for it being the plugin's, and for a
    // list of two numbers 3 + 2 + 2 + 5.
    let own = "pk".len() + "notes#4:acme#p".len() + "sk".len() + "s".len();
    let rest = own + ".list".len() + 12 + ".text".len();
    let with = |bytes: usize| {
        let text = "é".repeat((bytes - rest) / 2) + &"x".repeat((bytes - rest) % 2);
        json!({"list": [7, -12.345], "text": text}).to_string()
    };
    let largest = with(409_600);
    assert_eq!(through(&mut call, &largest).await, largest);
    assert_eq!(
        refused(&mut call, &with(409_601)).await,
        GuestError::TooLarge
    );
    assert_eq!(
        refused(&mut call, &with(4_000_000)).await,
        GuestError::TooLarge
    );
    // DynamoDB's own count is the same.
    let config = Config {
        item_bytes_max: 1_000_000,
        ..Config::default()
    };
    let bench = Bench::with(config).await;
    let mut call = bench.call("acme");
    assert_eq!(through(&mut call, &largest).await, largest);
    assert_eq!(
        refused(&mut call, &with(409_601)).await,
        GuestError::TooLarge
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_as_long_as_dynamodb_lets_them_be_and_no_longer() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    let with = |partition: usize, sort: usize| Item {
        partition: "p".repeat(partition),
        sort: "s".repeat(sort),
        attributes: "{}".into(),
        expires_at_ms: None,
    };
    let longest = 2_048 - "notes#4:acme#".len();
    call.put(with(longest, 1_024)).await.unwrap();
    call.put(with(0, 1)).await.unwrap();
    for (partition, sort) in [(longest + 1, 1), (1, 0), (1, 1_025)] {
        let told = call.put(with(partition, sort)).await.unwrap_err();
        assert!(matches!(told, GuestError::Invalid(_)), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_one_item_keeps_no_other_from_being_written() {
    wrong_ones(&Bench::new().await).await;
}

pub async fn wrong_ones(bench: &Bench) {
    let mut call = bench.call("acme");
    let items = vec![
        item("a", "{}"),
        item("", "{}"),
        item("c", "[]"),
        item("d", "{\"d\":1}"),
    ];
    let outcomes = call.put_many(items).await;
    let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, true]);
    assert_eq!(
        call.sorts(hearth::capability::documents::Range::All).await,
        ["a", "d"]
    );
    let keys = vec![key("a"), key(""), key("none"), key("d")];
    let outcomes = call.delete_many(keys).await;
    let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, true]);
    assert!(call.get(key("d")).await.is_none());
}

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e120f64..1e120).prop_map(Value::from),
        (-1f64..1.0).prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

/// Numbers by their value, which floats of 17 digits have as decimals of 38.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let of = |(name, value): (&String, _)| other.get(name).is_some_and(|o| same(value, o));
            one.len() == other.len() && one.iter().all(of)
        }
        _ => one == other,
    }
}

#[test]
fn any_json_comes_back_as_it_was() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::new());
    let mut runner = TestRunner::new(Cases {
        cases: runs(200, 5_000) as u32,
        failure_persistence: None,
        ..Cases::default()
    });
    let outcome = runner.run(&(any_json(), any::<String>()), |(value, sort)| {
        let sent = json!({"value": value});
        let mut call = bench.call("acme");
        let sort = format!("s{sort}");
        let got = runtime.block_on(async {
            call.put(item(&sort, &sent.to_string())).await.unwrap();
            call.get(key(&sort)).await.unwrap()
        });
        let comes_back: Value = serde_json::from_str(&got.attributes).unwrap();
        prop_assert!(same(&sent, &comes_back), "{sent}\n{comes_back}");
        prop_assert_eq!(got.sort, sort);
        Ok(())
    });
    outcome.unwrap();
}
