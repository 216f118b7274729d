//! Bounds of what goes in and comes out, and how Postgres's refusals are told.

use hearth::backend::postgres::{Config as PostgresConfig, Embedded};
use hearth::capability::sql::{Config, GuestError, Isolation, Value};

use super::fixture::{ALL, Caller, Fixture, HUNGRY, INSERT, SERIES, SORTED, note};
use crate::harness::postgres::{Cluster, children};

#[tokio::test]
async fn more_rows_than_allowed_are_too_large_and_harm_no_later_call() {
    let config = Config {
        rows_max: 100,
        ..Config::default()
    };
    let fixture = Fixture::start_with(Default::default(), config).await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    assert_eq!(
        acme.query(SERIES, vec![Value::Int32(100)])
            .await
            .unwrap()
            .rows
            .len(),
        100
    );
    for _ in 0..20 {
        let many = acme.query(SERIES, vec![Value::Int32(500_000)]).await;
        assert!(matches!(many, Err(GuestError::TooLarge)), "{many:?}");
    }
    assert_eq!(
        acme.query(SERIES, vec![Value::Int32(3)])
            .await
            .unwrap()
            .rows
            .len(),
        3
    );
}

#[tokio::test]
async fn more_bytes_than_allowed_are_too_large() {
    let config = Config {
        result_bytes_max: 10_000,
        ..Config::default()
    };
    let fixture = Fixture::start_with(Default::default(), config).await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    for id in 0..3 {
        acme.insert(id, &"x".repeat(4_000)).await.unwrap();
    }
    assert!(matches!(
        acme.query(ALL, vec![]).await,
        Err(GuestError::TooLarge)
    ));
}

#[tokio::test]
async fn parameters_past_their_limits_are_too_large() {
    let config = Config {
        value_bytes_max: 1_000,
        params_bytes_max: 1_500,
        ..Config::default()
    };
    let fixture = Fixture::start_with(Default::default(), config).await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    assert!(matches!(
        acme.insert(1, &"x".repeat(1_001)).await,
        Err(GuestError::TooLarge)
    ));
    assert_eq!(acme.insert(1, &"x".repeat(1_000)).await.unwrap(), 1);
}

#[tokio::test]
async fn undeclared_text_is_denied() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    for text in [
        "SELECT 1",
        "",
        "SELECT id, body FROM note ORDER BY id ",
        "SET ROLE postgres",
    ] {
        let query = acme.query(text, vec![]).await;
        assert!(matches!(query, Err(GuestError::Denied(_))), "{query:?}");
        assert!(matches!(
            acme.execute(text, vec![]).await,
            Err(GuestError::Denied(_))
        ));
    }
}

#[tokio::test]
async fn wrong_number_or_type_of_parameters_is_invalid() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let wrong = [
        vec![],
        vec![Value::Int64(1)],
        vec![Value::Int32(1), Value::Text("x".into())],
        vec![Value::Int64(1), Value::Json("{}".into())],
    ];
    for params in wrong {
        let result = acme.execute(INSERT, params).await;
        assert!(matches!(result, Err(GuestError::Invalid(_))), "{result:?}");
    }
    assert_eq!(lent.pool().unwrap().open, 0);
}

#[tokio::test]
async fn violations_name_the_constraint_or_column_and_nothing_else() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    acme.insert(1, "one").await.unwrap();
    let unique = acme.insert(1, "secret body").await.unwrap_err();
    assert!(
        matches!(&unique, GuestError::UniqueViolation(name) if name == "note_pkey"),
        "{unique:?}"
    );
    let check = acme.insert(2, "").await.unwrap_err();
    assert!(
        matches!(&check, GuestError::CheckViolation(name) if name == "note_body"),
        "{check:?}"
    );
    let null = acme
        .execute(INSERT, vec![Value::Int64(3), Value::Null])
        .await
        .unwrap_err();
    assert!(
        matches!(&null, GuestError::CheckViolation(name) if name == "body"),
        "{null:?}"
    );
    let nul = acme.execute(INSERT, note(4, "secret\0")).await.unwrap_err();
    assert!(matches!(&nul, GuestError::Invalid(_)), "{nul:?}");
    for error in [unique, check, null, nul] {
        let text = format!("{error:?}");
        assert!(
            !text.contains("secret") && !text.contains("INSERT"),
            "{text}"
        );
    }
}

/// The largest of a line of proc(5)'s `status` among the processes of a cluster, in bytes.
fn largest(cluster: &Cluster, line: &str) -> u64 {
    let processes = children(cluster.postmaster()).into_iter();
    let sizes = processes.filter_map(|process| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let found = status.lines().find_map(|own| own.strip_prefix(line))?;
        found.split_whitespace().next()?.parse::<u64>().ok()
    });
    sizes.max().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_that_wants_the_machines_memory_fails_alone() {
    let fixture = Fixture::start_with(patient(), Config::default()).await;
    let (lent, postmaster) = (fixture.notes().await, fixture.cluster.postmaster());
    let bound = Embedded::default().backend_memory_bytes_max;
    let (mut acme, mut other) = (Caller::of(&lent, "acme"), Caller::of(&lent, "other"));
    acme.insert(1, "one").await.unwrap();
    // What fits is answered: 8 MB.
    let small = acme.query(HUNGRY, vec![Value::Int32(1)]).await.unwrap();
    assert!(
        matches!(small.rows[0][0], Value::Int32(8_000_000)),
        "{small:?}"
    );
    // 1.6 GB, several times at once, while another customer goes on.
    let hungry = (0..3).map(|_| {
        let mut acme = Caller::of(&lent, "acme");
        tokio::spawn(async move { acme.query(HUNGRY, vec![Value::Int32(200)]).await })
    });
    for (id, running) in (0..).zip(hungry.collect::<Vec<_>>()) {
        assert_eq!(other.insert(id, "two").await.unwrap(), 1);
        let refused = running.await.unwrap();
        assert!(matches!(refused, Err(GuestError::TooLarge)), "{refused:?}");
    }
    assert_eq!(acme.bodies().await, ["one"]);
    let (memory, space) = (
        largest(&fixture.cluster, "VmHWM:"),
        largest(&fixture.cluster, "VmPeak:"),
    );
    assert!(space <= bound, "{space}");
    assert!(memory <= bound && memory > 100 << 20, "{memory}");
    assert_eq!(
        fixture.cluster.postmaster(),
        postmaster,
        "it was not started anew"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_whose_statement_ran_out_of_memory_is_rolled_back() {
    let fixture = Fixture::start_with(patient(), Config::default()).await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let open = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&open, INSERT, note(1, "one"))
        .await
        .unwrap();
    let refused = acme.query_in(&open, HUNGRY, vec![Value::Int32(200)]).await;
    assert!(matches!(refused, Err(GuestError::TooLarge)), "{refused:?}");
    assert!(acme.commit(open).await.is_err());
    assert!(acme.bodies().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_that_would_fill_the_disk_with_temporary_files_fails_alone() {
    let bounds = Embedded {
        temp_file_bytes_max: 8 << 20,
        ..Embedded::default()
    };
    let cluster = Cluster::start_within(bounds).await;
    let fixture = Fixture::start_on(cluster, patient(), Config::default()).await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    acme.insert(1, "one").await.unwrap();
    let small = acme.query(SORTED, vec![Value::Int32(1_000)]).await.unwrap();
    assert!(matches!(small.rows[0][0], Value::Int64(999)), "{small:?}");
    let refused = acme.query(SORTED, vec![Value::Int32(2_000_000)]).await;
    assert!(matches!(refused, Err(GuestError::TooLarge)), "{refused:?}");
    assert_eq!(acme.bodies().await, ["one"]);
}

/// No statement here is ended for its time, however busy the machine is.
fn patient() -> PostgresConfig {
    PostgresConfig {
        statement_ms_max: 120_000,
        ..PostgresConfig::default()
    }
}
