//! Between which numbers the settings of requests to the outside may lie.

use super::{Bound, Document, GIB, HOUR_MS, KIB, MIB, note};
use hearth_runtime::capability::outbound::Config;
use hearth_runtime::capability::outbound::breaker::Rules;

pub(super) fn check(outbound: &Config, document: &mut Document<'_>) {
    let section = ["outbound"];
    note(document, &section, &times(outbound));
    note(document, &section, &counts(outbound));
    note(document, &section, &sizes(outbound));
    note(
        document,
        &["outbound", "breaker"],
        &breaker(&outbound.breaker),
    );
}

fn times(outbound: &Config) -> [Bound; 7] {
    [
        ("timeout_ms_max", outbound.timeout_ms_max, 1..=HOUR_MS),
        ("lookup_ms_max", outbound.lookup_ms_max, 1..=HOUR_MS),
        ("connect_ms_max", outbound.connect_ms_max, 1..=HOUR_MS),
        // RFC 8305, 5: never below 10 ms.
        ("attempt_ms", outbound.attempt_ms, 10..=HOUR_MS),
        ("handshake_ms_max", outbound.handshake_ms_max, 1..=HOUR_MS),
        ("idle_ms_max", outbound.idle_ms_max, 1..=HOUR_MS),
        ("connection_ms_max", outbound.connection_ms_max, 1..=HOUR_MS),
    ]
}

fn counts(outbound: &Config) -> [Bound; 8] {
    let many = 1..=100_000;
    let of = |key, count: usize| (key, count as u64, many.clone());
    let calls = outbound.request_calls_max.into();
    [
        ("request_calls_max", calls, 0..=10_000),
        // Each takes a thread.
        ("lookups_max", outbound.lookups_max as u64, 1..=256),
        of("customer_lookups_max", outbound.customer_lookups_max),
        of("addresses_max", outbound.addresses_max),
        of("connections_max", outbound.connections_max),
        of(
            "customer_connections_max",
            outbound.customer_connections_max,
        ),
        of(
            "destination_connections_max",
            outbound.destination_connections_max,
        ),
        (
            "idle_connections_max",
            outbound.idle_connections_max as u64,
            0..=100_000,
        ),
    ]
}

fn sizes(outbound: &Config) -> [Bound; 5] {
    [
        // The `http` crate refuses longer ones.
        ("url_bytes_max", outbound.url_bytes_max as u64, 64..=65_534),
        ("headers_max", outbound.headers_max as u64, 1..=1_000),
        // Hyper's buffer has a minimum of 8 KiB.
        (
            "header_bytes_max",
            outbound.header_bytes_max as u64,
            8 * KIB..=MIB,
        ),
        (
            "request_bytes_max",
            outbound.request_bytes_max as u64,
            0..=GIB,
        ),
        ("response_bytes_max", outbound.response_bytes_max, 0..=GIB),
    ]
}

fn breaker(rules: &Rules) -> [Bound; 6] {
    [
        ("window_ms", rules.window_ms, 100..=HOUR_MS),
        ("calls_min", rules.calls_min.into(), 1..=1_000_000),
        ("failure_percent", rules.failure_percent.into(), 1..=100),
        ("open_ms", rules.open_ms, 1..=HOUR_MS),
        ("probes", rules.probes.into(), 1..=1_000),
        ("breakers_max", rules.breakers_max, 100..=10_000_000),
    ]
}
