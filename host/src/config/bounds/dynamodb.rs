//! Between which numbers the settings of DynamoDB may lie.

use super::{Bound, HOUR_MS};
use crate::backend;

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
