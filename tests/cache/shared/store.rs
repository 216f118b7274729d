//! What whoever can read and write the store can do, and what does not fit in.

use super::*;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_were_forged_moved_or_cut_are_not_served() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "acme's own", &[]).await;
    let mut globex = one.bench.call("tickets", "globex");
    let before = one.written();
    let set = globex.set("k", b"globex's own", shared(&[]));
    set.await.unwrap();
    until(async || one.written() > before).await;
    let entries = fleet.store.dump();
    assert!(entries.len() >= 3, "{}", entries.len());
    for (name, value) in &entries {
        for told in ["acme", "globex", "tickets", "own"] {
            let shows = |bytes: &[u8]| {
                bytes
                    .windows(told.len())
                    .any(|part| part == told.as_bytes())
            };
            assert!(!shows(name.as_bytes()) && !shows(value), "{told} is shown");
        }
    }
    let ask = async |customer: &str| {
        let mut call = two.bench.call("tickets", customer);
        call.get_from("k", Scope::Shared).await
    };
    let forged = || two.count("hearth_cache_shared_errors_total", "forged");
    // Each entry under the name of the next one.
    for (at, (name, _)) in entries.iter().enumerate() {
        fleet.store.set(name, &entries[(at + 1) % entries.len()].1);
    }
    assert_eq!((ask("acme").await, ask("globex").await), (None, None));
    for (name, value) in &entries {
        let mut changed = value.clone();
        *changed.last_mut().unwrap() ^= 1;
        fleet.store.set(name, &changed);
    }
    assert_eq!(ask("acme").await, None);
    for (name, value) in &entries {
        fleet.store.set(name, &value[..value.len() - 1]);
    }
    assert_eq!(ask("acme").await, None);
    for (name, _) in &entries {
        fleet.store.set(name, &vec![7; 8 << 20]);
    }
    assert_eq!(ask("acme").await, None);
    for (name, _) in &entries {
        fleet.store.command(&["DEL", name]);
        fleet.store.command(&["RPUSH", name, "a list"]);
    }
    assert_eq!(ask("acme").await, None);
    assert_eq!(forged(), 6);
    assert_eq!(two.count("hearth_cache_shared_errors_total", "failed"), 0);
    // As they were, they are good.
    for (name, value) in &entries {
        fleet.store.command(&["DEL", name]);
        fleet.store.set(name, value);
    }
    assert_eq!(ask("acme").await.unwrap(), b"acme's own");
    assert_eq!(ask("globex").await.unwrap(), b"globex's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entry_that_is_put_back_after_its_time_or_an_invalidation_is_not_served() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let brief = Options {
        ttl_ms: 500,
        ..shared(&[])
    };
    let before = one.written();
    one.call().set("brief", b"v", brief).await.unwrap();
    until(async || one.written() > before).await;
    one.share("tagged", "v", &["t"]).await;
    let entries = fleet.store.dump();
    one.invalidate("t").await;
    until(async || fleet.told().await == 1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    // Whoever may write takes away the store's own expiry as well.
    for (name, value) in &entries {
        fleet.store.set(name, value);
    }
    assert_eq!(one.get("tagged").await, None);
    until(async || two.get("tagged").await.is_none()).await;
    let late = fleet.host(patient()).await;
    until(async || late.get("settled").await.is_some()).await;
    for host in [&one, &two, &late] {
        assert_eq!(host.get("brief").await, None);
        assert_eq!(host.get("tagged").await, None);
    }
    assert!(late.count("hearth_cache_shared_looks_total", "stale") >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_that_is_too_large_to_be_shared_is_refused_and_may_be_local() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    let mut call = one.call();
    let large = vec![0; 350 * 1_024 + 1];
    let set = call.set("k", &large, shared(&[])).await;
    assert!(matches!(set, Err(GuestError::TooLarge)), "{set:?}");
    call.set("k", &large, hour(&[])).await.unwrap();
    let before = one.written();
    let largest = &large[1..];
    call.set("k", largest, shared(&["t"])).await.unwrap();
    until(async || one.written() > before).await;
    let found = two.call().get_from("k", Scope::Shared).await;
    assert_eq!(found.unwrap().len(), largest.len());
    // It is refused on a host that shares nothing as well.
    let alone = Bench::new(Config::default());
    let set = alone
        .call("tickets", "acme")
        .set("k", &large, shared(&[]))
        .await;
    assert!(matches!(set, Err(GuestError::TooLarge)), "{set:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_with_another_root_secret_share_nothing() {
    let mut fleet = Fleet::with(Redis::start().await).await;
    let one = fleet.host(patient()).await;
    one.settle().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
    fleet.secret = Arc::new(secret);
    let two = fleet.host(patient()).await;
    two.settle().await;
    one.share("k", "v", &[]).await;
    assert_eq!(two.get("k").await, None);
    assert_eq!(two.count("hearth_cache_shared_errors_total", "forged"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_without_memory_left_keeps_nothing_new_and_is_read_on() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = fleet.two().await;
    one.share("k", "v", &[]).await;
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    fleet.store.command(&full);
    let failed = || one.count("hearth_cache_shared_writes_total", "failed");
    for number in 0..30 {
        one.compute(&format!("full-{number}"), "v", &[]).await;
    }
    until(async || failed() == 30).await;
    assert_eq!(one.count("hearth_cache_shared_unavailable", ""), 0);
    assert_eq!(two.get("k").await.unwrap(), "v");
    fleet.store.command(&["CONFIG", "SET", "maxmemory", "0"]);
    one.share("later", "v", &[]).await;
    assert_eq!(two.get("later").await.unwrap(), "v");
}
