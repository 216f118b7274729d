//! Bounds of what goes in and comes out, and how Postgres's refusals are told.

use hearth::capability::sql::{Config, GuestError, Value};

use super::fixture::{ALL, Caller, Fixture, INSERT, SERIES, note};

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
