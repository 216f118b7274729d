//! Several statements, all or nothing.

use hearth::capability::sql::{Config, GuestError, Outcome, Value};

use super::fixture::{
    ALL, COUNT, Caller, Fixture, INSERT, RETURNING, SERIES, UPDATE, execute, note, query,
};

#[tokio::test]
async fn batch_answers_each_step_in_order() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let outcomes = acme
        .batch(vec![
            execute(INSERT, note(1, "one")),
            query(RETURNING, note(2, "two")),
            query(COUNT, vec![]),
        ])
        .await
        .unwrap();
    let [
        Outcome::Affected(1),
        Outcome::Rows(returned),
        Outcome::Rows(counted),
    ] = outcomes.as_slice()
    else {
        panic!("{outcomes:?}");
    };
    assert!(
        matches!(returned.rows[0].as_slice(), [Value::Text(customer), Value::Int64(2)] if customer == "acme")
    );
    assert!(matches!(counted.rows[0].as_slice(), [Value::Int64(2)]));
    assert_eq!(acme.bodies().await, ["one", "two"]);
}

#[tokio::test]
async fn batch_that_wants_no_rows_commits_too() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let (mut acme, mut bolt) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    for round in 0..3 {
        for caller in [&mut acme, &mut bolt] {
            let insert = |id| execute(INSERT, note(id, "x"));
            caller
                .batch(vec![insert(round * 2), insert(round * 2 + 1)])
                .await
                .unwrap();
        }
        assert_eq!(acme.bodies().await.len() as i64, round * 2 + 2);
        assert_eq!(bolt.bodies().await.len() as i64, round * 2 + 2);
    }
}

#[tokio::test]
async fn one_step_that_fails_undoes_all() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let inserts = |last| {
        vec![
            execute(INSERT, note(1, "one")),
            execute(INSERT, note(1, last)),
            execute(INSERT, note(2, "two")),
        ]
    };
    let error = acme.batch(inserts("again")).await.unwrap_err();
    assert!(
        matches!(&error, GuestError::UniqueViolation(name) if name == "note_pkey"),
        "{error:?}"
    );
    let error = acme.batch(inserts("")).await.unwrap_err();
    assert!(
        matches!(&error, GuestError::CheckViolation(name) if name == "note_body"),
        "{error:?}"
    );
    assert!(acme.bodies().await.is_empty());
    acme.insert(1, "one").await.unwrap();
    assert_eq!(acme.bodies().await, ["one"]);
}

#[tokio::test]
async fn answer_that_is_too_large_leaves_no_effect() {
    let fixture = Fixture::start_with(
        Default::default(),
        Config {
            rows_max: 10,
            ..Config::default()
        },
    )
    .await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let steps = vec![
        execute(INSERT, note(1, "one")),
        query(SERIES, vec![Value::Int32(1_000_000)]),
    ];
    assert!(matches!(acme.batch(steps).await, Err(GuestError::TooLarge)));
    assert!(acme.bodies().await.is_empty());
}

#[tokio::test]
async fn too_many_steps_undeclared_ones_and_none_are_judged_before_anything_is_sent() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let many = (0..1_001)
        .map(|id| execute(INSERT, note(id, "x")))
        .collect();
    assert!(matches!(acme.batch(many).await, Err(GuestError::TooLarge)));
    let undeclared = vec![execute(INSERT, note(1, "one")), query("SELECT 1", vec![])];
    assert!(matches!(
        acme.batch(undeclared).await,
        Err(GuestError::Denied(_))
    ));
    assert!(acme.batch(vec![]).await.unwrap().is_empty());
    assert_eq!(lent.pool().unwrap().open, 0);
    assert!(acme.bodies().await.is_empty());
}

#[tokio::test]
async fn long_batch_keeps_its_order() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let mut steps = vec![execute(INSERT, note(1, "x"))];
    steps.extend((0..98).map(|step| execute(UPDATE, vec![Value::Text(format!("step {step}"))])));
    steps.push(query(ALL, vec![]));
    let outcomes = acme.batch(steps).await.unwrap();
    assert_eq!(outcomes.len(), 100);
    assert_eq!(acme.bodies().await, ["step 97"]);
}
