//! What was refused before it had an effect holds no key.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{effects, keyed, kind, post, replayed, rows};
use crate::harness::host::Setup;

#[tokio::test]
async fn refusal_without_an_effect_leaves_the_key_to_any_request() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    for _ in 0..2 {
        let refused = post(&host, "/effects/reject", &key, "k").await;
        assert!(!replayed(&refused), "{refused:?}");
        let told = (StatusCode::UNPROCESSABLE_ENTITY, "rejected".into());
        assert_eq!(kind(refused).await, told);
    }
    let mended = post(&host, "/effects/lone", &key, "k").await;
    assert!(mended.status() == StatusCode::CREATED && !replayed(&mended));
    assert!(replayed(&post(&host, "/effects/lone", &key, "k").await));
    let after = post(&host, "/effects/reject-after", &key, "after").await;
    assert!(!replayed(&after), "{after:?}");
    let after = post(&host, "/effects/reject-after", &key, "after").await;
    assert!(replayed(&after), "{after:?}");
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn change_of_an_old_version_runs_with_its_key_once_it_names_the_right_one() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    let new = json!({"subject": "s", "description": "d"});
    let made = host.post("/support/tickets", &key).json(&new);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let path = format!("/support/tickets/{}", made["id"].as_str().unwrap());
    let change = |version: &str| {
        let request = keyed(host.request(Method::PATCH, &path, &key), "k");
        let request = request.header("if-match", version);
        request.json(&json!({"priority": "high"})).send()
    };
    let old = change("\"9\"").await.unwrap();
    assert_eq!(old.status(), StatusCode::PRECONDITION_FAILED);
    for is_again in [false, true] {
        let right = change("\"1\"").await.unwrap();
        assert_eq!(
            (right.status(), replayed(&right)),
            (StatusCode::OK, is_again)
        );
        assert_eq!(right.json::<Value>().await.unwrap()["priority"], "high");
    }
}
