//! What the plugin does before it asks Postgres anything: `cargo test`.

use hearth_plugin::testing::TestHost;

/// The status of the answer to a request.
fn ask(method: &str, target: &str, body: &str) -> u16 {
    let request = TestHost::start().request(method, target);
    crate::router()
        .answer(&request.with_body(body.into()))
        .status()
}

#[test]
fn note_without_a_text_is_refused() {
    for body in ["{}", r#"{"text": ""}"#, r#"{"text": "a", "colour": 1}"#] {
        assert_eq!(ask("POST", "/template-full", body), 422, "{body}");
    }
    assert_eq!(ask("POST", "/template-full", "no JSON"), 400);
}

#[test]
fn what_is_no_id_is_not_found() {
    assert_eq!(ask("GET", "/template-full/1", ""), 404);
    assert_eq!(ask("DELETE", "/template-full", ""), 405);
    assert_eq!(ask("GET", "/template-full?limit=0", ""), 400);
}

#[test]
fn words_are_what_spaces_part() {
    assert_eq!(crate::count::words(""), 0);
    assert_eq!(crate::count::words(" one\n two "), 2);
}
