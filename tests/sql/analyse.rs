//! Statistics that the host makes before Postgres would.

use std::sync::Arc;

use super::fixture::{Caller, Fixture, Package, migration};
use crate::harness::postgres::until;

const NOTE: &str =
    "CREATE TABLE note (customer_id text, id bigint, body text, PRIMARY KEY (customer_id, id))";
const FILL: &str = "INSERT INTO note (customer_id, id, body)
    SELECT 'c' || n % 7, n, 'body ' || n FROM generate_series(1, 500) AS n";

/// How many rows Postgres believes that a table has; -1 where it was never analysed.
async fn believed(fixture: &Fixture, table: &str) -> i64 {
    let superuser = fixture.cluster.connect(None).await;
    let text = "SELECT reltuples::bigint FROM pg_class WHERE oid = $1::text::regclass";
    superuser.query_one(text, &[&table]).await.unwrap().get(0)
}

async fn quiet(fixture: &Fixture) {
    let superuser = fixture.cluster.connect(None).await;
    for text in [
        "ALTER SYSTEM SET autovacuum = off",
        "SELECT pg_reload_conf()",
    ] {
        superuser.batch_execute(text).await.unwrap();
    }
}

/// Writes rows past the host, and makes Postgres count them at once.
async fn fill(fixture: &Fixture, text: &str) {
    let superuser = fixture.cluster.connect(None).await;
    for text in [text, "SELECT pg_stat_force_next_flush()"] {
        superuser.batch_execute(text).await.unwrap();
    }
}

async fn look(fixture: &Fixture) {
    let plugins = ["absent", "notes"].map(Arc::from);
    fixture.client.analyse_grown(&plugins).await.unwrap();
}

#[tokio::test]
async fn what_a_migration_filled_is_analysed_and_what_is_empty_is_left() {
    let fixture = Fixture::start().await;
    quiet(&fixture).await;
    let mut package = Package::migrations(&[NOTE, FILL]);
    let empty = "CREATE TABLE empty (customer_id text PRIMARY KEY)";
    package.migrations.push(migration(3, empty));
    fixture.lend(package).await;
    assert_eq!(believed(&fixture, "plugin_notes.note").await, 500);
    assert_eq!(believed(&fixture, "plugin_notes.empty").await, -1);
}

#[tokio::test]
async fn table_that_grew_from_nothing_is_analysed_once() {
    let fixture = Fixture::start().await;
    quiet(&fixture).await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(0, "x").await.unwrap();
    look(&fixture).await;
    assert_eq!(believed(&fixture, "plugin_notes.note").await, -1, "one row");
    let rows = "INSERT INTO plugin_notes.note (customer_id, id, body)
        SELECT 'acme', n, 'x' FROM generate_series(1, 1499) AS n";
    fill(&fixture, rows).await;
    until(async || {
        look(&fixture).await;
        believed(&fixture, "plugin_notes.note").await >= 0
    })
    .await;
    assert_eq!(believed(&fixture, "plugin_notes.note").await, 1500);
    assert_eq!(believed(&fixture, "plugin_notes.remark").await, -1);
    fill(&fixture, &rows.replace("1, 1499", "2000, 9000")).await;
    look(&fixture).await;
    let left = believed(&fixture, "plugin_notes.note").await;
    assert_eq!(left, 1500, "autovacuum looks after it");
}

#[tokio::test]
async fn tables_of_the_host_that_grew_from_nothing_are_analysed_too() {
    let fixture = Fixture::start().await;
    quiet(&fixture).await;
    let rows = "INSERT INTO hearth.rate_buckets (customer_id, full_at, asked)
        SELECT n, now(), 0 FROM generate_series(1, 1500) AS n";
    fill(&fixture, rows).await;
    until(async || {
        look(&fixture).await;
        believed(&fixture, "hearth.rate_buckets").await == 1500
    })
    .await;
    assert_eq!(believed(&fixture, "hearth.rate_hosts").await, -1);
}
