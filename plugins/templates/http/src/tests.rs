//! What the plugin does before it asks the host anything: `cargo test`.

use std::time::Duration;

use hearth_plugin::context::Deadline;
use hearth_plugin::{Context, Request};

/// The status of the answer to a request.
fn ask(method: &str, target: &str, body: &str) -> u16 {
    let context = Context {
        request_id: "test".into(),
        caller: None,
        deadline: Deadline::after(Duration::from_secs(1)),
        mount: "/template-http".into(),
    };
    let request = Request::new(method, target, context).with_body(body.into());
    crate::router().answer(&request).status()
}

#[test]
fn note_without_a_text_is_refused() {
    for body in ["{}", r#"{"text": ""}"#, r#"{"text": "a", "colour": 1}"#] {
        assert_eq!(ask("POST", "/template-http", body), 422, "{body}");
    }
    assert_eq!(ask("POST", "/template-http", "no JSON"), 400);
}

#[test]
fn what_is_no_id_is_not_found() {
    assert_eq!(ask("GET", "/template-http/1", ""), 404);
    assert_eq!(ask("DELETE", "/template-http", ""), 405);
    assert_eq!(ask("GET", "/template-http?limit=0", ""), 400);
}
