//! Transactions that a guest holds.

use hearth::capability::sql::{
    GuestError, Host, HostTransaction, Isolation, OutgoingMessage, Value,
};
use wasmtime::component::Resource;

use super::fixture::{ALL, COUNT, Caller, Fixture, INSERT, UPDATE, note};
use crate::harness::postgres::until;

#[tokio::test]
async fn what_was_committed_is_there() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let transaction = acme.begin(Isolation::Serializable).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap();
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
    acme.commit(transaction).await.unwrap();
    assert_eq!(Caller::of(&lent, "acme").bodies().await, ["one"]);
}

#[tokio::test]
async fn commit_is_lost_when_the_transaction_is_dropped() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    // The guest drops its handle; the guest traps and everything is dropped.
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap();
    HostTransaction::drop(&mut acme.view(), transaction)
        .await
        .unwrap();
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(2, "two"))
        .await
        .unwrap();
    drop(acme);
    until(async || lent.pool().unwrap().idle == lent.pool().unwrap().open).await;
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
}

#[tokio::test]
async fn rolled_back_is_undone_and_another_can_begin() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap();
    HostTransaction::rollback(&mut acme.view(), transaction)
        .await
        .unwrap()
        .unwrap();
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "again"))
        .await
        .unwrap();
    acme.commit(transaction).await.unwrap();
    assert_eq!(acme.bodies().await, ["again"]);
}

#[tokio::test]
async fn one_transaction_may_be_open_in_a_call() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let first = acme.begin(Isolation::ReadCommitted).await.unwrap();
    assert!(matches!(
        acme.begin(Isolation::ReadCommitted).await,
        Err(GuestError::Denied(_))
    ));
    acme.commit(first).await.unwrap();
    assert!(acme.begin(Isolation::ReadCommitted).await.is_ok());
}

#[tokio::test]
async fn after_an_error_everything_of_the_transaction_fails_and_nothing_stays() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap();
    let error = acme
        .execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, GuestError::UniqueViolation(name) if name == "note_pkey"),
        "{error:?}"
    );
    assert!(acme.query_in(&transaction, ALL, vec![]).await.is_err());
    assert!(
        acme.execute_in(&transaction, INSERT, note(2, "two"))
            .await
            .is_err()
    );
    assert!(acme.commit(transaction).await.is_err());
    assert!(acme.bodies().await.is_empty());
}

#[tokio::test]
async fn misuse_ends_the_transaction_too() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    for (text, params) in [("SELECT 1", vec![]), (INSERT, vec![Value::Null])] {
        let mut acme = Caller::of(&lent, "acme");
        let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
        acme.execute_in(&transaction, INSERT, note(1, "one"))
            .await
            .unwrap();
        assert!(acme.query_in(&transaction, text, params).await.is_err());
        assert!(acme.commit(transaction).await.is_err());
    }
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
}

#[tokio::test]
async fn serialization_conflict_is_told() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let (mut first, mut second) = (Caller::of(&lent, "acme"), Caller::of(&lent, "acme"));
    first.insert(1, "one").await.unwrap();
    let here = first.begin(Isolation::RepeatableRead).await.unwrap();
    let there = second.begin(Isolation::RepeatableRead).await.unwrap();
    first.query_in(&here, COUNT, vec![]).await.unwrap();
    second.query_in(&there, COUNT, vec![]).await.unwrap();
    first
        .execute_in(&here, UPDATE, vec![Value::Text("first".into())])
        .await
        .unwrap();
    first.commit(here).await.unwrap();
    let update = second
        .execute_in(&there, UPDATE, vec![Value::Text("second".into())])
        .await;
    assert!(
        matches!(update, Err(GuestError::SerializationConflict)),
        "{update:?}"
    );
    let commit = second.commit(there).await;
    assert!(
        matches!(commit, Err(GuestError::SerializationConflict)),
        "{commit:?}"
    );
    assert_eq!(first.bodies().await, ["first"]);
}

#[tokio::test]
async fn connection_lost_before_commit_commits_nothing() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    acme.execute_in(&transaction, INSERT, note(1, "one"))
        .await
        .unwrap();
    let admin = fixture.cluster.connect(None).await;
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE usename LIKE 'hearth\\_%' AND pid <> pg_backend_pid()";
    assert_eq!(admin.query(ended, &[]).await.unwrap().len(), 1);
    let commit = acme.commit(transaction).await;
    let told = matches!(
        commit,
        Err(GuestError::Unavailable | GuestError::OutcomeUnknown)
    );
    assert!(told, "{commit:?}");
    assert!(Caller::of(&lent, "acme").bodies().await.is_empty());
}

#[tokio::test]
async fn no_deployment_holds_a_grant_for_a_queue_yet() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let transaction = acme.begin(Isolation::ReadCommitted).await.unwrap();
    let borrowed = Resource::new_borrow(transaction.rep());
    let message = OutgoingMessage {
        body: vec![],
        attributes: vec![],
        delay_ms: 0,
        group: None,
        deduplication_id: None,
    };
    let sent = HostTransaction::enqueue(&mut acme.view(), borrowed, "mail".into(), message).await;
    assert!(matches!(sent.unwrap(), Err(GuestError::Denied(reason)) if reason.contains("mail")));
}

#[tokio::test]
async fn forged_handle_traps() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let mut acme = Caller::of(&lent, "acme");
    let forged = Resource::new_own(7);
    assert!(
        HostTransaction::commit(&mut acme.view(), forged)
            .await
            .is_err()
    );
    assert!(
        Host::query(&mut acme.view(), ALL.into(), vec![])
            .await
            .unwrap()
            .is_ok()
    );
}
