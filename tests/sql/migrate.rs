//! Migrations, and what the host writes beside them.

use hearth::capability::sql::LendContext;
use hearth::capability::sql::statement::{AccessMode, Type};

use super::fixture::{ALL, Caller, Fixture, NOTES, Package, client, migration, statement};

#[tokio::test]
async fn migrations_run_once_in_their_order_and_later_ones_move_everyones_data() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    for customer in ["acme", "bolt"] {
        Caller::of(&lent, customer)
            .insert(1, customer)
            .await
            .unwrap();
    }
    let mut package = Package {
        number: 2,
        ..Package::notes()
    };
    package.migrations.extend([
        migration(3, "UPDATE note SET body = body || ' moved'"),
        migration(
            2,
            "ALTER TABLE note ADD COLUMN more text; UPDATE note SET more = body",
        ),
    ]);
    let lent = fixture.lend(package).await;
    for customer in ["acme", "bolt"] {
        assert_eq!(
            Caller::of(&lent, customer).bodies().await,
            [format!("{customer} moved")]
        );
    }
    let admin = fixture.cluster.connect(None).await;
    let applied = "SELECT string_agg(version::text, ',' ORDER BY applied_at, version) FROM hearth.plugin_migrations";
    assert_eq!(
        admin
            .query_one(applied, &[])
            .await
            .unwrap()
            .get::<_, &str>(0),
        "1,2,3"
    );
}

#[tokio::test]
async fn changed_and_late_migrations_are_refused() {
    let fixture = Fixture::start().await;
    fixture.lend(Package::migrations(&[NOTES])).await;
    let refusals = fixture
        .refusals(Package::migrations(&[
            "CREATE TABLE other (customer_id text)",
        ]))
        .await;
    assert!(
        refusals[0].contains("changed after it had run"),
        "{refusals:?}"
    );
    let late = Package {
        migrations: vec![migration(1, NOTES), migration(0, NOTES)],
        ..Package::migrations(&[])
    };
    let refusals = fixture.refusals(late).await;
    assert!(
        refusals[0].contains("a later one has run already"),
        "{refusals:?}"
    );
    let twice = Package {
        migrations: vec![migration(1, NOTES), migration(1, NOTES)],
        ..Package::migrations(&[])
    };
    let refusals = fixture.refusals(twice).await;
    assert!(
        refusals[0].contains("taken by another migration"),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn file_that_lost_its_migrations_is_refused_unless_an_older_one_returns() {
    let fixture = Fixture::start().await;
    fixture.lend(Package::migrations(&[NOTES])).await;
    let refusals = fixture.refusals(Package::migrations(&[])).await;
    assert!(
        refusals[0].contains("[sql] migrations = \"migrations\""),
        "{refusals:?}"
    );
    let returns = LendContext {
        is_return: true,
        ..LendContext::default()
    };
    let older = Package::migrations(&[]).deployment();
    let lent = fixture.client.lend_beside(older, &returns).await;
    assert!(lent.is_ok());
}

#[tokio::test]
async fn older_deployment_serves_on_a_newer_schema() {
    let fixture = Fixture::start().await;
    let mut package = Package {
        number: 2,
        ..Package::notes()
    };
    package
        .migrations
        .push(migration(2, "ALTER TABLE note ADD COLUMN more text"));
    fixture.lend(package).await;
    let lent = fixture
        .lend(Package {
            number: 3,
            ..Package::notes()
        })
        .await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
}

#[tokio::test]
async fn refused_migration_says_what_postgres_said_and_leaves_nothing() {
    let fixture = Fixture::start().await;
    let broken = "CREATE TABLE a (customer_id text); CREATE TABLE b (customer_id tekst)";
    let refusals = fixture.refusals(Package::migrations(&[broken])).await;
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    for wanted in [
        "CREATE TABLE b",
        "0001_test",
        "type \"tekst\" does not exist",
        "42704",
        "at byte",
    ] {
        assert!(
            refusals[0].contains(wanted),
            "{} lacks {wanted}",
            refusals[0]
        );
    }
    let admin = fixture.cluster.connect(None).await;
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'plugin_notes'::regnamespace";
    assert_eq!(
        admin.query_one(left, &[]).await.unwrap().get::<_, i64>(0),
        0
    );
    fixture
        .lend(Package::migrations(&["CREATE TABLE a (customer_id text)"]))
        .await;
}

#[tokio::test]
async fn statements_that_do_not_fit_leave_the_last_migration_undone() {
    let fixture = Fixture::start().await;
    let mut package = Package::notes();
    package.declared = vec![statement(
        "SELECT x FROM note",
        &[],
        &[("x", Type::Int8)],
        AccessMode::Read,
    )];
    assert_eq!(fixture.refusals(package).await.len(), 1);
    let admin = fixture.cluster.connect(None).await;
    assert!(
        admin
            .query("SELECT 1 FROM plugin_notes.note", &[])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn tables_that_would_leak_are_refused() {
    let fixture = Fixture::start().await;
    for (sql, wanted) in [
        ("CREATE TABLE t (id bigint)", "no column customer_id"),
        ("CREATE TABLE t (customer_id uuid)", "must be of type text"),
        (
            "CREATE TABLE t (customer_id text, id bigint PRIMARY KEY)",
            "must start with customer_id",
        ),
        (
            "CREATE TABLE t (customer_id text, id bigint, UNIQUE (id, customer_id))",
            "must start with customer_id",
        ),
        (
            "CREATE TABLE t (customer_id text, id bigint); CREATE UNIQUE INDEX u ON t (lower(id::text))",
            "must start with customer_id",
        ),
        (
            "CREATE TABLE t (customer_id text, id bigint, PRIMARY KEY (customer_id, id));
             CREATE TABLE c (customer_id text, other text, id bigint,
                 FOREIGN KEY (other, id) REFERENCES t (customer_id, id))",
            "must tie customer_id to customer_id",
        ),
    ] {
        let refusals = fixture.refusals(Package::migrations(&[sql])).await;
        assert!(
            refusals.len() == 1 && refusals[0].contains(wanted),
            "{sql}: {refusals:?}"
        );
    }
}

#[tokio::test]
async fn shared_tables_need_no_customer_and_must_exist() {
    let fixture = Fixture::start().await;
    const READ: &str = "SELECT name FROM country";
    const WRITE: &str = "INSERT INTO country (name) VALUES ($1)";
    let package = |shared: &str| Package {
        shared: vec![shared.into()],
        declared: vec![
            statement(READ, &[], &[("name", Type::Text)], AccessMode::Read),
            statement(WRITE, &[Type::Text], &[], AccessMode::Write),
        ],
        ..Package::migrations(&[NOTES, "CREATE TABLE country (name text PRIMARY KEY)"])
    };
    let refusals = fixture.refusals(package("kountry")).await;
    assert!(
        refusals.iter().any(|refusal| refusal.contains("kountry")),
        "{refusals:?}"
    );
    let refusals = fixture.refusals(package("note")).await;
    assert!(
        refusals
            .iter()
            .any(|refusal| refusal.contains("remove one of them")),
        "{refusals:?}"
    );
    let lent = fixture.lend(package("country")).await;
    let name = vec![hearth::capability::sql::Value::Text("Chile".into())];
    Caller::of(&lent, "acme")
        .execute(WRITE, name)
        .await
        .unwrap();
    assert_eq!(
        Caller::of(&lent, "bolt")
            .query(READ, vec![])
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[tokio::test]
async fn view_shows_the_callers_rows_only() {
    let fixture = Fixture::start().await;
    const READ: &str = "SELECT body FROM titled";
    let mut package = Package::notes();
    package.migrations.push(migration(
        2,
        "CREATE VIEW titled WITH (security_invoker) AS SELECT body FROM note",
    ));
    package.declared.push(statement(
        READ,
        &[],
        &[("body", Type::Text)],
        AccessMode::Read,
    ));
    let lent = fixture.lend(package).await;
    Caller::of(&lent, "acme")
        .insert(1, "of acme")
        .await
        .unwrap();
    assert_eq!(
        Caller::of(&lent, "acme")
            .query(READ, vec![])
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    assert!(
        Caller::of(&lent, "bolt")
            .query(READ, vec![])
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

#[tokio::test]
async fn what_was_tampered_with_is_put_right_and_foreign_policies_are_refused() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme")
        .insert(1, "of acme")
        .await
        .unwrap();
    let admin = fixture.cluster.connect(None).await;
    admin
        .batch_execute(
            "DROP POLICY hearth_customer ON plugin_notes.note;
             CREATE POLICY hearth_customer ON plugin_notes.note USING (true);
             ALTER TABLE plugin_notes.remark NO FORCE ROW LEVEL SECURITY",
        )
        .await
        .unwrap();
    assert_eq!(Caller::of(&lent, "bolt").bodies().await, ["of acme"]);
    let lent = fixture
        .lend(Package {
            number: 2,
            ..Package::notes()
        })
        .await;
    assert!(Caller::of(&lent, "bolt").bodies().await.is_empty());
    let forced =
        "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'plugin_notes.remark'::regclass";
    assert!(
        admin
            .query_one(forced, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
    admin
        .batch_execute("CREATE POLICY mine ON plugin_notes.note USING (true)")
        .await
        .unwrap();
    let refusals = fixture.refusals(Package::notes()).await;
    assert!(refusals[0].contains("policy mine"), "{refusals:?}");
}

#[tokio::test]
async fn deployment_without_news_takes_no_lock_on_a_table_in_use() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
    let mut admin = fixture.cluster.connect(None).await;
    let reader = admin.transaction().await.unwrap();
    reader
        .query("SELECT 1 FROM plugin_notes.note", &[])
        .await
        .unwrap();
    let lent = fixture
        .lend(Package {
            number: 2,
            ..Package::notes()
        })
        .await;
    assert_eq!(Caller::of(&lent, "acme").bodies().await, ["one"]);
}

#[tokio::test]
async fn hosts_that_start_at_once_share_one_schema() {
    let fixture = Fixture::start().await;
    let hosts: Vec<_> = (0..4)
        .map(|_| client(&fixture.cluster, fixture.server.clone(), Default::default()))
        .collect();
    let lends: Vec<_> = hosts
        .iter()
        .map(|host| host.lend(Package::notes().deployment()))
        .collect();
    movable(&lends);
    for lent in futures_util::future::join_all(lends).await {
        assert!(lent.is_ok(), "{:?}", lent.err());
    }
}

/// The host lends in tasks of its own.
fn movable<T: Send>(_: &T) {}

#[tokio::test]
async fn another_deployments_statements_are_judged_before_the_migration_commits() {
    let fixture = Fixture::start().await;
    let serving = fixture.notes().await;
    let mut package = Package {
        number: 2,
        declared: vec![],
        ..Package::notes()
    };
    package
        .migrations
        .push(migration(2, "ALTER TABLE note RENAME COLUMN body TO text"));
    let lending = fixture
        .client
        .begin_lending(package.deployment())
        .await
        .ok()
        .unwrap();
    let broken = lending.describe(&super::fixture::declared()).await.unwrap();
    assert!(
        broken.iter().any(|refusal| refusal.statement == ALL),
        "{broken:?}"
    );
    drop(lending);
    assert!(Caller::of(&serving, "acme").bodies().await.is_empty());
}
