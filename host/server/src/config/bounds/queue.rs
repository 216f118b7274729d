//! Between which numbers the settings of queues may lie.

use super::super::document::Document;
use super::{Bound, GIB, HOUR_MS, KIB, MIB};
use hearth_backend::queue::{Backend, Config, SqsConfig};

const DAY_MS: u64 = 24 * HOUR_MS;

/// What may be sent.
pub(super) fn messages(queue: &Config) -> [Bound; 9] {
    // One message fits.
    let message = (queue.message_bytes_max as u64).min(16 * MIB);
    [
        (
            "message_bytes_max",
            queue.message_bytes_max as u64,
            KIB..=16 * MIB,
        ),
        (
            "call_messages_max",
            queue.call_messages_max as u64,
            1..=10_000,
        ),
        (
            "call_bytes_max",
            queue.call_bytes_max as u64,
            message..=4 * GIB,
        ),
        ("attributes_max", queue.attributes_max as u64, 0..=100),
        (
            "attribute_name_bytes_max",
            queue.attribute_name_bytes_max as u64,
            1..=4 * KIB,
        ),
        ("delay_ms_max", queue.delay_ms_max, 0..=36_600 * DAY_MS),
        ("depth_max", queue.depth_max, 1..=1_000_000_000),
        (
            "customer_depth_percent_max",
            queue.customer_depth_percent_max,
            1..=100,
        ),
        (
            "sends_waiting_max",
            queue.sends_waiting_max as u64,
            1..=10_000_000,
        ),
    ]
}

/// How it is kept.
pub(super) fn upkeep(queue: &Config) -> [Bound; 12] {
    // One message fits, whatever else waits.
    let message = (queue.message_bytes_max as u64).min(16 * MIB);
    [
        ("retention_ms", queue.retention_ms, 60_000..=3_660 * DAY_MS),
        (
            "dead_retention_ms",
            queue.dead_retention_ms,
            60_000..=3_660 * DAY_MS,
        ),
        ("dead_letters_max", queue.dead_letters_max, 1..=100_000_000),
        ("poll_ms", queue.poll_ms, 10..=60_000),
        (
            "sends_waiting_bytes_max",
            queue.sends_waiting_bytes_max as u64,
            message..=64 * GIB,
        ),
        (
            "customer_sends_percent_max",
            queue.customer_sends_percent_max,
            1..=100,
        ),
        (
            "send_messages_max",
            queue.send_messages_max as u64,
            1..=10_000,
        ),
        ("send_bytes_max", queue.send_bytes_max as u64, KIB..=GIB),
        (
            "settle_messages_max",
            queue.settle_messages_max as u64,
            1..=1_000,
        ),
        ("operation_ms_max", queue.operation_ms_max, 10..=HOUR_MS),
        ("sweep_ms", queue.sweep_ms, 100..=HOUR_MS),
        ("count_ms", queue.count_ms, 100..=HOUR_MS),
    ]
}

pub(super) fn sqs(sqs: &SqsConfig) -> [Bound; 16] {
    [
        // SQS waits for no longer.
        ("long_poll_s_max", sqs.long_poll_s_max, 0..=20),
        ("call_bytes_max", sqs.call_bytes_max as u64, KIB..=MIB),
        ("message_bytes_max", sqs.message_bytes_max as u64, KIB..=MIB),
        ("calls_max", sqs.calls_max as u64, 1..=1_000),
        (
            "sends_waiting_max",
            sqs.sends_waiting_max as u64,
            1..=10_000_000,
        ),
        (
            "sends_waiting_bytes_max",
            sqs.sends_waiting_bytes_max as u64,
            MIB..=64 * GIB,
        ),
        (
            "customer_sends_percent_max",
            sqs.customer_sends_percent_max,
            1..=100,
        ),
        ("attempts_max", sqs.attempts_max.into(), 1..=100),
        ("backoff_ms", sqs.backoff_ms, 1..=60_000),
        ("backoff_ms_max", sqs.backoff_ms_max, 1..=600_000),
        ("connect_ms_max", sqs.connect_ms_max, 1..=600_000),
        ("attempt_ms_max", sqs.attempt_ms_max, 1..=600_000),
        ("operation_ms_max", sqs.operation_ms_max, 1..=HOUR_MS),
        // Longer than a hand-over may take, or two hosts would do it.
        (
            "relay_lease_ms",
            sqs.relay_lease_ms,
            sqs.operation_ms_max.min(HOUR_MS)..=12 * HOUR_MS,
        ),
        (
            "relay_messages_max",
            sqs.relay_messages_max as u64,
            1..=10_000,
        ),
        ("relay_retry_ms", sqs.relay_retry_ms, 10..=HOUR_MS),
    ]
}

/// Queues have the names that grants can have, and SQS has some.
pub(super) fn check_sqs(queue: &Config, document: &mut Document<'_>) {
    if queue.backend == Backend::Sqs && queue.sqs.queues.is_empty() {
        let text = "\"sqs\" needs queues: list each under [queue.sqs.queues]";
        document.blame(&["queue", "backend"], text.to_owned());
    }
    for (name, given) in &queue.sqs.queues {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = (1..=80).contains(&given.len()) && given.chars().all(plain);
        let url = ["https://", "http://"].iter().any(|s| given.starts_with(s));
        if !named && !url {
            let text = format!("expected the name or the URL of a queue in SQS, found {given:?}");
            document.blame(&["queue", "sqs", "queues", name], text);
        }
    }
}
