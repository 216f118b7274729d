//! What the plugin does before it asks Postgres anything. The rest is tested
//! through the host, on a real Postgres.

use std::time::Duration;

use hearth_plugin::context::{Context, Deadline};
use hearth_plugin::prelude::*;

use crate::ticket::Summary;
use crate::{audits, router, status};

fn request(method: &str, target: &str, body: &str, scopes: &[&str]) -> Request {
    let caller = Caller {
        customer_id: "acme".into(),
        key_id: "key_1".into(),
        scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
    };
    let deadline = Deadline::after(Duration::from_secs(1));
    let mount = "/support".to_string();
    let context = Context {
        request_id: "r".into(),
        caller: Some(caller),
        deadline,
        mount,
    };
    Request::new(method, target, context).with_body(body.as_bytes().to_vec())
}

fn ask(method: &str, target: &str, body: &str) -> (u16, Value) {
    let response = router().answer(&request(method, target, body, &["customer"]));
    let text = std::str::from_utf8(response.bytes()).unwrap();
    (response.status(), Json::parse(text).unwrap().0)
}

const TICKET: &str = "/support/tickets/tkt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

#[test]
fn every_wrong_field_of_a_new_ticket_is_named() {
    let body = r#"{"subject": "", "priority": "huge", "type": 1, "tags": "a", "custom_fields": [],
        "external_id": "", "requester": {"email": "nobody"}, "colour": "red"}"#;
    for path in ["/support/tickets", "/support/tickets/create"] {
        let (status, problem) = ask("POST", path, body);
        assert_eq!(status, 422);
        let expected = [
            "/subject",
            "/description",
            "/priority",
            "/type",
            "/external_id",
            "/requester/email",
            "/tags",
            "/custom_fields",
            "/colour",
        ];
        assert_eq!(pointers(&problem), expected);
    }
}

#[test]
fn a_patch_of_another_type_is_415_and_told_which_are_taken() {
    let operations = r#"[{"op": "remove", "path": "/tags"}]"#;
    let kind = (
        "content-type".to_string(),
        b"application/json-patch+json".to_vec(),
    );
    let request = request("PATCH", TICKET, operations, &["customer"]).with_headers(vec![kind]);
    let response = router().answer(&request);
    assert_eq!(response.status(), 415);
    let taken = "application/merge-patch+json, application/json";
    assert_eq!(response.get_header("accept-patch"), Some(taken));
}

#[test]
fn a_body_that_is_not_json_is_400() {
    for body in ["", "{", "subject=x&description=y"] {
        assert_eq!(ask("POST", "/support/tickets", body).0, 400, "{body}");
    }
}

#[test]
fn customers_may_not_assign_nor_write_internal_comments() {
    let new = r#"{"subject": "s", "description": "d", "assignee": "eve"}"#;
    assert_eq!(ask("POST", "/support/tickets", new).0, 403);
    assert_eq!(ask("PATCH", TICKET, r#"{"assignee": null}"#).0, 403);
    let comments = format!("{TICKET}/comments");
    assert_eq!(
        ask("POST", &comments, r#"{"body": "b", "public": false}"#).0,
        403
    );
}

#[test]
fn customers_may_not_delete_nor_redact() {
    assert_eq!(ask("DELETE", TICKET, "").0, 403);
    let redact = format!("{TICKET}/redact");
    assert_eq!(ask("POST", &redact, r#"{"text": "Ada"}"#).0, 403);
}

#[test]
fn what_there_is_not_to_be_included_is_400() {
    for path in [
        "/support/tickets?include=audits",
        "/support/tickets?include=description&page=2",
        "/support/tickets/tkt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f?include=all",
    ] {
        assert_eq!(ask("GET", path, "").0, 400, "{path}");
    }
}

#[test]
fn customers_answer_opens_what_waits_for_it_or_was_solved() {
    let opened = status::ALL.map(status::waits_for_answer);
    assert_eq!(opened, [false, false, true, true, true, false]);
}

#[test]
fn customers_may_not_merge_nor_change_in_bulk_and_agents_may_not_rate() {
    let merge = format!("{TICKET}/merge");
    assert_eq!(ask("POST", &merge, r#"{"into": "tkt_1"}"#).0, 403);
    let create = r#"{"create": [{"subject": "s", "description": "d"}]}"#;
    assert_eq!(ask("POST", "/support/tickets/bulk", create).0, 403);
    let rating = format!("{TICKET}/satisfaction");
    let agent = request(
        "POST",
        &rating,
        r#"{"score": "good"}"#,
        &["customer", "agent"],
    );
    assert_eq!(router().answer(&agent).status(), 403);
}

#[test]
fn merging_into_itself_or_into_no_ticket_is_422_without_a_look_up() {
    let own = TICKET.strip_prefix("/support/tickets/").unwrap();
    for into in [own, "7", ""] {
        let body = json!({"into": into}).to_string();
        let agent = request("POST", &format!("{TICKET}/merge"), &body, &["agent"]);
        assert_eq!(router().answer(&agent).status(), 422, "{into}");
    }
}

#[test]
fn wrong_tags_are_named_by_their_index() {
    let (status, problem) = ask(
        "PUT",
        &format!("{TICKET}/tags"),
        r#"{"tags": ["a", "", 7]}"#,
    );
    assert_eq!((status, pointers(&problem)), (422, vec!["/tags/2"]));
    let (status, problem) = ask(
        "DELETE",
        &format!("{TICKET}/tags"),
        r#"{"tags": ["a", ""]}"#,
    );
    assert_eq!((status, pointers(&problem)), (422, vec!["/tags/1"]));
    assert_eq!(ask("PUT", &format!("{TICKET}/tags"), "{}").0, 422);
}

#[test]
fn exports_and_changes_have_no_pages() {
    for list in ["export.csv", "changes"] {
        let path = format!("/support/tickets/{list}?page=2");
        assert_eq!(ask("GET", &path, "").0, 400, "{list}");
    }
}

#[test]
fn what_is_no_ticket_id_is_404_without_a_look_up() {
    for id in [
        "1",
        "created",
        "tkt_",
        "tkt_%00",
        "ntf_017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ] {
        assert_eq!(
            ask("GET", &format!("/support/tickets/{id}"), "").0,
            404,
            "{id}"
        );
    }
}

#[test]
fn the_transitions_are_those_of_zendesk() {
    let legal = [
        ("new", "open pending hold solved"),
        ("open", "pending hold solved"),
        ("pending", "open hold solved"),
        ("hold", "open pending solved"),
        ("solved", "open pending hold closed"),
        ("closed", ""),
    ];
    for (from, to) in legal {
        for other in status::ALL {
            let expected = from == other || to.split(' ').any(|to| to == other);
            assert_eq!(
                status::may_become(from, other),
                expected,
                "{from} to {other}"
            );
        }
    }
}

fn ticket() -> Summary {
    Summary {
        id: "tkt_1".into(),
        version: 1,
        status: "new".into(),
        priority: "normal".into(),
        r#type: None,
        subject: "s".into(),
        assignee: Some("eve".into()),
        external_id: None,
        requester: None,
        tags: vec![],
        custom_fields: Json(json!({"a": 1, "b": 2})),
        satisfaction: None,
        satisfaction_comment: None,
        merged_into: None,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        solved_at: None,
    }
}

#[test]
fn a_patch_changes_what_it_names_and_the_audit_tells_it() {
    let patch = crate::change::Patch {
        subject: None,
        status: Some("open".into()),
        priority: Some("normal".into()),
        kind: Change::Keep,
        assignee: Change::Clear,
        external_id: Change::Set("x".into()),
        requester: Change::Keep,
        tags: Some(vec!["t".into()]),
        custom_fields: set(json!({"a": null, "c": 3})),
    };
    let after = patch.apply(&ticket()).unwrap();
    assert_eq!(after.custom_fields, Json(json!({"b": 2, "c": 3})));
    let change =
        |field, from, to| json!({"type": "change", "field": field, "from": from, "to": to});
    let expected = [
        change("assignee", json!("eve"), Value::Null),
        change("custom_fields/c", Value::Null, json!(3)),
        change("custom_fields/a", json!(1), Value::Null),
        change("external_id", Value::Null, json!("x")),
        change("status", json!("new"), json!("open")),
        change("tags", json!([]), json!(["t"])),
    ];
    assert_eq!(audits::changed(&ticket(), &after), expected);
}

fn set(object: Value) -> Change<Map<String, Value>> {
    Change::Set(object.as_object().unwrap().clone())
}

#[test]
fn custom_fields_are_merged_at_every_depth_within_their_bound() {
    let patched = |body: Value| {
        let patch = crate::change::Patch::read(Fields::of(body).unwrap()).unwrap();
        let after = patch.apply(&Summary {
            custom_fields: Json(json!({"a": {"b": {"c": 1}}, "d": 2})),
            ..ticket()
        });
        after.map(|after| after.custom_fields.0)
    };
    let nested = json!({"custom_fields": {"a": {"b": {"e": 3}, "f": null}}});
    let expected = json!({"a": {"b": {"c": 1, "e": 3}}, "d": 2});
    assert_eq!(patched(nested).unwrap(), expected);
    let gone = json!({"custom_fields": {"a": {"b": null}}});
    assert_eq!(patched(gone).unwrap(), json!({"a": {}, "d": 2}));
    assert_eq!(patched(json!({"custom_fields": null})).unwrap(), json!({}));
    let long = json!({"custom_fields": {"g": "x".repeat(16 * 1024 - 9)}});
    assert_eq!(patched(long).unwrap_err().status(), 422);
}

#[test]
fn an_illegal_transition_is_409() {
    let mut patch = crate::change::Patch {
        subject: None,
        status: Some("closed".into()),
        priority: None,
        kind: Change::Keep,
        assignee: Change::Keep,
        external_id: Change::Keep,
        requester: Change::Keep,
        tags: None,
        custom_fields: Change::Keep,
    };
    assert_eq!(patch.apply(&ticket()).unwrap_err().status(), 409);
    patch.status = Some("new".into());
    assert!(audits::changed(&ticket(), &patch.apply(&ticket()).unwrap()).is_empty());
}

#[test]
fn the_answer_shows_the_id_twice_and_the_version_as_etag() {
    let response = ticket().answer(200, "d").unwrap();
    assert_eq!(response.get_header("etag"), Some("\"1\""));
    let body = Json::parse(std::str::from_utf8(response.bytes()).unwrap())
        .unwrap()
        .0;
    assert_eq!(
        (&body["id"], &body["ticket_id"]),
        (&json!("tkt_1"), &json!("tkt_1"))
    );
    assert_eq!(body["type"], Value::Null);
}
