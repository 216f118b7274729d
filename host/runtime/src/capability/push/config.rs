//! Section `[push]`.

use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{DAY_MS, GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// What may be published and listened to. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Open streams of this host: fewer than it has connections, so that requests
    /// find some.
    pub streams_max: usize,
    /// The same of one customer; of all calls without a customer, too.
    pub customer_streams_max: usize,
    /// Channels of one stream.
    pub channels_max: usize,
    /// Bytes of a channel's name, an event's id and its kind.
    pub name_bytes_max: usize,
    /// Bytes of an event's data.
    pub event_bytes_max: usize,
    /// Events of one `publish-many`.
    pub publications_max: usize,
    /// Bytes of events that wait to be appended; more are refused.
    pub waiting_bytes_max: usize,
    /// What one customer may have of them, in percent.
    pub customer_waiting_percent_max: u64,
    /// What one statement appends. What one call publishes stays together.
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    /// How long one statement may take.
    pub publish_ms_max: u64,
    /// What may wait for one listener. With more it reads the log instead.
    pub listener_events_max: usize,
    pub listener_bytes_max: usize,
    /// A listener that has taken nothing for so long when there is more than may wait
    /// for it is cut.
    pub slow_ms_max: u64,
    /// Silence after which a stream says that it lives.
    pub heartbeat_ms: u64,
    /// After what time clients are told to come back; when the host stops, up to
    /// three times as much.
    pub retry_ms: u64,
    /// How often the host looks whether keys that hold streams are still good. At
    /// most 500, so that they end within a second.
    pub key_look_ms: u64,
    /// How often the log is read although nobody told of anything.
    pub poll_ms: u64,
    /// For one look at the log; then the connection counts as lost.
    pub read_ms_max: u64,
    /// What is kept for listeners that come back: how long, and how many events of a
    /// channel. The same on all hosts.
    pub log_ms_max: u64,
    pub log_events_max: usize,
    /// How often the rest is removed, by one host for all.
    pub sweep_ms: u64,
    /// What a stream that is behind reads at once.
    pub page_events_max: usize,
    pub page_bytes_max: usize,
    /// Streams that read at once, half of them one customer's; the others wait.
    pub pages_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams_max: 8_000,
            customer_streams_max: 1_000,
            channels_max: 16,
            name_bytes_max: 128,
            event_bytes_max: 64 << 10,
            publications_max: 1_000,
            waiting_bytes_max: 32 << 20,
            customer_waiting_percent_max: 50,
            batch_events_max: 1_000,
            batch_bytes_max: 4 << 20,
            publish_ms_max: 5_000,
            listener_events_max: 256,
            listener_bytes_max: 256 << 10,
            slow_ms_max: 5_000,
            heartbeat_ms: 15_000,
            retry_ms: 2_000,
            key_look_ms: 250,
            poll_ms: 1_000,
            read_ms_max: 5_000,
            log_ms_max: 3_600_000,
            log_events_max: 10_000,
            sweep_ms: 60_000,
            page_events_max: 256,
            page_bytes_max: 256 << 10,
            pages_max: 2,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // An event shall find room, whatever it takes beside its data.
        let event = self.event_bytes_max as u64 + KIB;
        bounds! { self, mistakes =>
            streams_max in 0..=1_000_000,
            customer_streams_max in 0..=1_000_000,
            channels_max in 1..=100,
            name_bytes_max in 24..=KIB,
            event_bytes_max in 1..=MIB,
            publications_max in 1..=100_000,
            waiting_bytes_max in event..=64 * GIB,
            customer_waiting_percent_max in 1..=100,
            batch_events_max in 1..=100_000,
            batch_bytes_max in 64 * KIB..=GIB,
            publish_ms_max in 1..=HOUR_MS,
            listener_events_max in 1..=100_000,
            listener_bytes_max in KIB..=64 * MIB,
            slow_ms_max in 0..=HOUR_MS,
            heartbeat_ms in 100..=HOUR_MS,
            retry_ms in 1..=HOUR_MS,
            // With the look itself, streams shall end within a second.
            key_look_ms in 10..=500,
            poll_ms in 10..=HOUR_MS,
            read_ms_max in 100..=HOUR_MS,
            log_ms_max in 1_000..=30 * DAY_MS,
            log_events_max in 1..=100_000_000,
            sweep_ms in 10..=HOUR_MS,
            page_events_max in 1..=10_000,
            page_bytes_max in KIB..=64 * MIB,
            pages_max in 1..=100,
        }
    }
}
