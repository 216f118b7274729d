use std::time::Duration;

use super::*;
use crate::context::{Context, Deadline};
use crate::json::Json;

fn ask(method: &str, target: &str) -> Response {
    let deadline = Deadline::after(Duration::from_secs(1));
    let mount = "/support".to_string();
    let context = Context {
        request_id: "req_1".into(),
        caller: None,
        deadline,
        mount,
    };
    router().answer(&Request::new(method, target, context))
}

fn router() -> Router {
    fn list(_: &Request) -> Answer {
        Response::json(200, &"list")
    }
    fn show(_: &Request, id: String) -> Answer {
        Response::json(200, &id)
    }
    fn part(_: &Request, id: i64, part: String) -> Answer {
        Response::json(200, &(id, part))
    }
    Router::new()
        .get("/tickets", list)
        .post("/tickets", list)
        .get("/tickets/{id}", show)
        .get("/tickets/count", list)
        .post("/tickets/create", list)
        .get("/tickets/{id}/parts/{part}", part)
}

fn body(response: &Response) -> Json {
    Json::parse(std::str::from_utf8(response.bytes()).unwrap()).unwrap()
}

#[test]
fn path_parameters_are_decoded_and_typed() {
    assert_eq!(
        ask("GET", "/support/tickets/a%2Fb%20c?x").bytes(),
        br#""a/b c""#
    );
    assert_eq!(
        ask("GET", "/support/tickets/7/parts/x").bytes(),
        br#"[7,"x"]"#
    );
    assert_eq!(ask("GET", "/support/tickets/seven/parts/x").status(), 404);
}

#[test]
fn a_literal_wins_over_a_parameter_whatever_their_order() {
    assert_eq!(ask("GET", "/support/tickets/count").bytes(), br#""list""#);
    assert_eq!(ask("GET", "/support/tickets/create").status(), 405);
}

#[test]
fn path_with_a_slash_at_its_end_is_the_path_before_it() {
    assert_eq!(
        ask("GET", "/support/tickets/?limit=1").bytes(),
        br#""list""#
    );
    assert_eq!(ask("GET", "/support/tickets/7/").bytes(), br#""7""#);
    assert_eq!(ask("GET", "/support/tickets/count/").bytes(), br#""list""#);
    assert_eq!(ask("DELETE", "/support/tickets/").status(), 405);
}

#[test]
fn what_is_no_route_is_404() {
    for path in [
        "/",
        "/support",
        "/supportive",
        "/support/ticket",
        "/support/tickets//",
        "/support//tickets",
        "/other/tickets",
        "/support/tickets/a%00b",
        "/support/tickets/%ff",
        "/support/tickets/1/parts/",
    ] {
        let response = ask("GET", path);
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(
            response.get_header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn another_method_is_405_and_names_those_that_there_are() {
    let response = ask("DELETE", "/support/tickets");
    assert_eq!(response.status(), 405);
    assert_eq!(
        response.get_header("allow"),
        Some("GET, HEAD, OPTIONS, POST")
    );
    let response = ask("OPTIONS", "/support/tickets/create");
    assert_eq!(response.status(), 204);
    assert_eq!(response.get_header("allow"), Some("OPTIONS, POST"));
}

#[test]
fn head_is_get_and_the_host_keeps_the_body() {
    let response = ask("HEAD", "/support/tickets");
    let get = ask("GET", "/support/tickets");
    assert_eq!((response.status(), response.bytes()), (200, get.bytes()));
    assert_eq!(
        response.get_header("content-type"),
        Some("application/json")
    );
    assert_eq!(ask("HEAD", "/support/tickets/count").status(), 200);
    assert_eq!(ask("HEAD", "/support/nothing").status(), 404);
}

#[test]
fn a_problem_carries_instance_and_request_id() {
    let Json(problem) = body(&ask("GET", "/support/nothing"));
    assert_eq!(problem["type"], "urn:hearth:problem:not-found");
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["instance"], "/support/nothing");
    assert_eq!(problem["request_id"], "req_1");
}
