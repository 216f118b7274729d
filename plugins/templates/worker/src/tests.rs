//! What the plugin does before it asks the host anything: `cargo test`.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::context::Deadline;
use hearth_plugin::{Context, Timestamp};

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
    let context = Context {
        request_id: "test".into(),
        caller: None,
        deadline: Deadline::after(Duration::from_secs(1)),
        mount: String::new(),
    };
    let bodies = ["no JSON", "[]", "{}", r#"{"text": 1}"#];
    let messages = bodies.map(message).to_vec();
    let consumed = crate::consume(&Batch { context, messages });
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
