//! The same with DynamoDB between the hosts.

use super::*;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use hearth::backend::dynamodb::{CACHE_KEY, TTL};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_computed_the_other_serves_until_it_is_invalidated() {
    let fleet = Fleet::with(Private::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "v", &["t"]).await;
    assert_eq!(two.get("k").await.unwrap(), "v");
    let largest = "x".repeat(350 << 10);
    one.share("large", &largest, &["t"]).await;
    assert_eq!(two.get("large").await.unwrap(), largest);
    one.invalidate("t").await;
    assert_eq!(one.get("k").await, None);
    until(async || two.get("k").await.is_none()).await;
    let before = two.written();
    two.compute("k", "new", &["t"]).await;
    until(async || two.written() > before).await;
    until(async || one.get("k").await.is_some_and(|value| value == "new")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_item_is_not_served_though_dynamodb_keeps_it() {
    let fleet = Fleet::with(Private::start().await).await;
    let (one, two) = fleet.two().await;
    let dynamo = fleet.store.dynamo().await;
    let items = async || {
        let scan = dynamo.client().scan().table_name(dynamo.cache_table());
        scan.send().await.unwrap().items.unwrap_or_default()
    };
    let before = items().await.len();
    let brief = Options {
        ttl_ms: 700,
        ..shared(&[])
    };
    let written = one.written();
    one.call().set("brief", b"v", brief).await.unwrap();
    until(async || one.written() > written).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(two.get("brief").await, None);
    assert_eq!(one.get("brief").await, None);
    let kept = items().await;
    assert_eq!(kept.len(), before + 1, "DynamoDB removes it when it likes");
    for item in &kept {
        let number = |name: &str| match &item[name] {
            AttributeValue::N(digits) => digits.parse::<i64>().unwrap(),
            other => panic!("{name} is {other:?}"),
        };
        assert!(matches!(&item[CACHE_KEY], AttributeValue::S(_)));
        assert!(number(TTL) * 1_000 > number("cached_at"));
        assert!(number("cached_at") > 1_600_000_000_000);
    }
    assert_eq!(two.count("hearth_cache_shared_looks_total", "stale"), 1);
}

/// What lies between hosts and DynamoDB.
struct Cable {
    /// It lives as long as the cable does.
    _private: Private,
    url: String,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Whole,
    /// Connections are taken, and nothing comes through.
    Stopped,
    /// Connections end.
    Cut,
}

impl Cable {
    async fn lay() -> Cable {
        let private = Private::start().await;
        private.dynamo().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (state, seen) = watch::channel(State::Whole);
        let target = private.url().strip_prefix("http://").unwrap().to_owned();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target.clone(), seen.clone()));
            }
        });
        Cable {
            _private: private,
            url,
            state,
        }
    }
}

/// One connection, until the cable's state is another.
async fn carry(mut near: TcpStream, target: String, mut seen: watch::Receiver<State>) {
    let state = *seen.borrow_and_update();
    let carried = async {
        match state {
            State::Whole => {
                let mut far = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
            State::Stopped => std::future::pending().await,
            State::Cut => {}
        }
    };
    tokio::select! {
        _ = carried => {}
        _ = seen.changed() => {}
    }
}

impl Between for Cable {
    async fn store(&self) -> Store {
        use crate::harness::dynamodb::dynamo_at;
        use hearth::backend::dynamodb::Config;
        let dynamo = dynamo_at(&self.url, &Config::default()).await;
        Store::Dynamodb(CacheTable::of(&dynamo))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_that_hangs_or_is_away_costs_no_answer_and_is_used_again_when_it_is_back() {
    let fleet = Fleet::with(Cable::lay().await).await;
    let (one, _) = fleet.two().await;
    let two = fleet.host(hasty()).await;
    two.ready().await;
    let away = |host: &Host| host.count("hearth_cache_shared_unavailable", "") == 1;
    let refused = || two.count("hearth_cache_shared_errors_total", "unavailable");
    for state in [State::Stopped, State::Cut] {
        let before = refused();
        fleet.store.state.send_replace(state);
        for number in 0..30 {
            two.compute(&format!("{state:?}-{number}"), "v", &[]).await;
        }
        assert!(away(&two), "{state:?}");
        assert!(refused() - before >= 20, "{}", refused() - before);
        fleet.store.state.send_replace(State::Whole);
        let key = format!("after-{state:?}");
        until(async || !away(&two) && !away(&one)).await;
        one.ready().await;
        one.share(&key, "v", &[]).await;
        until(async || two.get(&key).await.is_some()).await;
    }
}
