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
async fn success_that_had_no_effect_leaves_the_key_to_any_request() {
    let host = effects().start();
    let key = host.key("acme", &[]);
    for _ in 0..2 {
        let nothing = post(&host, "/effects/nothing-done", &key, "k").await;
        assert!(nothing.status() == StatusCode::MULTI_STATUS && !replayed(&nothing));
        assert!(!nothing.headers().contains_key("hearth-effect"));
    }
    let mended = post(&host, "/effects/lone", &key, "k").await;
    assert!(mended.status() == StatusCode::CREATED && !replayed(&mended));
    for is_again in [false, true] {
        let done = post(&host, "/effects/done-after-all", &key, "after").await;
        assert_eq!(replayed(&done), is_again, "{done:?}");
        assert!(!done.headers().contains_key("hearth-effect"));
    }
    assert_eq!(rows(&host, &key).await, 2);
}

#[tokio::test]
async fn many_of_which_each_failed_are_sent_again_with_their_key_once_they_are_mended() {
    let host = Setup::new().tickets().notifications().start();
    let key = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
    let many = async |path: &str, body: Value| {
        let request = keyed(host.post(path, &key), "k").json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::MULTI_STATUS, "{path}");
        let is_replayed = replayed(&answer);
        let told: Value = answer.json().await.unwrap();
        (told["succeeded"].clone(), is_replayed)
    };
    let nobody = "tkt_0199f3a6-5c1e-7a31-9d0e-3f4b6a1c2d5e";
    let bulk = "/support/tickets/bulk";
    for (path, wrong) in [
        (bulk, json!({"create": [{"subject": ""}, 1]})),
        (bulk, json!({"update": [{"id": nobody, "status": "open"}]})),
        (
            "/notifications",
            json!({"notifications": [{"title": ""}, {"template": "none"}]}),
        ),
    ] {
        for _ in 0..2 {
            assert_eq!(
                many(path, wrong.clone()).await,
                (json!(0), false),
                "{wrong}"
            );
        }
    }
    let ticket = json!({"subject": "s", "description": "d"});
    for (path, right) in [
        (bulk, json!({"create": [ticket, 1]})),
        (
            "/notifications",
            json!({"notifications": [{"title": "t"}, {"title": ""}]}),
        ),
    ] {
        for is_again in [false, true] {
            let told = many(path, right.clone()).await;
            assert_eq!(told, (json!(1), is_again), "{right}");
        }
    }
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
