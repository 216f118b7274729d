//! A forecast is computed once for each last data point.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Costs, months_of, row};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_first_requests_at_once_are_one_computation() {
    let costs = Costs::open();
    costs.load(&months_of("a", 48, 1.0)).await;
    let path = "/costs/forecast?months=12";
    let requests = (0..1_000).map(|_| costs.host.get(path, &costs.key).send());
    let answers = futures_util::future::join_all(requests).await;
    let mut bodies = Vec::new();
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.text().await.unwrap());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "all got the same");
    assert_eq!(costs.computed().await, 1.0);

    // Another one within the hour computes nothing.
    let again = costs.answer("/forecast?months=12").await;
    assert_eq!(again.headers()["x-cache"], "HIT");
    assert_eq!(again.text().await.unwrap(), bodies[0]);
    assert_eq!(costs.computed().await, 1.0);

    // A new record makes the next one new.
    costs.load(&[row(-1, "a", "5000")]).await;
    let new = costs.answer("/forecast?months=12").await;
    assert_eq!(new.headers()["x-cache"], "MISS");
    let (new, old): (Value, Value) = (
        new.json().await.unwrap(),
        serde_json::from_str(&bodies[0]).unwrap(),
    );
    assert_ne!(new["forecast"], old["forecast"]);
    assert_eq!(costs.computed().await, 2.0);
}

#[tokio::test]
async fn an_answer_says_how_old_it_is_and_can_be_asked_for_again() {
    let costs = Costs::open();
    costs.load(&months_of("a", 30, 1.0)).await;
    let path = "/forecast?group_by=service";
    let first = costs.answer(path).await;
    let header = |name: &str| first.headers()[name].to_str().unwrap().to_string();
    assert_eq!(header("cache-control"), "private, no-cache");
    assert_eq!(
        (header("x-cache"), header("age")),
        ("MISS".into(), "0".into())
    );
    let etag = header("etag");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let again = costs.answer(path).await;
    assert_eq!(again.headers()["x-cache"], "HIT");
    assert_eq!(again.headers()["etag"], etag.as_str());
    let age: u64 = again.headers()["age"].to_str().unwrap().parse().unwrap();
    assert!(age >= 1, "{age}");
    let known = costs.host.get(&format!("/costs{path}"), &costs.key);
    let known = known.header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    // Other parameters and other customers have answers of their own.
    let other = costs.answer("/forecast?group_by=service&level=80").await;
    assert_eq!(other.headers()["x-cache"], "MISS");
    let globex = costs.host.get(&format!("/costs{path}"), &costs.other);
    let globex = globex.send().await.unwrap();
    assert_eq!(globex.status(), StatusCode::UNPROCESSABLE_ENTITY);
    // A problem is not kept.
    let none = json!({"history": [1, 2]});
    assert_eq!(
        costs.send(reqwest::Method::POST, "/forecast", none).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}
