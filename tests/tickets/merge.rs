//! Merging tickets.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id, ticket};
use crate::harness::host::runs;

async fn merge(support: &Support, source: &Value, into: &str) -> (StatusCode, Value) {
    let path = format!("/support/tickets/{}/merge", id(source));
    support
        .ask(Method::POST, &path, true, json!({"into": into}))
        .await
}

#[tokio::test]
async fn merge_closes_the_source_and_notes_it_on_both() {
    let support = Support::open();
    let (source, target) = (
        support.create(ticket()).await,
        support.create(ticket()).await,
    );
    assert_eq!(
        merge(&support, &source, id(&source)).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let nobody = id(&source).replace("tkt_0", "tkt_f");
    assert_eq!(
        merge(&support, &source, &nobody).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, merged) = merge(&support, &source, id(&target)).await;
    assert_eq!(status, StatusCode::OK, "{merged}");
    assert_eq!(
        (&merged["status"], &merged["merged_into"]),
        (&json!("closed"), &target["id"])
    );
    for (one, other) in [(&source, &target), (&target, &source)] {
        let path = |what: &str| format!("/support/tickets/{}/{what}", id(one));
        let (_, comments) = support.get(&path("comments")).await;
        assert_eq!(
            comments["comments"].as_array().unwrap().len(),
            1,
            "{comments}"
        );
        let (_, audits) = support.get(&path("audits")).await;
        let audits = audits["audits"].as_array().unwrap();
        assert_eq!(audits.len(), 2, "{audits:?}");
        assert!(audits[1]["events"].to_string().contains(id(other)));
    }
    let (_, after) = support
        .get(&format!("/support/tickets/{}", id(&target)))
        .await;
    assert_eq!(
        (&after["status"], &after["version"]),
        (&json!("new"), &json!(2))
    );
    assert_eq!(
        merge(&support, &source, id(&target)).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        merge(&support, &target, id(&source)).await.0,
        StatusCode::CONFLICT,
        "a circle"
    );
}

#[tokio::test]
async fn of_two_opposite_merges_at_once_one_wins() {
    let support = Support::open();
    for _ in 0..runs(4, 100) {
        let (one, other) = (
            support.create(ticket()).await,
            support.create(ticket()).await,
        );
        let (there, back) = tokio::join!(
            merge(&support, &one, id(&other)),
            merge(&support, &other, id(&one)),
        );
        let mut statuses = [there.0.as_u16(), back.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{there:?} {back:?}");
        let (_, closed) = support.get("/support/tickets?status=closed&limit=1").await;
        assert!([id(&one), id(&other)].contains(&id(&closed["tickets"][0])));
    }
}
