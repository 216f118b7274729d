//! Between which numbers the settings of `push` may lie.

use super::{Bound, Document, GIB, HOUR_MS, KIB, MIB, note};
use hearth_runtime::capability::push::Config;

pub(super) fn check(push: &Config, document: &mut Document<'_>) {
    note(document, &["push"], &streams(push));
    note(document, &["push"], &events(push));
    note(document, &["push"], &listeners(push));
    note(document, &["push"], &times(push));
}

fn streams(push: &Config) -> [Bound; 5] {
    let streams = 0..=1_000_000;
    [
        ("streams_max", push.streams_max as u64, streams.clone()),
        (
            "customer_streams_max",
            push.customer_streams_max as u64,
            streams,
        ),
        ("channels_max", push.channels_max as u64, 1..=100),
        ("name_bytes_max", push.name_bytes_max as u64, 24..=KIB),
        ("pages_max", push.pages_max as u64, 1..=100),
    ]
}

fn events(push: &Config) -> [Bound; 7] {
    let batch = push.event_bytes_max as u64;
    [
        ("event_bytes_max", push.event_bytes_max as u64, 1..=MIB),
        (
            "publications_max",
            push.publications_max as u64,
            1..=100_000,
        ),
        // An event shall find room, whatever it takes beside its data.
        (
            "waiting_bytes_max",
            push.waiting_bytes_max as u64,
            batch + KIB..=64 * GIB,
        ),
        (
            "customer_waiting_percent_max",
            push.customer_waiting_percent_max,
            1..=100,
        ),
        (
            "batch_events_max",
            push.batch_events_max as u64,
            1..=100_000,
        ),
        (
            "batch_bytes_max",
            push.batch_bytes_max as u64,
            64 * KIB..=GIB,
        ),
        (
            "log_events_max",
            push.log_events_max as u64,
            1..=100_000_000,
        ),
    ]
}

fn listeners(push: &Config) -> [Bound; 4] {
    [
        (
            "listener_events_max",
            push.listener_events_max as u64,
            1..=100_000,
        ),
        (
            "listener_bytes_max",
            push.listener_bytes_max as u64,
            KIB..=64 * MIB,
        ),
        ("page_events_max", push.page_events_max as u64, 1..=10_000),
        ("page_bytes_max", push.page_bytes_max as u64, KIB..=64 * MIB),
    ]
}

fn times(push: &Config) -> [Bound; 9] {
    [
        ("publish_ms_max", push.publish_ms_max, 1..=HOUR_MS),
        ("slow_ms_max", push.slow_ms_max, 0..=HOUR_MS),
        ("heartbeat_ms", push.heartbeat_ms, 100..=HOUR_MS),
        ("retry_ms", push.retry_ms, 1..=HOUR_MS),
        // With the look itself, streams shall end within a second.
        ("key_look_ms", push.key_look_ms, 10..=500),
        ("poll_ms", push.poll_ms, 10..=HOUR_MS),
        ("read_ms_max", push.read_ms_max, 100..=HOUR_MS),
        ("log_ms_max", push.log_ms_max, 1_000..=30 * 24 * HOUR_MS),
        ("sweep_ms", push.sweep_ms, 10..=HOUR_MS),
    ]
}
