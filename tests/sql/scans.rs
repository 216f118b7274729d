//! Which statements read all rows of a customer, as Postgres itself plans them: of the
//! machine's version, of 16 and of 18, for a host that is no superuser, and whether tables
//! are empty, have rows or have statistics.

use hearth::capability::sql::statement::{AccessMode, Declared, Type};
use hearth::plugin::package::Package as Packed;
use serde::Deserialize;

use super::fixture::{Fixture, Package, migration};
use crate::harness::host::plugin;
use crate::harness::postgres::Cluster;

const SCHEMA: &str =
    include_str!("../../host/runtime/src/capability/sql/scans/fixtures/schema.sql");
const CASES: &str =
    include_str!("../../host/runtime/src/capability/sql/scans/fixtures/postgres-15.json");

/// A statement, and the tables of which it reads all rows.
#[derive(Deserialize)]
struct Case {
    text: String,
    params: Vec<String>,
    tables: Vec<String>,
}

impl Case {
    fn declared(&self) -> Declared {
        let kind = |name: &String| Type::from_name(name).unwrap();
        Declared {
            name: "one".into(),
            text: self.text.clone(),
            params: self.params.iter().map(kind).collect(),
            columns: Vec::new(),
            access: AccessMode::Write,
        }
    }
}

fn tables() -> Package {
    Package {
        shared: vec!["country".into()],
        declared: Vec::new(),
        migrations: vec![migration(1, SCHEMA)],
        ..Package::notes()
    }
}

/// What is judged in another way than its case says. Of two tables that are joined whole
/// the one or the other may be looked up, or neither.
async fn wrong(fixture: &Fixture, cases: &[Case]) -> Vec<String> {
    let lending = fixture.client.begin_lending(tables().deployment()).await;
    let lending = lending.unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let found = lending.scans(&[case.declared()]).await.unwrap();
        let found: Vec<_> = found.into_iter().flat_map(|scan| scan.tables).collect();
        let missed = case.tables.iter().any(|table| !found.contains(table));
        if missed || found.is_empty() != case.tables.is_empty() {
            wrong.push(format!("{found:?}: {}", case.text));
        }
    }
    lending.commit().await.unwrap();
    wrong
}

/// Rows of three customers, of whom one has most of them.
const ROWS: &str = "
    SET search_path = plugin_notes;
    CREATE TEMPORARY TABLE made AS
    SELECT CASE WHEN n % 50 < 2 THEN 'c' || n % 50 ELSE 'anybody' END AS customer_id, n
    FROM generate_series(1, 5000) AS n;
    INSERT INTO note (customer_id, id, author, state, kind, at, amount, body)
    SELECT customer_id, n, 'a' || n % 100, CASE WHEN n % 9 = 0 THEN 'pending' ELSE 'done' END,
        'k' || n % 7, now() - n * interval '1 minute', n, 'body ' || n FROM made;
    INSERT INTO remark (customer_id, id, note, body) SELECT customer_id, n, n, 'x' FROM made;
    INSERT INTO counter (customer_id, value) SELECT DISTINCT customer_id, 1 FROM made;
    INSERT INTO country (code, name) SELECT n, n FROM made";

async fn judges_alike(cluster: Cluster) {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    let fixture = Fixture::start_on(cluster, Default::default(), Default::default()).await;
    let mut faults = wrong(&fixture, &cases).await;
    let superuser = fixture.cluster.connect(None).await;
    for state in [ROWS, "ANALYZE"] {
        superuser.batch_execute(state).await.unwrap();
        faults.extend(wrong(&fixture, &cases).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn verdict_is_the_same_without_rows_with_rows_and_with_statistics() {
    judges_alike(Cluster::start().await).await;
}

#[tokio::test]
async fn verdict_is_the_same_on_postgres_16() {
    judges_alike(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn verdict_is_the_same_on_postgres_18() {
    judges_alike(Cluster::of_version(18).await).await;
}

/// As on a managed server, where the host's role makes roles, owns its database and no more.
#[tokio::test]
async fn host_without_superuser_judges_as_well() {
    let cluster = Cluster::start().await;
    let admin = cluster.connect(None).await;
    for text in [
        "CREATE ROLE tenant LOGIN CREATEROLE",
        "CREATE DATABASE theirs OWNER tenant",
    ] {
        admin.batch_execute(text).await.unwrap();
    }
    let url = cluster.url().replace("hearth@", "tenant@");
    let url = url.replace("5432/hearth", "5432/theirs");
    let server = hearth::backend::postgres::Server::open(Default::default(), &url).await;
    let server = std::sync::Arc::new(server.unwrap());
    server.prepare_database().await.unwrap();
    let fixture = Fixture::of(cluster, server, Default::default());
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    assert_eq!(wrong(&fixture, &cases).await, Vec::<String>::new());
}

/// What a plugin that is shipped wants, on that server.
async fn wanted(fixture: &Fixture, name: &'static str) -> Vec<String> {
    let bytes = std::fs::read(plugin(name)).unwrap();
    let packed = Packed::read(bytes).unwrap();
    let migrations = packed.migrations.iter();
    let package = Package {
        plugin: name,
        declared: packed.statements.clone(),
        migrations: migrations
            .map(|one| migration(one.version, &one.sql))
            .collect(),
        ..Package::notes()
    };
    let lending = fixture.client.begin_lending(package.deployment()).await;
    let lending = lending.unwrap();
    let found = lending.scans(&packed.statements).await.unwrap();
    found
        .into_iter()
        .map(|scan| format!("{}\n{}", scan.text, scan.plan))
        .collect()
}

/// No plugin that is shipped wants it on this version.
async fn none_wants_approval(cluster: Cluster) {
    let fixture = Fixture::start_on(cluster, Default::default(), Default::default()).await;
    for name in ["tickets", "webhooks", "forecasting"] {
        let wanted = wanted(&fixture, name).await;
        assert!(wanted.is_empty(), "{name}: {}", wanted.join("\n"));
    }
}

#[tokio::test]
async fn no_plugin_that_is_shipped_reads_all_rows_of_a_customer() {
    none_wants_approval(Cluster::start().await).await;
}

#[tokio::test]
async fn no_plugin_that_is_shipped_reads_all_rows_of_a_customer_on_postgres_16() {
    none_wants_approval(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn no_plugin_that_is_shipped_reads_all_rows_of_a_customer_on_postgres_18() {
    none_wants_approval(Cluster::of_version(18).await).await;
}

#[tokio::test]
async fn statement_that_cannot_be_planned_is_refused_with_what_postgres_says() {
    let fixture = Fixture::start().await;
    let lending = fixture.client.begin_lending(tables().deployment()).await;
    let lending = lending.unwrap();
    let broken = Case {
        text: "SELECT 1 / 0 AS n FROM note".into(),
        params: Vec::new(),
        tables: Vec::new(),
    };
    let error = lending.scans(&[broken.declared()]).await.unwrap_err();
    let hearth::capability::sql::LendError::Refused(refusals) = error else {
        panic!("{error}")
    };
    assert!(
        refusals[0].reason.contains("division by zero"),
        "{refusals:?}"
    );
    // The session goes on.
    let whole = Case {
        text: "SELECT body FROM note WHERE id = $1".into(),
        params: vec!["int8".into()],
        ..broken
    };
    assert_eq!(lending.scans(&[whole.declared()]).await.unwrap(), []);
}
