//! The sections of queues.

use super::mistakes;

#[test]
fn mistakes_about_queues_are_told_with_their_place() {
    let text = r#"
[queue]
backend = "kafka"
poll_ms = 1
depth_max = 0
customer_depth_percent_max = 101

[queue.sqs]
long_poll_s_max = 21
relay_lease_ms = 500

[queue.sqs.queues]
orders = "orders.fifo"
letters = "https://sqs.eu-central-1.amazonaws.com/1/letters"
bad = "a b"
"#;
    let told: Vec<_> = mistakes(text)
        .into_iter()
        .map(|(line, _, key, _)| (line, key))
        .collect();
    let expected = [
        (3, "queue.backend"),
        (4, "queue.poll_ms"),
        (5, "queue.depth_max"),
        (6, "queue.customer_depth_percent_max"),
        (9, "queue.sqs.long_poll_s_max"),
        (10, "queue.sqs.relay_lease_ms"),
        (15, "queue.sqs.queues.bad"),
    ];
    for (line, key) in expected {
        assert!(told.contains(&(line, key.to_owned())), "{key}: {told:?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:?}");
    let told = mistakes("[queue]\nbackend = \"sqs\"\n");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].3.contains("[queue.sqs.queues]"), "{told:?}");
}
