//! The numbers of what stands between a client and the host.

use super::{Bound, Config, Document, GIB, HOUR_MS, KIB, MIB, note};
use crate::server::config::{Config as Server, Http2};
use crate::server::{access, compress, tls};

pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    note(document, &["server"], &sizes(&config.server));
    note(document, &["server"], &times(&config.server));
    note(document, &["server"], &shares(&config.server));
    note(document, &["server"], &waste(&config.server));
    note(document, &["server", "h2"], &http2(&config.server.h2));
    note(document, &["tls"], &tls(&config.tls));
    note(
        document,
        &["compression"],
        &compression(&config.compression),
    );
    note(document, &["access_log"], &access_log(&config.access_log));
    let max_age = ("max_age_s", config.cors.max_age_s, 0..=86_400);
    note(document, &["cors"], &[max_age]);
}

fn sizes(server: &Server) -> [Bound; 7] {
    let connections = 1..=1_000_000;
    [
        (
            "connections_max",
            server.connections_max as u64,
            connections.clone(),
        ),
        (
            "peer_connections_max",
            server.peer_connections_max as u64,
            connections,
        ),
        ("headers_max", server.headers_max as u64, 1..=1_000),
        // Hyper's buffer has a minimum of 8 KiB.
        (
            "header_bytes_max",
            server.header_bytes_max as u64,
            8 * KIB..=MIB,
        ),
        // The `http` crate refuses longer ones.
        ("url_bytes_max", server.url_bytes_max as u64, 1..=65_534),
        ("body_bytes_max", server.body_bytes_max as u64, 0..=GIB),
        (
            "bodies_bytes_max",
            server.bodies_bytes_max as u64,
            64 * KIB..=64 * GIB,
        ),
    ]
}

fn shares(server: &Server) -> [Bound; 7] {
    [
        (
            "small_body_bytes_max",
            server.small_body_bytes_max as u64,
            0..=MIB,
        ),
        (
            "small_bodies_bytes_max",
            server.small_bodies_bytes_max as u64,
            64 * KIB..=64 * GIB,
        ),
        (
            "body_bytes_per_second_min",
            server.body_bytes_per_second_min,
            0..=GIB,
        ),
        (
            "body_rate_window_ms",
            server.body_rate_window_ms,
            100..=HOUR_MS,
        ),
        ("requests_max", server.requests_max as u64, 1..=1_000_000),
        (
            "answers_bytes_max",
            server.answers_bytes_max as u64,
            64 * KIB..=64 * GIB,
        ),
        ("customer_percent_max", server.customer_percent_max, 1..=100),
    ]
}

fn waste(server: &Server) -> [Bound; 5] {
    [
        ("unread_bytes_max", server.unread_bytes_max as u64, 0..=GIB),
        ("unread_ms_max", server.unread_ms_max, 1..=HOUR_MS),
        ("linger_bytes_max", server.linger_bytes_max as u64, 0..=GIB),
        ("linger_ms_max", server.linger_ms_max, 1..=HOUR_MS),
        ("linger_idle_ms_max", server.linger_idle_ms_max, 1..=HOUR_MS),
    ]
}

fn times(server: &Server) -> [Bound; 6] {
    [
        ("header_ms_max", server.header_ms_max, 1..=HOUR_MS),
        ("body_idle_ms_max", server.body_idle_ms_max, 1..=HOUR_MS),
        ("body_ms_max", server.body_ms_max, 1..=HOUR_MS),
        ("idle_ms_max", server.idle_ms_max, 1..=HOUR_MS),
        ("write_idle_ms_max", server.write_idle_ms_max, 1..=HOUR_MS),
        ("drain_ms_max", server.drain_ms_max, 0..=HOUR_MS),
    ]
}

fn http2(h2: &Http2) -> [Bound; 7] {
    // RFC 9113, 6.9.2: a window is at most 2^31 - 1.
    let window = 16 * KIB..=(1 << 31) - 1;
    [
        ("streams_max", h2.streams_max.into(), 1..=10_000),
        (
            "header_list_bytes_max",
            h2.header_list_bytes_max.into(),
            KIB..=MIB,
        ),
        (
            "stream_window_bytes",
            h2.stream_window_bytes.into(),
            window.clone(),
        ),
        (
            "connection_window_bytes",
            h2.connection_window_bytes.into(),
            window,
        ),
        (
            "send_buffer_bytes_max",
            h2.send_buffer_bytes_max as u64,
            KIB..=64 * MIB,
        ),
        ("reset_streams_max", h2.reset_streams_max as u64, 1..=10_000),
        ("error_streams_max", h2.error_streams_max as u64, 1..=10_000),
    ]
}

fn tls(tls: &tls::Config) -> [Bound; 3] {
    [
        ("reload_ms", tls.reload_ms, 10..=24 * HOUR_MS),
        ("handshake_ms_max", tls.handshake_ms_max, 1..=HOUR_MS),
        ("handshakes_max", tls.handshakes_max as u64, 1..=1_000_000),
    ]
}

fn compression(compression: &compress::Config) -> [Bound; 3] {
    [
        ("body_bytes_min", compression.body_bytes_min as u64, 1..=GIB),
        (
            "inline_bytes_max",
            compression.inline_bytes_max as u64,
            0..=MIB,
        ),
        (
            "concurrency_max",
            compression.concurrency_max as u64,
            1..=256,
        ),
    ]
}

fn access_log(log: &access::Config) -> [Bound; 1] {
    [("one_in", log.one_in, 1..=1_000_000)]
}
