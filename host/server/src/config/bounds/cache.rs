//! Between which numbers the settings of both caches may lie.

use super::{Bound, GIB, HOUR_MS, KIB, MIB};
use hearth_runtime::capability;

pub(super) fn responses(cache: &crate::edge::response_cache::Config) -> [Bound; 4] {
    [
        ("bytes_max", cache.bytes_max as u64, 0..=64 * GIB),
        (
            "entry_bytes_max",
            cache.entry_bytes_max as u64,
            0..=64 * MIB,
        ),
        ("customer_percent_max", cache.customer_percent_max, 1..=100),
        ("wait_ms_max", cache.wait_ms_max, 0..=HOUR_MS),
    ]
}

pub(super) fn values(cache: &capability::cache::Config) -> [Bound; 13] {
    // Nothing is read late: a host stops vouching long before rows are swept.
    let away_max = (cache.fleet_kept_ms / 2).max(1_000);
    [
        (
            "plugin_bytes_max",
            cache.plugin_bytes_max as u64,
            MIB..=64 * GIB,
        ),
        (
            "entry_bytes_max",
            cache.entry_bytes_max as u64,
            1..=64 * MIB,
        ),
        ("customer_percent_max", cache.customer_percent_max, 1..=100),
        ("key_bytes_max", cache.key_bytes_max as u64, 16..=8 * KIB),
        ("tag_bytes_max", cache.tag_bytes_max as u64, 16..=8 * KIB),
        ("tags_max", cache.tags_max as u64, 0..=256),
        ("ttl_ms_max", cache.ttl_ms_max, 1..=24 * HOUR_MS),
        ("lease_ms_max", cache.lease_ms_max, 1..=HOUR_MS),
        ("marks_max", cache.marks_max as u64, 100..=10_000_000),
        // With the time to tell, all hosts shall know within a second.
        ("fleet_poll_ms", cache.fleet_poll_ms, 10..=500),
        (
            "fleet_away_ms_max",
            cache.fleet_away_ms_max,
            1_000..=away_max,
        ),
        ("fleet_kept_ms", cache.fleet_kept_ms, 10_000..=24 * HOUR_MS),
        (
            "fleet_waiting_max",
            cache.fleet_waiting_max as u64,
            1..=100_000,
        ),
    ]
}

pub(super) fn shared(cache: &capability::cache::Config) -> [Bound; 8] {
    [
        // With its seal and its tags it must fit into an item of DynamoDB.
        (
            "shared_value_bytes_max",
            cache.shared_value_bytes_max as u64,
            1..=390 * KIB,
        ),
        ("shared_ms_max", cache.shared_ms_max, 1..=10_000),
        (
            "shared_looks_max",
            cache.shared_looks_max as u64,
            1..=10_000,
        ),
        ("shared_write_ms_max", cache.shared_write_ms_max, 1..=60_000),
        (
            "shared_waiting_max",
            cache.shared_waiting_max as u64,
            1..=1_000_000,
        ),
        // One of the largest has room.
        (
            "shared_waiting_bytes_max",
            cache.shared_waiting_bytes_max as u64,
            MIB..=4 * GIB - 1,
        ),
        (
            "shared_failures_max",
            cache.shared_failures_max.into(),
            0..=15,
        ),
        ("shared_probe_ms", cache.shared_probe_ms, 10..=60_000),
    ]
}

pub(super) fn redis(redis: &hearth_backend::redis::Config) -> [Bound; 1] {
    [("connect_ms_max", redis.connect_ms_max, 1..=600_000)]
}
