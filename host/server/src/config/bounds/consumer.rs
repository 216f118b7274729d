//! Between which numbers the settings of consumers and schedules may lie.

use super::{Bound, KIB};
use crate::schedule;
use hearth_runtime::consumer;

pub(super) fn intake(consumer: &consumer::Config) -> [Bound; 6] {
    [
        // SQS waits for 20 seconds at most.
        ("receive_ms_max", consumer.receive_ms_max, 1..=20_000),
        ("away_ms", consumer.away_ms, 1..=60_000),
        (
            "settle_tries_max",
            consumer.settle_tries_max.into(),
            1..=100,
        ),
        (
            "reason_bytes_max",
            consumer.reason_bytes_max as u64,
            1..=64 * KIB,
        ),
        (
            "call_bytes_max",
            consumer.call_bytes_max as u64,
            KIB..=64 * 1024 * KIB,
        ),
        (
            "busy_calls_per_second_max",
            consumer.busy_calls_per_second_max.into(),
            1..=1_000_000,
        ),
    ]
}

pub(super) fn clock(schedule: &schedule::Config) -> [Bound; 3] {
    [
        ("look_ms", schedule.look_ms, 10..=60_000),
        ("customers_max", schedule.customers_max as u64, 1..=1_000),
        ("held_ms", schedule.held_ms, 1_000..=300_000),
    ]
}
