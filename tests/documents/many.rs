//! Many items by their keys, in one call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::capability::documents::{Config, GuestError, Item, Key};

use super::fixture::{Bench, item, key, now_ms};
use crate::harness::dynamodb::{Fate, Private, Proxy, Request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_answered_in_the_order_of_their_keys_and_none_where_there_is_none() {
    order(&Bench::new().await).await;
}

pub async fn order(bench: &Bench) {
    let mut call = bench.call("acme");
    let expiring = Item {
        expires_at_ms: Some(now_ms() + 60_000),
        ..item("expiring", r#"{"n":3}"#)
    };
    let items = vec![
        item("a", r#"{"n":1}"#),
        item("b", r#"{"n":2}"#),
        expiring.clone(),
    ];
    assert!(call.put_many(items).await.iter().all(Result::is_ok));
    bench.call("globex").put(item("c", "{}")).await.unwrap();
    let keys = ["b", "none", "a", "expiring", "c", "b"].map(key).to_vec();
    let found = call.get_many(keys.clone()).await.unwrap();
    let [a, b] = [item("a", r#"{"n":1}"#), item("b", r#"{"n":2}"#)].map(Some);
    let expected = [b.clone(), None, a, Some(expiring), None, b];
    assert_eq!(found, expected);
    bench.later(Duration::from_secs(61));
    assert_eq!(
        call.get_many(keys).await.unwrap()[3],
        None,
        "it has expired"
    );
    assert_eq!(call.get_many(Vec::new()).await, Ok(Vec::new()));
}

/// A bench whose requests are noted, and end as `decide` says.
async fn behind(
    decide: impl Fn(&Request) -> Fate + Send + Sync + 'static,
) -> (Bench, Arc<Mutex<Vec<usize>>>, (Proxy, Private)) {
    let (private, seen) = (Private::start().await, Arc::new(Mutex::new(Vec::new())));
    let noted = seen.clone();
    let proxy = Proxy::start(private.url(), move |request| {
        if request.operation == "BatchGetItem" {
            noted.lock().unwrap().push(request.wanted().len());
        }
        let fate = decide(&request);
        async move { fate }
    });
    let proxy = proxy.await;
    let bench = Bench::at(&proxy.url, Config::default()).await;
    (bench, seen, (proxy, private))
}

fn numbered(count: usize) -> Vec<Key> {
    (0..count)
        .map(|number| key(&format!("{number:03}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_keys_are_one_request() {
    let (bench, seen, _parts) = behind(|_| Fate::Pass).await;
    let mut call = bench.call("acme");
    let items: Vec<Item> = numbered(250)
        .iter()
        .map(|key| item(&key.sort, "{}"))
        .collect();
    assert!(call.put_many(items).await.iter().all(Result::is_ok));
    let found = call.get_many(numbered(250)).await.unwrap();
    assert!(found.len() == 250 && found.iter().all(Option::is_some));
    assert_eq!(*seen.lock().unwrap(), [100, 100, 50]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_has_no_more_bytes_than_a_page_and_one_item_at_least() {
    let bench = Bench::new().await;
    let mut call = bench.call("acme");
    let large = format!("{{\"text\":{:?}}}", "x".repeat(300_000));
    let items = numbered(20)
        .iter()
        .map(|key| item(&key.sort, &large))
        .collect();
    assert!(call.put_many(items).await.iter().all(Result::is_ok));
    let found = call.get_many(numbered(20)).await.unwrap();
    assert_eq!(found.len(), 2 * (1 << 20) / 300_011);
    let rest = call
        .get_many(numbered(20)[found.len()..].to_vec())
        .await
        .unwrap();
    assert_eq!(rest[0].as_ref().unwrap().sort, "006");
    let tight = Config {
        query_bytes_max: 1_024,
        ..Config::default()
    };
    let bench = Bench::with(tight).await;
    let mut call = bench.call("acme");
    call.put(item("000", &large)).await.unwrap();
    assert_eq!(call.get_many(numbered(5)).await.unwrap().len(), 1);
    let rest = call.get_many(numbered(5)[1..].to_vec()).await.unwrap();
    assert_eq!(rest, vec![None; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dynamodb_leaves_undone_is_no_item_that_is_missing() {
    let turn = Mutex::new(0);
    // At first nothing is done, then all but the third key.
    let (bench, seen, _parts) = behind(move |request| {
        if request.operation != "BatchGetItem" {
            return Fate::Pass;
        }
        let mut turn = turn.lock().unwrap();
        *turn += 1;
        let keys = request.wanted();
        let third = |at: &usize| keys[*at].1 == "002";
        match *turn {
            1 => Fate::Unprocessed((0..keys.len()).collect()),
            2 => Fate::Unprocessed((0..keys.len()).filter(third).collect()),
            _ => Fate::Pass,
        }
    })
    .await;
    let mut call = bench.call("acme");
    let items = numbered(4)
        .iter()
        .map(|key| item(&key.sort, "{}"))
        .collect();
    assert!(call.put_many(items).await.iter().all(Result::is_ok));
    let found = call.get_many(numbered(4)).await.unwrap();
    assert_eq!(found.len(), 2, "what is known of the first keys");
    let found = call.get_many(numbered(4)).await.unwrap();
    assert!(found.len() == 4 && found.iter().all(Option::is_some));
    assert_eq!(*seen.lock().unwrap(), [4; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_keys_and_wrong_ones_are_refused_before_anything_is_read() {
    let (bench, seen, _parts) = behind(|_| Fate::Pass).await;
    let mut call = bench.call("acme");
    let many = vec![key("a"); Config::default().items_max + 1];
    for (keys, reason) in [(many, "documents.items_max"), (vec![key("")], "sort key")] {
        let refused = call.get_many(keys).await;
        let Err(GuestError::Invalid(text)) = refused else {
            panic!("{refused:?}");
        };
        assert!(text.contains(reason), "{text}");
    }
    assert!(seen.lock().unwrap().is_empty());
}
