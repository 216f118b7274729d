//! Section `[queue.sqs]`.

use std::collections::BTreeMap;

use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// How SQS is reached. Times are milliseconds. Credentials come from the SDK's chain:
/// environment, profile, web identity, container, instance.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// For example `eu-central-1`. Without it what the environment says.
    pub region: Option<String>,
    /// Where SQS's protocol is spoken, for example by an emulator. Without it the
    /// region's own endpoint.
    pub endpoint_url: Option<String>,
    /// The queues by the names that plugins know, each with its name or its URL in
    /// SQS. There are no others.
    pub queues: BTreeMap<String, String>,
    /// How long a receive waits in SQS. Source: SQS, at most 20 s.
    pub long_poll_s_max: u64,
    /// Bytes of the messages of one call. A single larger one goes alone.
    pub call_bytes_max: usize,
    /// Bytes of one message as SQS counts them. Source: SQS, 1 MiB.
    pub message_bytes_max: usize,
    /// Calls that send to one queue and are under way at once.
    pub calls_max: usize,
    /// Messages of one queue that wait to be sent.
    pub sends_waiting_max: usize,
    pub sends_waiting_bytes_max: usize,
    /// What one customer may have of both, in percent.
    pub customer_sends_percent_max: u64,
    /// Of one operation, the first included.
    pub attempts_max: u32,
    /// The longest wait before the second attempt; it doubles with each, up to
    /// `backoff_ms_max`, and is drawn anew between nothing and that.
    pub backoff_ms: u64,
    pub backoff_ms_max: u64,
    pub connect_ms_max: u64,
    pub attempt_ms_max: u64,
    /// For an operation with all its attempts; a receive has its wait besides.
    pub operation_ms_max: u64,
    /// How long the relay has for handing over what it took from the outbox before
    /// another host may.
    pub relay_lease_ms: u64,
    /// Messages of one queue that the relay takes at once.
    pub relay_messages_max: usize,
    /// How long the relay waits before it tries a message again that SQS did not
    /// take.
    pub relay_retry_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            region: None,
            endpoint_url: None,
            queues: BTreeMap::new(),
            long_poll_s_max: 20,
            call_bytes_max: 256 << 10,
            message_bytes_max: 1 << 20,
            calls_max: 8,
            sends_waiting_max: 10_000,
            sends_waiting_bytes_max: 64 << 20,
            customer_sends_percent_max: 50,
            attempts_max: 3,
            backoff_ms: 100,
            backoff_ms_max: 5_000,
            connect_ms_max: 1_000,
            attempt_ms_max: 3_000,
            operation_ms_max: 10_000,
            relay_lease_ms: 30_000,
            relay_messages_max: 100,
            relay_retry_ms: 1_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            // SQS waits for no longer.
            long_poll_s_max in 0..=20,
            call_bytes_max in KIB..=MIB,
            message_bytes_max in KIB..=MIB,
            calls_max in 1..=1_000,
            sends_waiting_max in 1..=10_000_000,
            sends_waiting_bytes_max in MIB..=64 * GIB,
            customer_sends_percent_max in 1..=100,
            attempts_max in 1..=100,
            backoff_ms in 1..=60_000,
            backoff_ms_max in 1..=600_000,
            connect_ms_max in 1..=600_000,
            attempt_ms_max in 1..=600_000,
            operation_ms_max in 1..=HOUR_MS,
            // Longer than a hand-over may take, or two hosts would do it.
            relay_lease_ms in self.operation_ms_max.min(HOUR_MS)..=12 * HOUR_MS,
            relay_messages_max in 1..=10_000,
            relay_retry_ms in 10..=HOUR_MS,
        }
        mistakes.within("queues", |mistakes| {
            for (name, given) in self.queues.iter().filter(|(_, given)| !is_address(given)) {
                let text =
                    format!("expected the name or the URL of a queue in SQS, found {given:?}");
                mistakes.note(name, text);
            }
        });
    }
}

/// Whether a text is a queue's name in SQS, or its URL.
fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_name = (1..=80).contains(&text.len()) && text.chars().all(plain);
    is_name || text.starts_with("https://") || text.starts_with("http://")
}
