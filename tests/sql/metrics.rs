//! What `/metrics` says of statements and of the pools.

use std::sync::Arc;
use std::time::Duration;

use hearth::backend::postgres::Config as PostgresConfig;
use hearth::capability::sql::statement::{AccessMode, Declared, Type};
use hearth::capability::sql::{Config, GuestError, Isolation, Lent};

use super::fixture::{
    ALL, BUSY, Caller, Fixture, INSERT, Package, REMARK, execute, long, note, query, statement,
};
use crate::harness::postgres::until;

const DURATION: &str = "hearth_db_client_operation_duration_seconds";

fn named(name: &str, declared: Declared) -> Declared {
    Declared {
        name: name.into(),
        ..declared
    }
}

fn package() -> Package {
    use AccessMode::{Read, Write};
    use Type::{Int4, Int8, Text};
    let all = statement(ALL, &[], &[("id", Int8), ("body", Text)], Read);
    let busy = statement(BUSY, &[Int4], &[("n", Int8)], Read);
    Package {
        declared: vec![
            named("all", all),
            named("insert", statement(INSERT, &[Int8, Text], &[], Write)),
            named("remark", statement(REMARK, &[Int8, Int8], &[], Write)),
            named("busy", busy),
        ],
        ..Package::notes()
    }
}

/// How often a statement of `notes` had that outcome.
fn count(fixture: &Fixture, statement: &str, operation: &str, outcome: &str) -> u64 {
    let labels = format!(
        "plugin=\"notes\",statement=\"{statement}\",operation=\"{operation}\",outcome=\"{outcome}\""
    );
    value(fixture, &format!("{DURATION}_count{{{labels}}}")) as u64
}

/// A series' value, 0 where it is not there.
fn value(fixture: &Fixture, series: &str) -> f64 {
    let page = fixture.metrics.render();
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn each_statement_is_counted_by_its_name_what_it_was_called_with_and_its_outcome() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    acme.query(ALL, vec![]).await.unwrap();
    acme.insert(1, "one").await.unwrap();
    acme.insert(1, "one").await.unwrap_err();
    acme.insert(2, "").await.unwrap_err();
    let batch = vec![execute(INSERT, note(3, "x")), query(ALL, vec![])];
    acme.batch(batch).await.unwrap();
    let held = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&held, INSERT, note(4, "x")).await.unwrap();
    acme.query_in(&held, ALL, vec![]).await.unwrap();
    acme.commit(held).await.unwrap();
    for (statement, operation, outcome, expected) in [
        ("all", "query", "ok", 1),
        ("insert", "execute", "ok", 1),
        ("insert", "execute", "unique_violation", 1),
        ("insert", "execute", "check_violation", 1),
        ("insert", "batch", "ok", 1),
        ("all", "batch", "ok", 1),
        ("insert", "transaction", "ok", 1),
        ("all", "transaction", "ok", 1),
        ("remark", "execute", "ok", 0),
    ] {
        let counted = count(&fixture, statement, operation, outcome);
        assert_eq!(counted, expected, "{statement} {operation} {outcome}");
    }
    assert!(!fixture.metrics.render().contains("SELECT"));
}

#[tokio::test]
async fn statement_of_a_batch_that_fails_is_counted_and_those_behind_it_are_not() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    let remark = note(1, "x")[..1].iter().cloned().cycle().take(2).collect();
    let batch = vec![
        execute(INSERT, note(2, "two")),
        execute(REMARK, remark),
        execute(INSERT, note(3, "three")),
    ];
    acme.batch(batch).await.unwrap_err();
    assert_eq!(count(&fixture, "insert", "batch", "ok"), 1);
    let broken = count(&fixture, "remark", "batch", "foreign_key_violation");
    assert_eq!(broken, 1);
    assert_eq!(count(&fixture, "insert", "batch", "invalid"), 0);
}

#[tokio::test]
async fn statement_that_its_call_ends_is_counted_whoever_ended_it() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut hasty = Caller::new(&lent, Some("acme"), Duration::from_millis(200));
    hasty.query(BUSY, long()).await.unwrap_err();
    assert_eq!(count(&fixture, "busy", "query", "deadline_exceeded"), 1);
    until(async || value(&fixture, &connections("used")) == 0.0).await;
    let gone = {
        let mut caller = Caller::of(&lent, "acme");
        tokio::spawn(async move { caller.query(BUSY, long()).await })
    };
    let watcher = fixture.cluster.connect(None).await;
    let running = "SELECT FROM pg_stat_activity
                   WHERE state = 'active' AND query LIKE '%generate_series(1, 100000)%'
                     AND pid <> pg_backend_pid()";
    until(async || !watcher.query(running, &[]).await.unwrap().is_empty()).await;
    gone.abort();
    until(async || count(&fixture, "busy", "query", "cancelled") == 1).await;
}

fn connections(state: &str) -> String {
    let labels = format!("pool=\"plugin\",plugin=\"notes\",state=\"{state}\"");
    format!("hearth_db_client_connection_count{{{labels}}}")
}

fn of_pool(name: &str) -> String {
    format!("hearth_db_client_connection_{name}{{pool=\"plugin\",plugin=\"notes\"}}")
}

#[tokio::test]
async fn pool_shows_who_uses_and_who_waits_and_a_statement_that_got_no_connection_its_wait() {
    let postgres = PostgresConfig {
        plugin_connections_max: 1,
        wait_ms_max: 200,
        ..PostgresConfig::default()
    };
    let fixture = Fixture::start_with(postgres, Config::default()).await;
    let lent = fixture.lend(package()).await;
    let mut holder = Caller::of(&lent, "acme");
    let held = holder.begin(Isolation::ReadCommitted).await.unwrap();
    assert_eq!(value(&fixture, &connections("used")), 1.0);
    assert_eq!(value(&fixture, &of_pool("max")), 1.0);
    let waited = Caller::of(&lent, "bolt").query(ALL, vec![]).await;
    assert!(matches!(waited, Err(GuestError::Unavailable)), "{waited:?}");
    assert_eq!(count(&fixture, "all", "query", "no_connection"), 1);
    assert_eq!(value(&fixture, &of_pool("timeouts_total")), 1.0);
    let wait = "hearth_db_client_operation_wait_seconds_total{plugin=\"notes\",statement=\"all\"}";
    assert!(value(&fixture, wait) > 0.0);
    let waiter = waiting(&lent);
    until(async || value(&fixture, &of_pool("pending_requests")) == 1.0).await;
    waiter.abort();
    holder.commit(held).await.unwrap();
    assert_eq!(value(&fixture, &connections("used")), 0.0);
    assert_eq!(value(&fixture, &connections("idle")), 1.0);
    assert!(value(&fixture, &of_pool("wait_time_seconds_count")) >= 1.0);
    let host = "hearth_db_client_connection_max{pool=\"host\"}";
    assert_eq!(value(&fixture, host), 4.0);
}

/// One that asks again until it is ended.
fn waiting(lent: &Arc<Lent>) -> tokio::task::JoinHandle<()> {
    let mut caller = Caller::of(lent, "bolt");
    tokio::spawn(async move {
        loop {
            let _ = caller.query(ALL, vec![]).await;
        }
    })
}

#[tokio::test]
async fn series_stay_through_a_swap_and_go_with_the_plugin() {
    let fixture = Fixture::start().await;
    let old = fixture.lend(package()).await;
    Caller::of(&old, "acme").query(ALL, vec![]).await.unwrap();
    let second = Package {
        number: 2,
        ..package()
    };
    let new = fixture.lend(second).await;
    drop(old);
    Caller::of(&new, "acme").query(ALL, vec![]).await.unwrap();
    assert_eq!(count(&fixture, "all", "query", "ok"), 2);
    drop(new);
    until(async || !fixture.metrics.render().contains("plugin=\"notes\"")).await;
}
