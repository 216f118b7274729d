//! The same post again: with a key it is the same notification, whatever became of it.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Customer, Inbox, id, on_dynamodb, setup};
use crate::harness::dynamodb::Private;
use crate::harness::fleet::Fleet;
use crate::harness::host::runs;
use crate::harness::postgres::until;
use crate::idempotency::QUICK;
use crate::idempotency::crash::{hold_answers, let_answers_go};

async fn keyed(customer: &Customer<'_>, key: &str, body: &Value) -> Response {
    let request = customer.request(Method::POST, "").json(body);
    request.header("idempotency-key", key).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_post_after_the_notification_was_read_leaves_one_and_it_is_still_read() {
    let inbox = Inbox::start();
    let (customer, body) = (inbox.customer(), json!({"title": "once"}));
    let first = keyed(&customer, "k", &body).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let first: Value = first.json().await.unwrap();
    customer.patch(&id(&first), json!({"read": true})).await;
    let again = keyed(&customer, "k", &body).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    let listed = customer.list("").await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0]["read_at"].is_string(), "{listed:?}");
    assert_eq!(customer.unread("").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_without_a_key_are_each_their_own() {
    let inbox = Inbox::start();
    let customer = inbox.customer();
    let ids = [customer.titled("t").await, customer.titled("t").await];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(customer.unread("").await, 2);
}

/// Asks again until the dead host's claim is let go.
async fn settled(customer: &Customer<'_>, key: &str, body: &Value) -> Value {
    for _ in 0..600 {
        let answer = keyed(customer, key, body).await;
        if answer.status().is_success() {
            assert!(!answer.headers().contains_key("idempotency-replayed"));
            return answer.json().await.unwrap();
        }
        let status = answer.status();
        let held = [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE];
        assert!(held.contains(&status), "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the key was never let go")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_whose_answer_was_lost_with_the_host_is_the_same_when_it_comes_again() {
    let (fleet, private) = (Fleet::start().await, Private::start().await);
    let start = || fleet.host(|with| on_dynamodb(setup(with.config(QUICK)), private.url()));
    let mut host = tokio::task::block_in_place(start);
    let api_key = host.key("acme", &[]);
    let database = fleet.cluster.connect(None).await;
    let body =
        json!({"notifications": [{"title": "read"}, {"title": "deleted"}, {"title": "left"}]});
    for _ in 0..runs(5, 100) {
        let key = Uuid::now_v7().to_string();
        hold_answers(&database).await;
        let post = host.post("/notifications", &api_key).json(&body);
        let asked = tokio::spawn(post.header("idempotency-key", &key).send());
        // They are stored, and the answer is not kept: this is the window.
        until(async || Customer::at(&host, &api_key).list("").await.len() == 3).await;
        host.kill();
        assert!(asked.await.unwrap().is_err(), "nobody got an answer");
        let_answers_go(&database).await;
        tokio::task::block_in_place(|| host.restart());
        let customer = Customer::at(&host, &api_key);
        let before = customer.ids("").await;
        customer.patch(&before[2], json!({"read": true})).await;
        let path = format!("/{}", before[1]);
        customer.done(Method::DELETE, &path, Value::Null).await;
        let told = settled(&customer, &key, &body).await;
        let mut again: Vec<_> = told["results"].as_array().unwrap().iter().map(id).collect();
        again.reverse();
        assert_eq!(again, before, "the same ids, whenever they are made");
        let listed = customer.list("").await;
        let shown: Vec<_> = listed
            .iter()
            .map(|one| (id(one), one["read_at"].is_string()))
            .collect();
        let expected = [(before[0].clone(), false), (before[2].clone(), true)];
        assert_eq!(shown, expected, "read, and not there any more");
        for (id, _) in expected {
            customer
                .done(Method::DELETE, &format!("/{id}"), Value::Null)
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_of_many_that_is_run_again_leaves_all_as_they_were_marked_meanwhile() {
    let (fleet, private) = (Fleet::start().await, Private::start().await);
    let start = || fleet.host(|with| on_dynamodb(setup(with.config(QUICK)), private.url()));
    let mut host = tokio::task::block_in_place(start);
    let api_key = host.key("acme", &[]);
    let database = fleet.cluster.connect(None).await;
    let body = json!({"notifications": vec![json!({"title": "t"}); 400]});
    hold_answers(&database).await;
    let post = host.post("/notifications", &api_key).json(&body);
    let asked = tokio::spawn(post.header("idempotency-key", "k").send());
    until(async || Customer::at(&host, &api_key).list("").await.len() == 400).await;
    host.kill();
    assert!(asked.await.unwrap().is_err(), "nobody got an answer");
    let_answers_go(&database).await;
    tokio::task::block_in_place(|| host.restart());
    let customer = Customer::at(&host, &api_key);
    let before = customer.ids("").await;
    customer.done(Method::POST, "/read", json!({})).await;
    let told = settled(&customer, "k", &body).await;
    assert_eq!(told["succeeded"], 400, "{told}");
    assert_eq!(customer.ids("").await, before);
    assert_eq!(customer.unread("").await, 0, "they are still read");
    let trapped = host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", host.log());
}
