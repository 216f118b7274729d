//! What the plugin does before it asks Postgres anything: `cargo test`.

use hearth_plugin::Timestamp;
use hearth_plugin::consumer::{Disposition, Message};
use hearth_plugin::testing::TestHost;

fn message(body: &str) -> Message {
    Message {
        id: "msg_1".into(),
        queue: "template-worker".into(),
        body: body.into(),
        attributes: Vec::new(),
        attempt: 1,
        sent_at: Timestamp::from_micros(0),
    }
}

#[test]
fn message_without_a_text_is_a_dead_letter() {
    let bodies = ["no JSON", "[]", "{}", r#"{"text": 1}"#];
    let host = TestHost::start();
    let consumed = crate::consume(&host.batch(bodies.map(message).to_vec()));
    assert_eq!(consumed.len(), bodies.len());
    for disposition in consumed {
        assert!(matches!(disposition, Disposition::DeadLetter(_)));
    }
}

#[test]
fn text_of_a_letter_is_read() {
    let letter = message(r#"{"text": "good day", "more": 1}"#);
    assert_eq!(crate::text(&letter).as_deref(), Some("good day"));
}
