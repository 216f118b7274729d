//! The person who asks, or who wrote a comment.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id};

#[tokio::test]
async fn requester_is_kept_with_tickets_and_comments_and_changed_member_by_member() {
    let support = Support::open();
    let ada = json!({"name": "Ada Lovelace", "email": "ada@example.com"});
    let ticket = json!({"subject": "s", "description": "d", "requester": ada});
    let made = support.create(ticket).await;
    assert_eq!(made["requester"], ada);
    let path = |rest: &str| format!("/support/tickets/{}{rest}", id(&made));
    let (_, list) = support.get("/support/tickets").await;
    assert_eq!(list["tickets"][0]["requester"], ada);
    let (_, changes) = support.get("/support/tickets/changes").await;
    assert_eq!(changes["changes"][0]["requester"], ada);
    let change = json!({"requester": {"email": null, "name": "Ada King"}});
    let (status, changed) = support.ask(Method::PATCH, &path(""), false, change).await;
    assert_eq!(
        (status, &changed["requester"]),
        (StatusCode::OK, &json!({"name": "Ada King"}))
    );
    let comment = json!({"body": "b", "requester": {"name": "Eve"}});
    let (_, said) = support
        .ask(Method::POST, &path("/comments"), false, comment)
        .await;
    assert_eq!(said["requester"], json!({"name": "Eve"}));
    let (_, comments) = support.get(&path("/comments")).await;
    assert_eq!(comments["comments"][0], said);
    let gone = json!({"requester": null});
    let (_, changed) = support.ask(Method::PATCH, &path(""), false, gone).await;
    assert_eq!(changed["requester"], Value::Null);
    let wrong = json!({"body": "b", "requester": {"email": "ada", "phone": "1"}});
    let (status, problem) = support
        .ask(Method::POST, &path("/comments"), false, wrong)
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let pointers = problem["errors"].as_array().unwrap().iter();
    let pointers: Vec<_> = pointers
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/requester/email", "/requester/phone"]);
}
