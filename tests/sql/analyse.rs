//! Statistics that the host makes before Postgres would.

use super::fixture::{Caller, Fixture, Package, migration};
use crate::harness::postgres::until;

const NOTE: &str =
    "CREATE TABLE note (customer_id text, id bigint, body text, PRIMARY KEY (customer_id, id))";
const FILL: &str = "INSERT INTO note (customer_id, id, body)
    SELECT 'c' || n % 7, n, 'body ' || n FROM generate_series(1, 500) AS n";

/// How many rows Postgres believes that each table has; -1 where it was never analysed.
async fn believed(fixture: &Fixture) -> Vec<(String, i64)> {
    let superuser = fixture.cluster.connect(None).await;
    let text = "SELECT relname::text, reltuples::bigint FROM pg_class
        WHERE relnamespace = 'plugin_notes'::regnamespace AND relkind = 'r' ORDER BY 1";
    let rows = superuser.query(text, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn is(table: &str, rows: i64) -> (String, i64) {
    (table.to_owned(), rows)
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

#[tokio::test]
async fn what_a_migration_filled_is_analysed_and_what_is_empty_is_left() {
    let fixture = Fixture::start().await;
    quiet(&fixture).await;
    let mut package = Package::migrations(&[NOTE, FILL]);
    let empty = "CREATE TABLE empty (customer_id text PRIMARY KEY)";
    package.migrations.push(migration(3, empty));
    fixture.lend(package).await;
    let wanted = [is("empty", -1), is("note", 500)];
    assert_eq!(believed(&fixture).await, wanted);
}

#[tokio::test]
async fn table_that_grew_from_nothing_is_analysed_once() {
    let fixture = Fixture::start().await;
    quiet(&fixture).await;
    let lent = fixture.notes().await;
    let look = async || fixture.client.analyse_grown("notes").await.unwrap();
    Caller::of(&lent, "acme").insert(0, "x").await.unwrap();
    look().await;
    let unknown = [is("note", -1), is("remark", -1)];
    assert_eq!(believed(&fixture).await, unknown, "it has one row");
    let superuser = fixture.cluster.connect(None).await;
    let fill = "INSERT INTO plugin_notes.note (customer_id, id, body)
        SELECT 'acme', n, 'x' FROM generate_series(1, 1499) AS n";
    superuser.batch_execute(fill).await.unwrap();
    superuser
        .batch_execute("SELECT pg_stat_force_next_flush()")
        .await
        .unwrap();
    until(async || {
        look().await;
        believed(&fixture).await[0].1 >= 0
    })
    .await;
    assert_eq!(
        believed(&fixture).await,
        [is("note", 1500), is("remark", -1)]
    );
    let again = fill.replace("1, 1499", "2000, 9000");
    superuser.batch_execute(&again).await.unwrap();
    look().await;
    assert_eq!(
        believed(&fixture).await[0].1,
        1500,
        "autovacuum looks after it"
    );
}
