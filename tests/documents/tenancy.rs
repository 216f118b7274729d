//! Whose a document is.

use hearth::capability::documents::{GuestError, Host, Item, Key, Range};

use super::fixture::{Bench, Borrowed, item, key};

async fn put(call: &mut Borrowed, partition: &str, text: &str) {
    let item = Item {
        partition: partition.into(),
        sort: "s".into(),
        attributes: format!("{{\"of\":{text:?}}}"),
        expires_at_ms: None,
    };
    call.put(item).await.unwrap();
}

async fn of(call: &mut Borrowed, partition: &str) -> Option<String> {
    let key = Key {
        partition: partition.into(),
        sort: "s".into(),
    };
    call.get(key).await.map(|item| item.attributes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partition_is_of_one_plugin_and_one_customer_whatever_they_are_called() {
    partitions(&Bench::new().await).await;
}

pub async fn partitions(bench: &Bench) {
    let owners = [
        ("notes", Some("acme"), "p"),
        ("notes", Some("acme#p"), ""),
        ("notes", Some("acme"), "p#"),
        ("notes", Some(""), "p"),
        ("notes", Some("-"), "p"),
        ("notes", None, "p"),
        ("notes", None, "4:acme#p"),
        ("notes", Some("4:acme"), "p"),
        ("notes", Some("a#4:acme#p"), ""),
        ("notes-4", Some("acme"), "p"),
        ("other", Some("acme"), "p"),
        ("notes", Some("globex"), "p"),
    ];
    for (plugin, customer, partition) in owners {
        let mut call = bench.call_of(plugin, customer);
        put(&mut call, partition, &format!("{plugin} {customer:?}")).await;
    }
    for (plugin, customer, partition) in owners {
        let mut call = bench.call_of(plugin, customer);
        let own = format!("{{\"of\":{:?}}}", format!("{plugin} {customer:?}"));
        assert_eq!(of(&mut call, partition).await, Some(own));
        let mut view = call.view();
        let all = view.query(partition.into(), Range::All, 10, None, false);
        assert_eq!(all.await.unwrap().unwrap().items.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursor_of_another_customer_leads_into_ones_own_partition() {
    let bench = Bench::new().await;
    let (mut acme, mut globex) = (bench.call("acme"), bench.call("globex"));
    for sort in ["a", "b", "c"] {
        acme.put(item(sort, "{\"of\":\"acme\"}")).await.unwrap();
        globex.put(item(sort, "{\"of\":\"globex\"}")).await.unwrap();
    }
    let first = acme.page(Range::All, 1, None, false).await.unwrap();
    let cursor = first.cursor.unwrap();
    let second = globex
        .page(Range::All, 10, Some(&cursor), false)
        .await
        .unwrap();
    let of: Vec<_> = second.items.iter().map(|item| &*item.attributes).collect();
    assert_eq!(of, [r#"{"of":"globex"}"#; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_changes_of_one_customer_touch_no_other() {
    customers(&Bench::new().await).await;
}

pub async fn customers(bench: &Bench) {
    let (mut acme, mut globex) = (bench.call("acme"), bench.call("globex"));
    acme.put(item("s", "{\"n\":1}")).await.unwrap();
    globex.put(item("s", "{\"n\":2}")).await.unwrap();
    globex.delete(key("s")).await.unwrap();
    assert_eq!(acme.get(key("s")).await.unwrap().attributes, "{\"n\":1}");
    let condition = hearth::capability::documents::Condition::Exists;
    let changed = globex.update(key("s"), vec![], condition).await;
    assert_eq!(changed, Err(GuestError::ConditionFailed));
    assert_eq!(globex.count(Range::All, 10).await, Ok(0));
    assert_eq!(acme.count(Range::All, 10).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_calls_are_counted() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    call.call = hearth::capability::Call::new(
        "notes".into(),
        1,
        "r".into(),
        Some("acme".into()),
        tokio::time::Instant::now() + std::time::Duration::from_secs(30),
        3,
    );
    let mut view = call.view();
    view.count("p".into(), Range::All, 1)
        .await
        .unwrap()
        .unwrap();
    view.put_many((0..50).map(|n| item(&n.to_string(), "{}")).collect())
        .await
        .unwrap();
    view.get(key("s")).await.unwrap().unwrap();
    assert!(view.get(key("s")).await.is_err());
}
