//! Between which numbers the settings of DynamoDB may lie.

use super::{Bound, GIB, HOUR_MS, KIB, MIB};
use hearth_backend as backend;
use hearth_backend::dynamodb::{size, writer};
use hearth_runtime::capability;

pub(super) fn reached(dynamodb: &backend::dynamodb::Config) -> [Bound; 8] {
    [
        ("attempts_max", dynamodb.attempts_max.into(), 1..=20),
        ("backoff_ms", dynamodb.backoff_ms, 1..=60_000),
        ("backoff_ms_max", dynamodb.backoff_ms_max, 1..=60_000),
        ("connect_ms_max", dynamodb.connect_ms_max, 1..=60_000),
        ("attempt_ms_max", dynamodb.attempt_ms_max, 1..=600_000),
        ("operation_ms_max", dynamodb.operation_ms_max, 1..=HOUR_MS),
        ("start_ms_max", dynamodb.start_ms_max, 1..=HOUR_MS),
        (
            "embedded_sweep_ms",
            dynamodb.embedded_sweep_ms,
            100..=24 * HOUR_MS,
        ),
    ]
}

pub(super) fn documents(documents: &capability::documents::Config) -> [Bound; 8] {
    [
        ("items_max", documents.items_max as u64, 1..=100_000),
        (
            "item_bytes_max",
            documents.item_bytes_max as u64,
            KIB..=size::ITEM_BYTES_MAX as u64,
        ),
        (
            "query_items_max",
            documents.query_items_max.into(),
            1..=100_000,
        ),
        (
            "query_bytes_max",
            documents.query_bytes_max as u64,
            KIB..=64 * MIB,
        ),
        // An expression has at most 4 KB (AWS), and a name takes up to 7 of its bytes.
        (
            "query_attributes_max",
            documents.query_attributes_max as u64,
            1..=150,
        ),
        (
            "query_requests_max",
            documents.query_requests_max.into(),
            1..=1_000,
        ),
        ("count_max", documents.count_max.into(), 1..=1_000_000),
        // An update expression has at most 4 KB (AWS), and a change takes up to 20.
        ("changes_max", documents.changes_max as u64, 1..=150),
    ]
}

pub(super) fn writer(writer: &writer::Config) -> [Bound; 8] {
    let call = writer::CALL_BYTES_MAX as u64;
    [
        (
            "calls_in_flight_max",
            writer.calls_in_flight_max as u64,
            1..=256,
        ),
        (
            "waiting_items_max",
            writer.waiting_items_max as u64,
            writer::CALL_ITEMS_MAX as u64..=1_000_000,
        ),
        (
            "waiting_bytes_max",
            writer.waiting_bytes_max as u64,
            call..=4 * GIB - 1,
        ),
        (
            "owner_waiting_items_max",
            writer.owner_waiting_items_max as u64,
            1..=writer.waiting_items_max as u64,
        ),
        (
            "owner_waiting_bytes_max",
            writer.owner_waiting_bytes_max as u64,
            MIB..=4 * GIB - 1,
        ),
        ("linger_ms_max", writer.linger_ms_max, 0..=60_000),
        ("retry_ms", writer.retry_ms, 1..=60_000),
        ("retry_ms_max", writer.retry_ms_max, 1..=HOUR_MS),
    ]
}
