//! A shared tier that is slow or unavailable: every answer comes, and it is found out
//! once.

use super::*;

use crate::harness::host::runs;

fn is_away(host: &Host) -> bool {
    host.count("hearth_cache_shared_unavailable", "") == 1
}

/// Every look is answered, the first ones after their time, the others at once.
async fn goes_on_alone(host: &Host, round: usize) {
    let failed = || host.count("hearth_cache_shared_errors_total", "failed");
    let refused = || host.count("hearth_cache_shared_errors_total", "unavailable");
    let (before, turned_away) = (failed(), refused());
    for number in 0..50 {
        host.compute(&format!("away-{round}-{number}"), "v", &[])
            .await;
    }
    assert!(is_away(host));
    // Four failures are one too many; a probe or a write may have been one of them.
    assert!(failed() - before <= 4, "{} failed", failed() - before);
    assert!(refused() - turned_away >= 46);
    assert_eq!(host.get(&format!("away-{round}-0")).await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_hangs_is_given_up_after_a_few_looks_and_taken_back_when_it_answers() {
    let fleet = Fleet::with(Redis::start().await).await;
    let (one, _two) = fleet.two().await;
    one.share("k", "v", &[]).await;
    let two = fleet.host(hasty()).await;
    two.ready().await;
    for round in 0..runs(2, 50) {
        fleet.store.freeze();
        goes_on_alone(&two, round).await;
        fleet.store.thaw();
        until(async || !is_away(&two)).await;
        let key = format!("back-{round}");
        one.share(&key, "v", &[]).await;
        until(async || two.get(&key).await.is_some()).await;
    }
    assert_eq!(two.get("k").await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_dies_is_reached_again_when_it_is_there_again() {
    let mut fleet = Fleet::with(Redis::start().await).await;
    let (one, two) = (fleet.host(hasty()).await, fleet.host(hasty()).await);
    one.ready().await;
    two.ready().await;
    for round in 0..runs(2, 50) {
        fleet.store.kill();
        goes_on_alone(&one, round).await;
        goes_on_alone(&two, round).await;
        fleet.store.resume().await;
        until(async || !is_away(&one) && !is_away(&two)).await;
        // What it held is lost, and computed anew.
        let key = format!("back-{round}");
        until(async || {
            let set = async |host: &Host| {
                let mut call = host.call();
                call.set(&key, b"v", shared(&[])).await.unwrap();
            };
            set(&one).await;
            two.get(&key).await.is_some()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_starts_without_its_redis_and_finds_it_later() {
    let mut fleet = Fleet::with(Redis::start().await).await;
    fleet.store.kill();
    let one = fleet.host(hasty()).await;
    one.compute("k", "v", &[]).await;
    assert_eq!(one.get("k").await.unwrap(), "v");
    until(async || {
        let _ = one.get("nothing").await;
        is_away(&one)
    })
    .await;
    fleet.store.resume().await;
    until(async || !is_away(&one)).await;
    let two = fleet.host(patient()).await;
    until(async || {
        let mut call = one.call();
        call.set("later", b"v", shared(&[])).await.unwrap();
        two.get("later").await.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_room_to_wait_in_is_dropped_and_counted() {
    let fleet = Fleet::with(Redis::start().await).await;
    let config = Config {
        shared_waiting_max: 8,
        ..patient()
    };
    let one = fleet.host(config).await;
    one.settle().await;
    fleet.store.freeze();
    let dropped = || one.count("hearth_cache_shared_writes_total", "dropped");
    let before = dropped();
    for number in 0..100 {
        let (mut call, key) = (one.call(), format!("k{number}"));
        call.set(&key, b"v", shared(&[])).await.unwrap();
    }
    // One under way and one that waits in each of the eight lanes.
    assert!(dropped() - before >= 100 - 16, "{}", dropped() - before);
    fleet.store.thaw();
    for number in 0..100 {
        assert_eq!(one.get(&format!("k{number}")).await.unwrap(), "v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_wait_are_bounded() {
    let fleet = Fleet::with(Redis::start().await).await;
    let config = Config {
        shared_waiting_bytes_max: 1 << 20,
        customer_percent_max: 100,
        ..patient()
    };
    let one = fleet.host(config).await;
    one.settle().await;
    fleet.store.freeze();
    let dropped = || one.count("hearth_cache_shared_writes_total", "dropped");
    let before = dropped();
    for number in 0..20 {
        let (mut call, key) = (one.call(), format!("k{number}"));
        let value = vec![0; 300 << 10];
        call.set(&key, &value, shared(&[])).await.unwrap();
    }
    assert_eq!(dropped() - before, 17, "three of them are within 1 MiB");
    fleet.store.thaw();
}
