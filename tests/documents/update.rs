//! Changes of single attributes.

use hearth::capability::documents::{Change, Condition, Config, GuestError};

use super::fixture::{Bench, item, key};
use crate::harness::host::runs;

fn set(name: &str, value: &str) -> Change {
    Change::Set((name.into(), value.into()))
}

fn add(name: &str, amount: &str) -> Change {
    Change::Add((name.into(), amount.into()))
}

fn remove(name: &str) -> Change {
    Change::Remove(name.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_done_together_and_the_item_is_answered() {
    changes(&Bench::new().await).await;
}

pub async fn changes(bench: &Bench) {
    let mut call = bench.call("acme");
    call.put(item("s", r#"{"a":1,"b":[1],"c":"x","d":{"e":1}}"#))
        .await
        .unwrap();
    let changes = vec![
        set("a", r#"{"nested":[null,1.50]}"#),
        remove("b"),
        remove("none"),
        add("n", "0.1"),
        set("the name", "\"ä\""),
    ];
    let changed = call
        .update(key("s"), changes, Condition::None)
        .await
        .unwrap();
    let expected = r#"{"a":{"nested":[null,1.5]},"c":"x","d":{"e":1},"n":0.1,"the name":"ä"}"#;
    assert_eq!(changed.attributes, expected);
    assert_eq!(call.get(key("s")).await, Some(changed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_decide() {
    conditions(&Bench::new().await).await;
}

pub async fn conditions(bench: &Bench) {
    let mut call = bench.call("acme");
    let equals = |name: &str, value: &str| Condition::Equals((name.into(), value.into()));
    call.put(item("there", r#"{"v":1.0,"o":{"a":[1,null]}}"#))
        .await
        .unwrap();
    let cases = [
        ("there", Condition::None, true),
        ("there", Condition::Exists, true),
        ("there", Condition::Absent, false),
        ("there", equals("v", "1"), true),
        ("there", equals("v", "1e0"), true),
        ("there", equals("v", "2"), false),
        ("there", equals("v", "\"1\""), false),
        ("there", equals("o", r#"{"a":[1.0,null]}"#), true),
        ("none-1", Condition::None, true),
        ("none-2", Condition::Exists, false),
        ("none-3", Condition::Absent, true),
        ("none-4", equals("v", "1"), false),
    ];
    for (sort, condition, holds) in cases {
        let changed = call
            .update(key(sort), vec![set("x", "1")], condition.clone())
            .await;
        match holds {
            true => drop(changed.unwrap()),
            false => assert_eq!(
                changed,
                Err(GuestError::ConditionFailed),
                "{sort} {condition:?}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_added_exactly_and_begin_as_zero() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    for amount in ["0.1", "0.2", "12345678901234567890", "-1e-10"] {
        call.update(key("s"), vec![add("n", amount)], Condition::None)
            .await
            .unwrap();
    }
    let sum = call.get(key("s")).await.unwrap().attributes;
    assert_eq!(sum, r#"{"n":12345678901234567890.2999999999}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_without_changes_makes_an_item_and_answers_one_that_is_there() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    for attributes in ["{}", "{\"n\":1}"] {
        let untouched = call.update(key("s"), vec![], Condition::None).await;
        assert_eq!(untouched.unwrap().sort, "s");
        call.put(item("s", attributes)).await.unwrap();
        let untouched = call.update(key("s"), vec![], Condition::Exists).await;
        assert_eq!(untouched.unwrap().attributes, attributes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attribute_that_is_not_there_equals_nothing() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    call.put(item("s", "{}")).await.unwrap();
    let null = Condition::Equals(("none".into(), "null".into()));
    let changed = call.update(key("s"), vec![set("x", "1")], null).await;
    assert_eq!(changed, Err(GuestError::ConditionFailed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_additions_are_all_there() {
    let bench = std::sync::Arc::new(Bench::new().await);
    let each = runs(20, 200);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    let mut call = bench.call("acme");
                    call.update(key("s"), vec![add("n", "1")], Condition::None)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sum = bench.call("acme").get(key("s")).await.unwrap().attributes;
    assert_eq!(sum, format!("{{\"n\":{}}}", each * 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_changed_is_refused() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    call.put(item("s", r#"{"text":"x"}"#)).await.unwrap();
    for changes in [
        vec![set("a", "")],
        vec![set("a", "1 2")],
        vec![add("a", "\"1\"")],
        vec![add("a", "1e126")],
        vec![add("a", "ten")],
        vec![add("text", "1")],
        vec![set("a", "1"), remove("a")],
        vec![set("a", &format!("{}1{}", "[".repeat(40), "]".repeat(40)))],
        (0..65).map(|n| set(&n.to_string(), "1")).collect(),
    ] {
        let changed = call
            .update(key("s"), changes.clone(), Condition::None)
            .await;
        assert!(
            matches!(changed, Err(GuestError::Invalid(_))),
            "{changes:?}: {changed:?}"
        );
    }
    assert_eq!(
        call.get(key("s")).await.unwrap().attributes,
        r#"{"text":"x"}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_that_grows_too_large_stays_as_it_was() {
    let bench = Bench::with(Config {
        changes_max: 150,
        ..Config::default()
    })
    .await;
    let mut call = bench.call("acme");
    let half = serde_json::Value::from("x".repeat(300_000)).to_string();
    call.put(item("s", &format!("{{\"a\":{half}}}")))
        .await
        .unwrap();
    let changed = call
        .update(key("s"), vec![set("b", &half)], Condition::None)
        .await;
    assert_eq!(changed, Err(GuestError::TooLarge));
    let many = (0..150).map(|n| set(&format!("n{n}"), "1")).collect();
    let changed = call.update(key("s"), many, Condition::Exists).await;
    assert!(
        changed.is_ok(),
        "as many changes as may be configured: {changed:?}"
    );
}
