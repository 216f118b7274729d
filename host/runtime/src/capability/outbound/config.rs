//! Section `[outbound]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::{AllowedRanges, breaker};
use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// What requests to the outside may take, and what may be reached. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What plugins may reach although it is closed otherwise: ranges, as
    /// `10.0.0.0/8`, and addresses with a port, as `127.0.0.1:9000`, the latter alone
    /// also where this host or one of its services listens.
    /// `HEARTH_OUTBOUND_ALLOW_ADDRESSES` overrides it, with commas.
    pub allow_addresses: Vec<AllowedRanges>,
    /// Authorities beside the machine's own, in PEM.
    pub tls_root_file: Option<PathBuf>,
    /// Requests of one call of a plugin.
    pub request_calls_max: u32,
    /// For one request, whatever the plugin asks for.
    pub timeout_ms_max: u64,
    /// For one name.
    pub lookup_ms_max: u64,
    /// Names that are looked up at once, in all and for one customer of a plugin.
    pub lookups_max: usize,
    pub customer_lookups_max: usize,
    /// Addresses of one name that are tried.
    pub addresses_max: usize,
    /// Until one of a name's addresses has taken the connection, and how long the
    /// next waits for the one before it (RFC 8305, 5).
    pub connect_ms_max: u64,
    pub attempt_ms: u64,
    /// For TLS.
    pub handshake_ms_max: u64,
    /// Requests that have a connection or wait for one: in all, for one customer
    /// of a plugin, and for one customer to one destination.
    pub connections_max: usize,
    pub customer_connections_max: usize,
    pub destination_connections_max: usize,
    /// Connections that wait for another request, beside those in use.
    pub idle_connections_max: usize,
    pub idle_ms_max: u64,
    /// An older connection gets no further request, so that a name's new address
    /// is noticed.
    pub connection_ms_max: u64,
    pub url_bytes_max: usize,
    /// Of a request, and of an answer.
    pub headers_max: usize,
    pub header_bytes_max: usize,
    /// Bodies.
    pub request_bytes_max: usize,
    pub response_bytes_max: u64,
    pub breaker: breaker::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_addresses: Vec::new(),
            tls_root_file: None,
            request_calls_max: 32,
            timeout_ms_max: 30_000,
            lookup_ms_max: 5_000,
            lookups_max: 64,
            customer_lookups_max: 16,
            addresses_max: 8,
            connect_ms_max: 5_000,
            attempt_ms: 250,
            handshake_ms_max: 5_000,
            connections_max: 512,
            customer_connections_max: 128,
            // Many receivers may lie behind one name, and some of them hang.
            destination_connections_max: 96,
            idle_connections_max: 256,
            idle_ms_max: 60_000,
            connection_ms_max: 300_000,
            url_bytes_max: 8 << 10,
            headers_max: 100,
            header_bytes_max: 32 << 10,
            request_bytes_max: 4 << 20,
            response_bytes_max: 8 << 20,
            breaker: breaker::Config::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            request_calls_max in 0..=10_000,
            timeout_ms_max in 1..=HOUR_MS,
            lookup_ms_max in 1..=HOUR_MS,
            // Each takes a thread.
            lookups_max in 1..=256,
            customer_lookups_max in 1..=100_000,
            addresses_max in 1..=100_000,
            connect_ms_max in 1..=HOUR_MS,
            // RFC 8305, 5: never below 10 ms.
            attempt_ms in 10..=HOUR_MS,
            handshake_ms_max in 1..=HOUR_MS,
            connections_max in 1..=100_000,
            customer_connections_max in 1..=100_000,
            destination_connections_max in 1..=100_000,
            idle_connections_max in 0..=100_000,
            idle_ms_max in 1..=HOUR_MS,
            connection_ms_max in 1..=HOUR_MS,
            // The `http` crate refuses longer ones.
            url_bytes_max in 64..=65_534,
            headers_max in 1..=1_000,
            // Hyper's buffer has a minimum of 8 KiB.
            header_bytes_max in 8 * KIB..=MIB,
            request_bytes_max in 0..=GIB,
            response_bytes_max in 0..=GIB,
        }
        mistakes.section("breaker", &self.breaker);
    }
}
