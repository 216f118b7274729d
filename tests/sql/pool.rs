//! Who gets a connection, and what becomes of connections.

use std::sync::Arc;
use std::time::Duration;

use hearth::backend::postgres::Config as PostgresConfig;
use hearth::capability::sql::{Config, GuestError, Isolation, Value};

use super::fixture::{ALL, COUNT, Caller, Fixture, INSERT, Package, execute, note};
use crate::harness::postgres::until;

#[tokio::test]
async fn taken_pool_answers_unavailable_after_the_wait() {
    let postgres = PostgresConfig {
        plugin_connections_max: 1,
        wait_ms_max: 50,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let lent = fixture.notes().await;
    let mut holder = Caller::of(&lent, "acme");
    let held = holder.begin(Isolation::ReadCommitted).await.unwrap();
    let waited = Caller::of(&lent, "bolt").query(ALL, vec![]).await;
    assert!(matches!(waited, Err(GuestError::Unavailable)), "{waited:?}");
    holder.commit(held).await.unwrap();
    assert!(Caller::of(&lent, "bolt").query(ALL, vec![]).await.is_ok());
}

#[tokio::test]
async fn one_customer_may_use_all_and_keeps_no_other_waiting() {
    let postgres = PostgresConfig {
        plugin_connections_max: 2,
        wait_ms_max: 60_000,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let lent = fixture.notes().await;
    let (mut first, mut second) = (Caller::of(&lent, "greedy"), Caller::of(&lent, "greedy"));
    let held = first.begin(Isolation::ReadCommitted).await.unwrap();
    let _other = second.begin(Isolation::ReadCommitted).await.unwrap();
    let third = {
        let mut third = Caller::of(&lent, "greedy");
        tokio::spawn(async move {
            let held = third.begin(Isolation::ReadCommitted).await.unwrap();
            third.commit(held).await
        })
    };
    until(async || lent.pool().unwrap().waiting == 1).await;
    let (done, told) = tokio::sync::oneshot::channel::<()>();
    let modest = {
        let mut modest = Caller::of(&lent, "modest");
        tokio::spawn(async move {
            let held = modest.begin(Isolation::ReadCommitted).await.unwrap();
            told.await.unwrap();
            modest.commit(held).await
        })
    };
    until(async || lent.pool().unwrap().waiting == 2).await;
    first.commit(held).await.unwrap();
    // The one who came later goes first, and the greedy one after it.
    until(async || lent.pool().unwrap().waiting == 1).await;
    assert!(!third.is_finished());
    done.send(()).unwrap();
    modest.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
}

#[tokio::test]
async fn statements_of_a_retired_deployment_are_evicted() {
    let postgres = PostgresConfig {
        plugin_connections_max: 1,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let old = fixture.notes().await;
    let new = fixture
        .lend(Package {
            number: 2,
            ..Package::notes()
        })
        .await;
    for lent in [&old, &new] {
        Caller::of(lent, "acme").query(ALL, vec![]).await.unwrap();
        Caller::of(lent, "acme").query(COUNT, vec![]).await.unwrap();
    }
    assert_eq!(
        (new.pool().unwrap().open, new.pool().unwrap().prepared),
        (1, 4)
    );
    old.retire();
    assert_eq!(new.pool().unwrap().prepared, 2);
    // What it still does leaves nothing behind either.
    let mut last = Caller::of(&old, "acme");
    let held = last.begin(Isolation::ReadCommitted).await.unwrap();
    last.query_in(&held, ALL, vec![]).await.unwrap();
    last.commit(held).await.unwrap();
    assert_eq!(new.pool().unwrap().prepared, 2);
}

#[tokio::test]
async fn idle_connections_of_a_resting_plugin_make_room_for_another() {
    let postgres = PostgresConfig {
        connections_max: 6,
        host_connections_max: 4,
        plugin_connections_max: 2,
        wait_ms_max: 60_000,
        connect_ms_max: 60_000,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let resting = fixture.notes().await;
    let other = fixture
        .lend(Package {
            plugin: "others",
            ..Package::notes()
        })
        .await;
    let hold_two = async |lent: &Arc<_>| {
        let (mut one, mut two) = (Caller::of(lent, "acme"), Caller::of(lent, "bolt"));
        let first = one.begin(Isolation::ReadCommitted).await.unwrap();
        let second = two.begin(Isolation::ReadCommitted).await.unwrap();
        one.commit(first).await.unwrap();
        two.commit(second).await.unwrap();
    };
    for _ in 0..3 {
        hold_two(&resting).await;
        hold_two(&other).await;
    }
    assert!(resting.pool().unwrap().open + other.pool().unwrap().open <= 2);
}

/// Every row that was acknowledged is there exactly once, every one that was
/// refused is not, and nobody ever saw another customer's.
#[tokio::test]
async fn restarts_of_postgres_under_load_lose_and_mix_nothing() {
    let mut fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let workers: Vec<_> = (0..8)
        .map(|worker| tokio::spawn(work(lent.clone(), worker)))
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        unsafe { libc::kill(fixture.cluster.postmaster(), libc::SIGKILL) };
        fixture.cluster.pause().await;
        fixture.cluster.resume().await;
    }
    STOP.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut acknowledged = 0;
    for (worker, done) in workers.into_iter().enumerate() {
        let (sure, maybe) = done.await.unwrap();
        let mut caller = Caller::of(&lent, &format!("customer-{worker}"));
        until(async || caller.query(COUNT, vec![]).await.is_ok()).await;
        let found: Vec<i64> = caller
            .query(ALL, vec![])
            .await
            .unwrap()
            .rows
            .iter()
            .map(|row| id(&row[0]))
            .collect();
        assert!(
            sure.iter().all(|id| found.contains(id)),
            "an acknowledged row is lost"
        );
        assert!(
            found
                .iter()
                .all(|id| sure.contains(id) || maybe.contains(id)),
            "a refused row is there"
        );
        acknowledged += sure.len();
    }
    assert!(acknowledged > 0);
    assert!(lent.pool().unwrap().open <= 8);
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn id(value: &Value) -> i64 {
    match value {
        Value::Int64(id) => *id,
        other => panic!("{other:?}"),
    }
}

/// Inserts until told to stop, each in one of three ways. Answers the rows that
/// were acknowledged and those of unknown outcome.
async fn work(lent: Arc<hearth::capability::sql::Lent>, worker: usize) -> (Vec<i64>, Vec<i64>) {
    let customer = format!("customer-{worker}");
    let (mut sure, mut maybe) = (Vec::new(), Vec::new());
    for id in 0.. {
        if STOP.load(std::sync::atomic::Ordering::SeqCst) {
            break;
        }
        let mut caller = Caller::of(&lent, &customer);
        let body = customer.as_str();
        let result = match id % 3 {
            0 => caller.insert(id, body).await.map(drop),
            1 => caller
                .batch(vec![execute(INSERT, note(id, body))])
                .await
                .map(drop),
            _ => in_transaction(&mut caller, id, body).await,
        };
        match result {
            Ok(()) => sure.push(id),
            Err(GuestError::OutcomeUnknown) => maybe.push(id),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
        if let Ok(rows) = caller.query(ALL, vec![]).await {
            assert!(
                rows.rows
                    .iter()
                    .all(|row| super::fixture::text_of(&row[1]) == customer)
            );
        }
    }
    (sure, maybe)
}

async fn in_transaction(caller: &mut Caller, id: i64, body: &str) -> Result<(), GuestError> {
    let held = caller.begin(Isolation::ReadCommitted).await?;
    caller.execute_in(&held, INSERT, note(id, body)).await?;
    caller.commit(held).await
}
