//! What keeps a deployment from its database before it serves.

use hearth::capability::sql::statement::{AccessMode, Type};

use super::fixture::{Caller, Fixture, Package, statement};

#[tokio::test]
async fn every_statement_that_does_not_fit_is_told_at_once() {
    let fixture = Fixture::start().await;
    let read = |text, params: &[Type], columns: &[(&str, Type)]| {
        statement(text, params, columns, AccessMode::Read)
    };
    let mut package = Package::notes();
    package.declared.extend([
        read("SELECT titel FROM note", &[], &[("titel", Type::Text)]),
        read("SELECT id AS one FROM note", &[], &[("one", Type::Text)]),
        read("SELECT id AS two FROM note", &[], &[("zwei", Type::Int8)]),
        read(
            "SELECT id AS three FROM note WHERE id = $1",
            &[Type::Text],
            &[("three", Type::Int8)],
        ),
        read(
            "SELECT id AS four FROM note WHERE id = $1",
            &[],
            &[("four", Type::Int8)],
        ),
        read("SELECT id AS five FROM note", &[], &[]),
        read("SELECT id FROM missing", &[], &[("id", Type::Int8)]),
    ]);
    let refusals = fixture.refusals(package).await;
    let wanted = [
        "column \"titel\" does not exist",
        "column 1 (`one`) is declared text, but Postgres returns int8",
        "column 1 is declared `zwei`, but Postgres returns `two`",
        "$1 is declared text, but Postgres expects int8",
        "0 parameters are declared, but Postgres expects 1",
        "0 columns are declared, but Postgres returns 1",
        "relation \"missing\" does not exist",
    ];
    assert_eq!(refusals.len(), wanted.len(), "{refusals:#?}");
    for (refusal, wanted) in refusals.iter().zip(wanted) {
        assert!(refusal.contains(wanted), "{refusal} lacks {wanted}");
    }
    assert!(
        refusals[0].starts_with("`SELECT titel FROM note") && refusals[0].ends_with("(at byte 7)"),
        "{}",
        refusals[0]
    );
}

#[tokio::test]
async fn write_declared_as_a_read_is_refused() {
    let fixture = Fixture::start().await;
    let mut package = Package::notes();
    let kinds = [("id", Type::Int8)];
    package.declared = vec![
        statement(
            "DELETE FROM note RETURNING id",
            &[],
            &kinds,
            AccessMode::Read,
        ),
        statement(
            "WITH gone AS (DELETE FROM note RETURNING id) SELECT id FROM gone",
            &[],
            &kinds,
            AccessMode::Read,
        ),
        statement(
            "SELECT id FROM note FOR UPDATE",
            &[],
            &kinds,
            AccessMode::Read,
        ),
    ];
    assert_eq!(fixture.refusals(package).await.len(), 3);
}

#[tokio::test]
async fn what_would_change_the_tenant_is_refused_before_anything_is_migrated() {
    let fixture = Fixture::start().await;
    let mut package = Package::notes();
    package.declared = [
        "SELECT set_config('hearth.customer_id', 'bolt', false) AS t",
        "SET ROLE postgres",
        "SELECT id AS t INTO TEMP x FROM note",
        "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'",
        "SELECT query_to_xml('SELECT 1', true, false, '')::text AS t",
    ]
    .map(|text| statement(text, &[], &[("t", Type::Text)], AccessMode::Write))
    .into();
    assert_eq!(fixture.refusals(package).await.len(), 5);
    let schema = "SELECT FROM pg_namespace WHERE nspname = 'plugin_notes'";
    assert!(
        fixture
            .cluster
            .connect(None)
            .await
            .query_opt(schema, &[])
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn runtime_role_may_read_and_write_rows_and_nothing_else() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
    let admin = fixture.cluster.connect(None).await;
    let role = "SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'hearth\\_%\\_notes'";
    let role: String = admin.query_one(role, &[]).await.unwrap().get(0);
    let session = fixture.cluster.connect(Some(&role)).await;
    session
        .batch_execute("SET search_path = plugin_notes")
        .await
        .unwrap();
    for text in [
        "CREATE TABLE plugin_notes.mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "TRUNCATE note",
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "DROP TABLE note",
        "SELECT set_config('hearth.customer_id', 'acme', false)",
        "SELECT pg_advisory_lock(1)",
        "SELECT query_to_xml('SELECT 1', true, false, '')",
        "SELECT pg_cancel_backend(1)",
        "SELECT * FROM hearth.keys",
        "SELECT * FROM hearth.plugin_migrations",
        "SET ROLE postgres",
        "SET hearth.migration = 'on'; SET SESSION AUTHORIZATION DEFAULT; SET ROLE hearth_owner",
    ] {
        assert!(session.batch_execute(text).await.is_err(), "{text}");
    }
    session
        .batch_execute("SET hearth.migration = 'on'")
        .await
        .unwrap();
    assert!(
        session
            .query("SELECT id FROM note", &[])
            .await
            .unwrap()
            .is_empty()
    );
}
