//! Two hosts on one Postgres: what one declares stale, the other forgets.

use std::time::Duration;

use hearth::backend::postgres::invalidations::{
    EVERY_PLUGIN, Invalidation, InvalidationLog, LogNews, Lost, Read, Stale,
};
use hearth::capability::cache::{Client, Config, Host};
use hearth::telemetry::{HostMetrics, Metrics};

use super::{borrow, hour};
use crate::harness::host::runs;
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
        tokio::time::sleep(Duration::from_millis(600)).await;
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
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(holds(&one, "tagged").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_cannot_listen_serves_nothing_and_catches_up_when_it_can() {
    let mut cluster = Cluster::start().await;
    let config = Config {
        fleet_stale_ms_max: 1_000,
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

fn tag(name: &str) -> Vec<Invalidation> {
    vec![Invalidation {
        plugin: "tickets".into(),
        customer: Some("acme".into()),
        what: Stale::Tag(name.into()),
    }]
}

/// The names that a read found, and whether it begins anew.
fn names(read: &Read) -> (Vec<&str>, bool) {
    let (told, begun) = match &read.found {
        LogNews::New(told) => (told, false),
        LogNews::Begun { told, .. } => (told, true),
    };
    (
        told.iter().map(|told| name(&told.stale.what)).collect(),
        begun,
    )
}

fn name(what: &Stale) -> &str {
    match what {
        Stale::Tag(name) => name,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reader_finds_each_row_once_and_one_that_missed_what_was_swept_begins_anew() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let (writer, mut reader) = (
        InvalidationLog::new(server.clone(), 4),
        InvalidationLog::new(server.clone(), 4),
    );
    writer.append(&tag("before")).await.unwrap();
    let read = reader.read().await.unwrap();
    assert_eq!(names(&read), (vec!["before"], true));
    let first = writer.append(&tag("a")).await.unwrap();
    assert_eq!(first, read.position.tick + 1);
    writer.append(&tag("b")).await.unwrap();
    let read = reader.read().await.unwrap();
    assert_eq!(names(&read), (vec!["a", "b"], false));
    assert_eq!(read.position.tick, first + 1);
    let read = reader.read().await.unwrap();
    assert_eq!(names(&read), (vec![], false));
    // What was read may be swept; what was not is missed.
    writer.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(names(&reader.read().await.unwrap()), (vec![], false));
    writer.append(&tag("missed")).await.unwrap();
    writer.sweep(Duration::ZERO).await.unwrap();
    writer.append(&tag("kept")).await.unwrap();
    let read = reader.read().await.unwrap();
    assert_eq!(names(&read), (vec!["kept"], true));
    let LogNews::Begun {
        lost: Lost::Swept(lost),
        ..
    } = &read.found
    else {
        panic!("{read:?}");
    };
    assert_eq!(lost["tickets"], read.position.tick - 1);
    // More than a read may find, and nothing of before is known.
    for name in ["a", "b", "c", "d"] {
        writer.append(&tag(name)).await.unwrap();
    }
    let read = reader.read().await.unwrap();
    assert!(matches!(&read.found, LogNews::Begun { told, lost: Lost::All } if told.is_empty()));
    assert_eq!(names(&reader.read().await.unwrap()), (vec![], false));
}

#[tokio::test]
async fn rows_of_appends_at_once_become_visible_in_the_order_of_their_ticks() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let append = |number: usize| {
        let log = InvalidationLog::new(server.clone(), 10_000);
        async move {
            for round in 0..runs(25, 1_000) {
                log.append(&tag(&format!("{number}-{round}")))
                    .await
                    .unwrap();
            }
        }
    };
    let writers: Vec<_> = (0..4).map(|number| tokio::spawn(append(number))).collect();
    let mut reader = InvalidationLog::new(server.clone(), 100_000);
    let (mut found, mut last) = (0, 0);
    while found < 4 * runs(25, 1_000) {
        let read = reader.read().await.unwrap();
        let (LogNews::New(told) | LogNews::Begun { told, .. }) = &read.found;
        for told in told {
            assert!(told.tick > last, "{} after {last}", told.tick);
            last = told.tick;
        }
        // Whoever sees the clock sees all that was told up to it.
        assert_eq!(read.position.tick, last);
        found += told.len();
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_of_a_tier_that_is_not_committed_holds_up_no_telling() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let mut operator = cluster.connect(None).await;
    let made = "INSERT INTO hearth.customers (id, name, tier) VALUES ('cus_a', 'a', 'free')";
    operator.batch_execute(made).await.unwrap();
    let (writer, mut reader) = (
        InvalidationLog::new(server.clone(), 100),
        InvalidationLog::new(server, 100),
    );
    reader.read().await.unwrap();
    let change = operator.transaction().await.unwrap();
    let premium = "UPDATE hearth.customers SET tier = 'premium' WHERE id = 'cus_a'";
    change.batch_execute(premium).await.unwrap();
    writer.append(&tag("meanwhile")).await.unwrap();
    assert_eq!(
        names(&reader.read().await.unwrap()),
        (vec!["meanwhile"], false)
    );
    change.commit().await.unwrap();
    let read = reader.read().await.unwrap();
    let LogNews::New(told) = &read.found else {
        panic!("{read:?}");
    };
    let customer = Invalidation {
        plugin: EVERY_PLUGIN.into(),
        customer: Some("cus_a".into()),
        what: Stale::Tag("hearth:customer".into()),
    };
    assert_eq!(
        told.iter().map(|told| &told.stale).collect::<Vec<_>>(),
        [&customer]
    );
}
