//! What the plugin does before it asks the host or Postgres anything. The rest is tested through
//! the host, on a real Postgres, with real receivers.

use std::time::Duration;

use hearth_plugin::context::{Context, Deadline};
use hearth_plugin::prelude::*;

use crate::router;

fn ask(method: &str, target: &str, body: &str) -> (u16, Value) {
    let caller = Caller {
        customer_id: "acme".into(),
        key_id: "key_1".into(),
        scopes: Vec::new(),
    };
    let context = Context {
        request_id: "r".into(),
        caller: Some(caller),
        deadline: Deadline::after(Duration::from_secs(1)),
        mount: "/webhooks".into(),
    };
    let request = Request::new(method, target, context).with_body(body.as_bytes().to_vec());
    let response = router().answer(&request);
    let text = std::str::from_utf8(response.bytes()).unwrap();
    (response.status(), Json::parse(text).unwrap_or_default().0)
}

const ENDPOINT: &str = "/webhooks/endpoints/ep_017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
const EVENT: &str = "/webhooks/events/evt_017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

#[test]
fn a_wrong_job_is_refused_before_anything_is_done() {
    for (path, body) in [
        ("/recover", "{}"),
        ("/recover", r#"{"since": "yesterday"}"#),
        (
            "/replay-missing",
            r#"{"since": "2026-01-01T00:00:00Z", "x": 1}"#,
        ),
        ("/secret/rotate", r#"{"overlap_seconds": -1}"#),
        ("/secret/rotate", r#"{"secret": "x"}"#),
        ("/test", r#"{"type": "a b"}"#),
        ("/enable", r#"{"x": 1}"#),
    ] {
        let path = [ENDPOINT, path].concat();
        assert_eq!(ask("POST", &path, body).0, 422, "{path} {body}");
    }
    for body in [
        "{}",
        r#"{"all": false}"#,
        r#"{"event_ids": []}"#,
        r#"{"event_ids": ["x"]}"#,
    ] {
        assert_eq!(ask("POST", "/webhooks/dlq/redrive", body).0, 422, "{body}");
    }
}

#[test]
fn ids_that_are_none_are_404() {
    for path in [
        "/webhooks/endpoints/ep_1",
        "/webhooks/events/1/attempts",
        "/webhooks/event-types/a%20b",
        "/webhooks/nothing",
    ] {
        assert_eq!(ask("GET", path, "").0, 404, "{path}");
    }
    let resend = [EVENT, "/endpoints/evt_1/resend"].concat();
    assert_eq!(ask("POST", &resend, "").0, 404);
    assert_eq!(ask("DELETE", EVENT, "").0, 405);
}

#[test]
fn lists_refuse_parameters_that_they_do_not_know() {
    for target in [
        "/webhooks/endpoints?page=1",
        "/webhooks/events?type=a%20b",
        "/webhooks/events?since=today",
        "/webhooks/dlq?endpoint_id=1",
        "/webhooks/event-types?limit=101",
    ] {
        assert_eq!(ask("GET", target, "").0, 400, "{target}");
    }
    assert_eq!(
        ask("GET", &[ENDPOINT, "/attempts?outcome=well"].concat(), "").0,
        400
    );
}
