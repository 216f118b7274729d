//! An answer belongs to the scopes of the API key that asked.

use reqwest::StatusCode;

use super::{QUICK, effects, kind, post, replayed, rows};
use crate::harness::fleet::Fleet;

#[tokio::test]
async fn answer_of_a_key_with_some_scopes_is_not_told_to_one_with_others() {
    let host = effects().start();
    let scoped = |scopes: &[&str]| {
        let args: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
        host.key("acme", &args)
    };
    let agent = scoped(&["agent", "customer"]);
    let first = post(&host, "/effects/lone", &agent, "k").await;
    assert_eq!(first.status(), StatusCode::CREATED);
    for scopes in [
        &["customer"][..],
        &["agent"],
        &["agent", "customer", "more"],
    ] {
        let answer = post(&host, "/effects/lone", &scoped(scopes), "k").await;
        let mismatch = (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-scopes-mismatch".into(),
        );
        assert_eq!(kind(answer).await, mismatch, "{scopes:?}");
    }
    // Another key of the same scopes is the same: keys are exchanged.
    let exchanged = scoped(&["customer", "agent"]);
    assert!(replayed(
        &post(&host, "/effects/lone", &exchanged, "k").await
    ));
    assert_eq!(rows(&host, &agent).await, 1);
}

/// It did not say whose scopes they were.
#[tokio::test]
async fn answer_that_an_older_host_kept_is_told_to_nobody() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| setup.config(QUICK).guest("effects", &["sql"], ""));
    let key = host.key("acme", &[]);
    post(&host, "/effects/lone", &key, "k").await;
    let database = fleet.cluster.connect(None).await;
    let older = "UPDATE hearth.idempotency SET scopes = NULL";
    assert_eq!(database.execute(older, &[]).await.unwrap(), 1);
    let answer = post(&host, "/effects/lone", &key, "k").await;
    assert_eq!(kind(answer).await.1, "idempotency-scopes-mismatch");
    // One that had no effect is taken over.
    let undone = "UPDATE hearth.idempotency SET answer = NULL, applied = false, held_until = now()";
    assert_eq!(database.execute(undone, &[]).await.unwrap(), 1);
    let again = post(&host, "/effects/lone", &key, "k").await;
    assert!(again.status() == StatusCode::CREATED && !replayed(&again));
    assert!(replayed(&post(&host, "/effects/lone", &key, "k").await));
}
