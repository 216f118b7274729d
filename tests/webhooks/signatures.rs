//! Receivers that verify with the public libraries of two languages.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::Verifying;

/// What the receiver is told of an answer that shows a secret.
fn verifier(shown: &Value) -> &str {
    let text = shown["secret"].as_str().or(shown["public_key"].as_str());
    text.unwrap()
}

async fn accepts(webhooks: &Webhooks, receiver: &Verifying, endpoint: &str) {
    let event = webhooks.event("invoice.paid").await;
    webhooks.until_status(&event, endpoint, "delivered").await;
    assert_eq!(receiver.accepted().await.last(), Some(&event));
}

/// The receiver keeps the old key while a rotation lasts, and takes the new one later.
async fn rotated(receiver: Verifying, before: &str, after: &str) {
    let webhooks = Webhooks::start();
    let made = webhooks
        .created(&receiver.url, json!({"signature": before}))
        .await;
    let endpoint = made["id"].as_str().unwrap();
    receiver.verifies_with(verifier(&made)).await;
    accepts(&webhooks, &receiver, endpoint).await;
    let path = format!("/endpoints/{endpoint}/secret");
    let body = json!({"signature": after});
    let rotated = webhooks.post(&format!("{path}/rotate"), body).await;
    assert_ne!(verifier(&rotated), verifier(&made));
    assert_eq!(verifier(&rotated["previous"][0]), verifier(&made));
    accepts(&webhooks, &receiver, endpoint).await;
    receiver.verifies_with(verifier(&rotated)).await;
    accepts(&webhooks, &receiver, endpoint).await;
    let shown = webhooks.get(&path).await;
    assert_eq!(verifier(&shown), verifier(&rotated));
    // At once, for a secret that somebody has who should not.
    let body = json!({"overlap_seconds": 0});
    let replaced = webhooks.post(&format!("{path}/rotate"), body).await;
    assert_eq!(
        replaced["previous"].as_array().unwrap().len(),
        1,
        "not the one before"
    );
    receiver.verifies_with(verifier(&replaced)).await;
    accepts(&webhooks, &receiver, endpoint).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn library_of_pypi_accepts_v1_through_a_rotation() {
    rotated(Verifying::python(), "v1", "v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn library_of_npm_accepts_v1_through_a_rotation() {
    rotated(Verifying::node(), "v1", "v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pynacl_accepts_v1a_through_a_rotation() {
    rotated(Verifying::python(), "v1a", "v1a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crypto_of_node_accepts_v1a_through_a_rotation_from_v1() {
    rotated(Verifying::node(), "v1", "v1a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_that_a_customer_brings_along_signs() {
    let (webhooks, receiver) = (Webhooks::start(), Verifying::python());
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let endpoint = webhooks
        .endpoint(&receiver.url, json!({"secret": secret}))
        .await;
    receiver.verifies_with(secret).await;
    accepts(&webhooks, &receiver, &endpoint).await;
    let path = format!("/endpoints/{endpoint}/test");
    let (_, told) = webhooks.ask(Method::POST, &path, Value::Null).await;
    let event = told["id"].as_str().unwrap();
    webhooks.until_status(event, &endpoint, "delivered").await;
    assert_eq!(receiver.accepted().await.last().unwrap(), event);
}
