//! What happens to a statement whose call ended.

use std::time::Duration;

use hearth::backend::postgres::Config as PostgresConfig;
use hearth::capability::sql::{Config, GuestError, Isolation};

use super::fixture::{BUSY, Caller, Fixture, INSERT, long, note};
use crate::harness::postgres::{Cluster, until};

async fn busy(cluster: &Cluster) -> bool {
    let admin = cluster.connect(None).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%AS n FROM generate_series(1, 100000)%' \
                 AND pid <> pg_backend_pid()";
    admin.query_one(count, &[]).await.unwrap().get::<_, i64>(0) > 0
}

fn one_connection() -> PostgresConfig {
    PostgresConfig {
        plugin_connections_max: 1,
        ..PostgresConfig::default()
    }
}

#[tokio::test]
async fn connection_returns_clean_after_a_deadline_while_postgres_works() {
    let fixture = Fixture::start_with(one_connection(), Config::default()).await;
    let lent = fixture.notes().await;
    let mut before = Caller::of(&lent, "acme");
    before.insert(1, "one").await.unwrap();
    let mut late = Caller::new(&lent, Some("bolt"), Duration::from_millis(200));
    let result = late.query(BUSY, long()).await;
    assert!(
        matches!(result, Err(GuestError::DeadlineExceeded)),
        "{result:?}"
    );
    assert_eq!(before.bodies().await, ["one"]);
    assert!(!busy(&fixture.cluster).await);
    assert_eq!(lent.pool().unwrap().open, 1);
}

#[tokio::test]
async fn call_whose_client_left_ends_in_postgres() {
    let fixture = Fixture::start_with(one_connection(), Config::default()).await;
    let lent = fixture.notes().await;
    let (mut acme, mut gone) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    let call = tokio::spawn(async move { gone.query(BUSY, long()).await });
    until(async || busy(&fixture.cluster).await).await;
    call.abort();
    acme.insert(1, "one").await.unwrap();
    assert!(!busy(&fixture.cluster).await);
}

#[tokio::test]
async fn transaction_past_its_deadline_is_rolled_back_and_its_connection_returns() {
    let fixture = Fixture::start_with(one_connection(), Config::default()).await;
    let lent = fixture.notes().await;
    let mut late = Caller::new(&lent, Some("acme"), Duration::from_millis(300));
    let transaction = late.begin(Isolation::ReadCommitted).await.unwrap();
    late.execute_in(&transaction, INSERT, note(1, "late"))
        .await
        .unwrap();
    let result = late.query_in(&transaction, BUSY, long()).await;
    assert!(
        matches!(result, Err(GuestError::DeadlineExceeded)),
        "{result:?}"
    );
    assert!(late.commit(transaction).await.is_err());
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
    assert_eq!(lent.pool().unwrap().open, 1);
}

#[tokio::test]
async fn call_past_its_deadline_sends_nothing() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut late = Caller::new(&lent, Some("acme"), Duration::ZERO);
    assert!(matches!(
        late.insert(1, "late").await,
        Err(GuestError::DeadlineExceeded)
    ));
    assert!(matches!(
        late.begin(Isolation::ReadCommitted).await,
        Err(GuestError::DeadlineExceeded)
    ));
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
}

#[tokio::test]
async fn statement_past_its_own_limit_is_told_as_a_deadline() {
    let postgres = PostgresConfig {
        statement_ms_max: 100,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let lent = fixture.notes().await;
    let result = Caller::of(&lent, "acme").query(BUSY, long()).await;
    assert!(
        matches!(result, Err(GuestError::DeadlineExceeded)),
        "{result:?}"
    );
}

#[tokio::test]
async fn storm_of_cancelled_calls_harms_no_neighbour_and_fills_no_pool() {
    let postgres = PostgresConfig {
        wait_ms_max: 30_000,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
    let storm = (0..100).map(|_| {
        let mut late = Caller::new(&lent, Some("bolt"), Duration::from_millis(500));
        tokio::spawn(async move { late.query(BUSY, long()).await })
    });
    let storm: Vec<_> = storm.collect();
    for _ in 0..20 {
        assert_eq!(Caller::of(&lent, "acme").bodies().await, ["one"]);
    }
    for call in storm {
        assert!(matches!(
            call.await.unwrap(),
            Err(GuestError::DeadlineExceeded)
        ));
    }
    until(async || lent.pool().unwrap().idle == lent.pool().unwrap().open).await;
    assert!(!busy(&fixture.cluster).await);
    let all = (0..8).map(|_| {
        let mut acme = Caller::of(&lent, "acme");
        tokio::spawn(async move { acme.bodies().await })
    });
    for bodies in all.collect::<Vec<_>>() {
        assert_eq!(bodies.await.unwrap(), ["one"]);
    }
}
