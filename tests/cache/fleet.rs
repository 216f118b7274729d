//! Two hosts on one Postgres: what one declares stale, the other forgets.

use hearth::capability::cache::{Client, Config, Host};
use hearth::telemetry::{HostMetrics, Metrics};

use super::{borrow, hour};
use crate::harness::postgres::{Cluster, until};

/// A host's cache that follows the fleet.
async fn follow(cluster: &Cluster, config: Config) -> Client {
    let metrics = HostMetrics::new(&Metrics::new(&hearth::telemetry::Config::default()));
    let client = Client::open(&config, &metrics);
    tokio::spawn(client.clone().follow_fleet(cluster.server().await));
    client
}

async fn holds(client: &Client, key: &str) -> bool {
    borrow(client, "tickets", "acme").get(key).await.is_some()
}

/// Sets until it holds: a host that begins to listen drops what it had.
async fn settle(client: &Client, key: &str, tags: &[&str]) {
    until(async || {
        let mut call = borrow(client, "tickets", "acme");
        call.set(key, b"v", hour(tags)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        holds(client, key).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_declares_stale_every_host_forgets() {
    let cluster = Cluster::start().await;
    let (one, two) = (
        follow(&cluster, Config::default()).await,
        follow(&cluster, Config::default()).await,
    );
    for client in [&one, &two] {
        settle(client, "tagged", &["t"]).await;
        settle(client, "deleted", &[]).await;
        settle(client, "kept", &["u"]).await;
    }
    let mut call = borrow(&one, "tickets", "acme");
    call.invalidate("t").await;
    call.view().delete("deleted".into()).await.unwrap();

    assert!(!holds(&one, "tagged").await, "here at once");
    until(async || !holds(&two, "tagged").await && !holds(&two, "deleted").await).await;
    assert!(holds(&one, "kept").await && holds(&two, "kept").await);
    // Its own invalidation does not come back to a host through the log.
    let mut call = borrow(&one, "tickets", "acme");
    call.set("tagged", b"new", hour(&["t"])).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(holds(&one, "tagged").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_cannot_listen_serves_nothing_and_catches_up_when_it_can() {
    let mut cluster = Cluster::start().await;
    let config = Config {
        fleet_away_ms_max: 1_000,
        ..Config::default()
    };
    let (one, two) = (
        follow(&cluster, config.clone()).await,
        follow(&cluster, config).await,
    );
    for client in [&one, &two] {
        settle(client, "tagged", &["t"]).await;
        settle(client, "kept", &[]).await;
    }
    cluster.pause().await;
    until(async || !holds(&one, "kept").await && !holds(&two, "kept").await).await;
    // Nobody can be told now; it is told later.
    borrow(&one, "tickets", "acme").invalidate("t").await;
    cluster.resume().await;
    until(async || holds(&one, "kept").await && holds(&two, "kept").await).await;
    until(async || !holds(&two, "tagged").await).await;
    assert!(!holds(&one, "tagged").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_wait_to_be_told_takes_all_of_the_plugin_on_other_hosts() {
    let cluster = Cluster::start().await;
    let config = Config {
        fleet_waiting_max: 10,
        ..Config::default()
    };
    let (one, two) = (
        follow(&cluster, config.clone()).await,
        follow(&cluster, config).await,
    );
    settle(&two, "untagged", &[]).await;
    settle(&one, "untagged", &[]).await;
    // More than fits between two tellings, so at least one is of everything.
    for number in 0..1_000 {
        let mut call = borrow(&one, "tickets", "acme");
        call.invalidate(&format!("t{number}")).await;
    }
    until(async || !holds(&two, "untagged").await).await;
    assert!(holds(&one, "untagged").await);
}
