//! Section `[server]`.

use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// What the public listener takes from a client before it refuses.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Open connections. One more takes the place of one that rests, see
    /// `server/connection_limit.rs`, and is closed where none does.
    pub connections_max: usize,
    /// Headers of one request.
    pub headers_max: usize,
    /// Bytes of an HTTP/1 request's head.
    pub header_bytes_max: usize,
    /// Connections of one address (of one /64 network in IPv6). As many as all by
    /// default, since a proxy in front is one address, and since connections without a
    /// request give way to newcomers.
    pub peer_connections_max: usize,
    /// Milliseconds from the first byte of a head to its last; for the first head
    /// of a connection, from its beginning.
    pub header_ms_max: u64,
    /// Bytes of path and query.
    pub url_bytes_max: usize,
    /// Bytes of any request's body, where a plugin's own `body_bytes_max` is not
    /// smaller.
    pub body_bytes_max: usize,
    /// Bytes of the bodies of all requests under way; one more is answered 503.
    pub bodies_bytes_max: usize,
    /// Bodies of no more bytes are small: they have memory of their own.
    pub small_body_bytes_max: usize,
    /// Bytes of all small bodies under way.
    pub small_bodies_bytes_max: usize,
    /// The least that a body brings which is not small, for each second of a window.
    pub body_bytes_per_second_min: u64,
    /// The window, in milliseconds.
    pub body_rate_window_ms: u64,
    /// Requests under way, streams of events aside; one more is answered 503.
    pub requests_max: usize,
    /// Bytes of answers that clients have not read yet. While they are more, whoever
    /// has some of them gets no further answer.
    pub answers_bytes_max: usize,
    /// What one customer may have of bodies, requests and answers, in percent. All
    /// requests without a key count as one customer.
    pub customer_percent_max: u64,
    /// Milliseconds for a whole body.
    pub body_ms_max: u64,
    /// Milliseconds without a byte of a body that is still owed.
    pub body_idle_ms_max: u64,
    /// Bytes of a body that an answer came before and that are read all the same, so that
    /// the connection can go on. With more left it says that it ends. Source: Go's
    /// net/http.
    pub unread_bytes_max: usize,
    /// Milliseconds for that.
    pub unread_ms_max: u64,
    /// Bytes of what a client still sends that are thrown away behind the last answer of
    /// a connection, so that no reset takes the answer from it.
    pub linger_bytes_max: usize,
    /// Milliseconds for that. Source: nginx's lingering_time.
    pub linger_ms_max: u64,
    /// Milliseconds without a byte of it. Source: nginx's lingering_timeout.
    pub linger_idle_ms_max: u64,
    /// Milliseconds that a connection may be open without a request.
    pub idle_ms_max: u64,
    /// Milliseconds in which a client takes the next 64 KiB of an answer, or
    /// anything at all.
    pub write_idle_ms_max: u64,
    /// Milliseconds after which a drain ends what still runs.
    pub drain_ms_max: u64,
    pub h2: Http2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            peer_connections_max: 10_000,
            headers_max: 100,
            header_bytes_max: 64 << 10,
            header_ms_max: 10_000,
            url_bytes_max: 8 << 10,
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 256 << 20,
            small_body_bytes_max: 16 << 10,
            small_bodies_bytes_max: 16 << 20,
            body_bytes_per_second_min: 8_192,
            body_rate_window_ms: 5_000,
            requests_max: 10_000,
            answers_bytes_max: 512 << 20,
            customer_percent_max: 25,
            body_ms_max: 60_000,
            body_idle_ms_max: 10_000,
            unread_bytes_max: 256 << 10,
            unread_ms_max: 1_000,
            linger_bytes_max: 64 << 20,
            linger_ms_max: 30_000,
            linger_idle_ms_max: 5_000,
            idle_ms_max: 60_000,
            write_idle_ms_max: 30_000,
            drain_ms_max: 45_000,
            h2: Http2::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            connections_max in 1..=1_000_000,
            headers_max in 1..=1_000,
            // Hyper's buffer has a minimum of 8 KiB.
            header_bytes_max in 8 * KIB..=MIB,
            peer_connections_max in 1..=1_000_000,
            header_ms_max in 1..=HOUR_MS,
            // The `http` crate refuses longer ones.
            url_bytes_max in 1..=65_534,
            body_bytes_max in 0..=GIB,
            bodies_bytes_max in 64 * KIB..=64 * GIB,
            small_body_bytes_max in 0..=MIB,
            small_bodies_bytes_max in 64 * KIB..=64 * GIB,
            body_bytes_per_second_min in 0..=GIB,
            body_rate_window_ms in 100..=HOUR_MS,
            requests_max in 1..=1_000_000,
            answers_bytes_max in 64 * KIB..=64 * GIB,
            customer_percent_max in 1..=100,
            body_ms_max in 1..=HOUR_MS,
            body_idle_ms_max in 1..=HOUR_MS,
            unread_bytes_max in 0..=GIB,
            unread_ms_max in 1..=HOUR_MS,
            linger_bytes_max in 0..=GIB,
            linger_ms_max in 1..=HOUR_MS,
            linger_idle_ms_max in 1..=HOUR_MS,
            idle_ms_max in 1..=HOUR_MS,
            write_idle_ms_max in 1..=HOUR_MS,
            drain_ms_max in 0..=HOUR_MS,
        }
        mistakes.section("h2", &self.h2);
    }
}

/// HTTP/2 alone, section `[server.h2]`. These are u32 because the protocol's
/// settings are.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Streams of one connection at once.
    pub streams_max: u32,
    /// Bytes of a decoded header list.
    pub header_list_bytes_max: u32,
    /// Flow-control window of a stream, in bytes.
    pub stream_window_bytes: u32,
    /// Flow-control window of a connection, in bytes.
    pub connection_window_bytes: u32,
    /// Bytes that wait to be written on one stream.
    pub send_buffer_bytes_max: usize,
    /// Streams that the client reset and the server has not yet let go of.
    pub reset_streams_max: usize,
    /// Streams that the server reset because the client broke the protocol, over
    /// the connection's life.
    pub error_streams_max: usize,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams_max: 100,
            header_list_bytes_max: 16 << 10,
            stream_window_bytes: 64 << 10,
            connection_window_bytes: 1 << 20,
            send_buffer_bytes_max: 64 << 10,
            reset_streams_max: 20,
            error_streams_max: 100,
        }
    }
}

impl Section for Http2 {
    fn validate(&self, mistakes: &mut Mistakes) {
        // RFC 9113, 6.9.2: a window is at most 2^31 - 1.
        let window = 16 * KIB..=(1 << 31) - 1;
        bounds! { self, mistakes =>
            streams_max in 1..=10_000,
            header_list_bytes_max in KIB..=MIB,
            stream_window_bytes in window.clone(),
            connection_window_bytes in window,
            send_buffer_bytes_max in KIB..=64 * MIB,
            reset_streams_max in 1..=10_000,
            error_streams_max in 1..=10_000,
        }
    }
}
