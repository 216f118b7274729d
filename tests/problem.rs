//! The host's own answers: RFC 9457.

use std::time::Duration;

use bytes::Bytes;
use hearth::edge::problem::{FieldError, Problem};
use http::Response;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

fn all() -> Vec<Problem> {
    let wait = Duration::from_millis(1_500);
    vec![
        Problem::bad_request("The query is not UTF-8."),
        Problem::unauthorized(),
        Problem::forbidden(),
        Problem::not_found(),
        Problem::method_not_allowed(&["GET", "POST"]),
        Problem::request_timeout(),
        Problem::payload_too_large(1_024),
        Problem::uri_too_long(8_192),
        Problem::too_many_requests(wait),
        Problem::too_many_concurrent_requests(wait),
        Problem::too_many_body_bytes(wait),
        Problem::too_many_answer_bytes(wait),
        Problem::too_many_idempotency_keys(wait, wait),
        Problem::too_many_streams(wait),
        Problem::headers_too_large(100, 65_536),
        Problem::guest_trapped(),
        Problem::guest_memory(),
        Problem::guest_bad_response(),
        Problem::deadline_exceeded(),
        Problem::overloaded(wait),
        Problem::unavailable(wait),
        Problem::internal(),
    ]
}

async fn body(response: Response<Full<Bytes>>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn every_problem_has_all_members_and_names_who_is_to_blame() {
    for problem in all() {
        let status = problem.status.as_u16();
        let response = problem.into_response("req_1", "/support/tickets");
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["x-request-id"], "req_1");
        let body = body(response).await;
        assert_eq!(body["status"], status);
        assert_eq!(body["instance"], "/support/tickets");
        assert_eq!(body["request_id"], "req_1");
        assert!(
            body["type"]
                .as_str()
                .unwrap()
                .starts_with("urn:hearth:problem:")
        );
        assert!(!body["title"].as_str().unwrap().is_empty());
        assert!(!body["detail"].as_str().unwrap().is_empty());
        let client = body["blame"] == "client";
        assert_eq!(client, (400..500).contains(&status), "{body}");
        assert!(body.get("errors").is_none());
    }
}

#[test]
fn every_kind_has_its_own_type() {
    let mut kinds: Vec<&str> = all().iter().map(|problem| problem.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), all().len());
}

#[test]
fn what_can_be_tried_again_says_when_in_whole_seconds() {
    for problem in all() {
        let waits = matches!(problem.status.as_u16(), 429 | 503);
        let response = problem.into_response("req_1", "/");
        let header = response.headers().get("retry-after");
        assert_eq!(
            header.map(|value| value.to_str().unwrap()),
            waits.then_some("2")
        );
    }
    let soon = Problem::unavailable(Duration::ZERO).into_response("req_1", "/");
    assert_eq!(soon.headers()["retry-after"], "1");
}

#[test]
fn a_missing_key_is_told_how_to_come_back() {
    let response = Problem::unauthorized().into_response("req_1", "/");
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let response = Problem::method_not_allowed(&["GET", "POST"]).into_response("req_1", "/");
    assert_eq!(response.headers()["allow"], "GET, POST");
}

#[test]
fn a_body_that_was_not_read_ends_the_connection() {
    let response = Problem::payload_too_large(1).into_response("req_1", "/");
    assert_eq!(response.headers()["connection"], "close");
    assert!(
        Problem::not_found()
            .into_response("r", "/")
            .headers()
            .get("connection")
            .is_none()
    );
}

#[tokio::test]
async fn strange_paths_and_ids_break_nothing() {
    let path = format!("/\"\u{0}\n{}", "é".repeat(100_000));
    let response = Problem::not_found().into_response("req\r\nx: y", &path);
    assert!(response.headers().get("x-request-id").is_none());
    let body = body(response).await;
    assert_eq!(body["instance"].as_str().unwrap().chars().count(), 1_024);
}

#[tokio::test]
async fn wrong_fields_are_listed_and_bounded() {
    let error = |n: usize| FieldError {
        pointer: format!("/items/{n}"),
        detail: "expected a string".to_owned(),
    };
    let problem = Problem::bad_request("Wrong.").with_errors((0..1_000).map(error).collect());
    let body = body(problem.into_response("req_1", "/")).await;
    assert_eq!(body["errors"].as_array().unwrap().len(), 100);
    assert_eq!(body["errors"][1]["pointer"], "/items/1");
}
