//! What has expired is not there, whether or not DynamoDB has removed it.

use std::time::Duration;

use hearth::capability::documents::{Change, Condition, Config, GuestError, Item, Range};

use super::fixture::{Bench, Borrowed, item, key, now_ms};

fn until(sort: &str, expires_at_ms: u64) -> Item {
    Item {
        expires_at_ms: Some(expires_at_ms),
        ..item(sort, "{\"old\":1}")
    }
}

async fn filled(bench: &Bench) -> Borrowed {
    let mut call = bench.call("acme");
    let (past, future) = (now_ms() - 1, now_ms() + 600_000);
    let items = vec![
        until("a", past),
        until("b", future),
        until("c", 0),
        item("d", "{}"),
        until("e", past),
    ];
    let outcomes = call.put_many(items).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_items_are_neither_read_nor_listed_nor_counted() {
    reading(&Bench::new().await).await;
}

pub async fn reading(bench: &Bench) {
    let mut call = filled(bench).await;
    for (sort, is_there) in [
        ("a", false),
        ("b", true),
        ("c", false),
        ("d", true),
        ("e", false),
    ] {
        assert_eq!(call.get(key(sort)).await.is_some(), is_there, "{sort}");
    }
    assert_eq!(call.sorts(Range::All).await, ["b", "d"]);
    assert_eq!(call.count(Range::All, 10).await, Ok(2));
    let page = call.page(Range::All, 1, None, true).await.unwrap();
    assert_eq!(page.items[0].sort, "d");
    let rest = call
        .page(Range::All, 1, page.cursor.as_deref(), true)
        .await
        .unwrap();
    assert_eq!((rest.items[0].sort.as_str(), rest.cursor), ("b", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_comes_back_to_the_millisecond() {
    to_the_millisecond(&Bench::new().await).await;
}

pub async fn to_the_millisecond(bench: &Bench) {
    let mut call = bench.call("acme");
    for at in [now_ms() + 60_001, 253_402_300_799_999, u64::MAX] {
        call.put(until("s", at)).await.unwrap();
        assert_eq!(call.get(key("s")).await.unwrap().expires_at_ms, Some(at));
        let listed = call.page(Range::All, 1, None, false).await.unwrap();
        assert_eq!(listed.items[0].expires_at_ms, Some(at));
    }
    call.put(item("s", "{}")).await.unwrap();
    assert_eq!(call.get(key("s")).await.unwrap().expires_at_ms, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_expires_while_it_lies_there() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    call.put(until("s", now_ms() + 3_600_000)).await.unwrap();
    bench.later(Duration::from_secs(3_500));
    assert!(call.get(key("s")).await.is_some());
    assert_eq!(call.count(Range::All, 10).await, Ok(1));
    bench.later(Duration::from_secs(3_601));
    assert!(call.get(key("s")).await.is_none());
    assert_eq!(call.count(Range::All, 10).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_takes_an_expired_item_for_none() {
    updating(&Bench::new().await).await;
}

pub async fn updating(bench: &Bench) {
    let set = || vec![Change::Set(("new".into(), "2".into()))];
    let equals = Condition::Equals(("old".into(), "1".into()));
    for condition in [Condition::Exists, equals.clone()] {
        let mut call = filled(bench).await;
        let changed = call.update(key("a"), set(), condition).await;
        assert_eq!(changed, Err(GuestError::ConditionFailed));
        assert!(call.get(key("a")).await.is_none());
    }
    for condition in [Condition::None, Condition::Absent] {
        let mut call = filled(bench).await;
        let changed = call.update(key("a"), set(), condition).await.unwrap();
        assert_eq!(
            (changed.attributes.as_str(), changed.expires_at_ms),
            ("{\"new\":2}", None)
        );
        assert_eq!(call.get(key("a")).await, Some(changed));
    }
    let mut call = filled(bench).await;
    let lives = call.update(key("b"), set(), equals).await.unwrap();
    assert_eq!(lives.attributes, "{\"new\":2,\"old\":1}");
    assert!(
        lives.expires_at_ms.is_some(),
        "a change leaves the expiry as it is"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_expired_items_are_passed_over_and_take_no_more_than_their_requests() {
    let bench = Bench::with(Config {
        query_requests_max: 2,
        ..Config::default()
    })
    .await;
    let mut call = bench.call("acme");
    let mut items: Vec<_> = (0..2_500).map(|n| until(&format!("{n:05}"), 1)).collect();
    items.push(item("last", "{}"));
    let outcomes = call.put_many(items).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(call.count(Range::All, 10).await, Ok(1));
    let (mut cursor, mut pages, mut sorts) = (None, 0, Vec::new());
    loop {
        let page = call
            .page(Range::All, 10, cursor.as_deref(), false)
            .await
            .unwrap();
        pages += 1;
        sorts.extend(page.items.into_iter().map(|item| item.sort));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(sorts, ["last"]);
    assert_eq!(pages, 3, "each page looked at 11 items, and then at 1,000");
}
