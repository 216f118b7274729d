//! What may be cached, and how much of it.

use hearth::capability::cache::{Config, GuestError};

use super::{Bench, hour};
use crate::harness::host::runs;

#[tokio::test]
async fn what_is_too_large_or_badly_named_is_refused_with_its_reason() {
    let config = Config {
        entry_bytes_max: 10,
        tags_max: 1,
        ..Config::default()
    };
    let bench = Bench::new(config);
    let mut call = bench.call("tickets", "acme");
    let large = call.set("k", &[0; 11], hour(&[])).await;
    assert!(matches!(large, Err(GuestError::TooLarge)), "{large:?}");
    let long = "k".repeat(1_025);
    for (key, tags) in [
        ("", &[][..]),
        (long.as_str(), &[]),
        ("k", &["t", "u"]),
        ("k", &[""]),
    ] {
        let refused = call.set(key, b"v", hour(tags)).await;
        assert!(
            matches!(refused, Err(GuestError::Invalid(_))),
            "{refused:?}"
        );
    }
    let lease = call.lease("").await;
    let refused = call.fulfil(&lease, b"v", hour(&[])).await;
    assert!(
        matches!(refused, Err(GuestError::Invalid(_))),
        "{refused:?}"
    );
    let lease = call.lease("k").await;
    let large = call.fulfil(&lease, &[0; 11], hour(&[])).await;
    assert!(matches!(large, Err(GuestError::TooLarge)), "{large:?}");
    call.fulfil(&lease, b"v", hour(&[])).await.unwrap();
}

#[tokio::test]
async fn plugin_that_fills_its_share_pushes_out_its_own_and_stays_in_bounds() {
    let config = Config {
        plugin_bytes_max: 1 << 20,
        ..Config::default()
    };
    let bench = Bench::new(config);
    let mut quiet = bench.call("tickets", "acme");
    for number in 0..100 {
        let key = format!("k{number}");
        quiet.set(&key, &[1; 1_000], hour(&[])).await.unwrap();
    }
    for number in 0..runs(2_000, 100_000) {
        let mut greedy = bench.call("forecasting", "globex");
        let key = format!("k{number}");
        greedy.set(&key, &[0; 10_000], hour(&[])).await.unwrap();
    }
    for number in 0..100 {
        assert!(quiet.get(&format!("k{number}")).await.is_some());
    }
    let bytes = bench.metric("hearth_cache_bytes", "forecasting");
    assert!(bytes > 500_000, "{bytes} bytes");
    assert!(bytes < (1 << 20) + (1 << 18), "{bytes} bytes");
}

#[tokio::test]
async fn customer_that_fills_its_share_of_a_plugin_loses_its_own_oldest() {
    let config = Config {
        plugin_bytes_max: 1 << 20,
        ..Config::default()
    };
    let bench = Bench::new(config);
    let mut quiet = bench.call("tickets", "acme");
    for number in 0..100 {
        let key = format!("k{number}");
        quiet.set(&key, &[1; 1_000], hour(&[])).await.unwrap();
    }
    for number in 0..runs(2_000, 100_000) {
        let mut greedy = bench.call("tickets", "globex");
        // Asked for often, so that the cache as a whole would keep it.
        let key = format!("k{}", number % 200);
        greedy.set(&key, &[0; 10_000], hour(&[])).await.unwrap();
        greedy.get(&key).await.unwrap();
    }
    for number in 0..100 {
        assert!(quiet.get(&format!("k{number}")).await.is_some());
    }
    let bytes = bench.metric("hearth_cache_bytes", "tickets");
    assert!(bytes > 500_000, "{bytes} bytes");
    assert!(bytes < 750_000, "{bytes} bytes");
}
