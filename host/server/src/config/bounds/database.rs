//! Between which numbers the settings of Postgres may lie.

use super::{Bound, GIB, HOUR_MS, MIB};
use hearth_backend::postgres::{Config, Embedded};

pub(super) fn clients(database: &Config) -> [Bound; 11] {
    // What the host and one plugin have must fit into what both share.
    let shares =
        u64::from(database.host_connections_max) + u64::from(database.plugin_connections_max);
    [
        (
            "connections_max",
            database.connections_max.into(),
            shares..=10_000,
        ),
        (
            "host_connections_max",
            database.host_connections_max.into(),
            1..=1_000,
        ),
        (
            "plugin_connections_max",
            database.plugin_connections_max.into(),
            1..=1_000,
        ),
        ("connect_ms_max", database.connect_ms_max, 1..=600_000),
        ("wait_ms_max", database.wait_ms_max, 1..=600_000),
        ("statement_ms_max", database.statement_ms_max, 1..=HOUR_MS),
        ("lock_ms_max", database.lock_ms_max, 1..=HOUR_MS),
        (
            "idle_in_transaction_ms_max",
            database.idle_in_transaction_ms_max,
            1..=HOUR_MS,
        ),
        (
            "host_idle_in_transaction_ms_max",
            database.host_idle_in_transaction_ms_max,
            1..=HOUR_MS,
        ),
        ("start_ms_max", database.start_ms_max, 0..=HOUR_MS),
        ("analyse_look_ms", database.analyse_look_ms, 100..=HOUR_MS),
    ]
}

pub(super) fn embedded(embedded: &Embedded) -> [Bound; 2] {
    [
        // With less it does not start.
        (
            "backend_memory_bytes_max",
            embedded.backend_memory_bytes_max,
            320 * MIB..=1024 * GIB,
        ),
        (
            "temp_file_bytes_max",
            embedded.temp_file_bytes_max,
            MIB..=1024 * GIB,
        ),
    ]
}
