//! Section `[queue]`: one for both backends, so it lies below them.

pub(super) mod sqs;

use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{DAY_MS, GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// Where messages are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// In the host's own database.
    #[default]
    Postgres,
    /// In Amazon's SQS. The outbox and the dead letters are in Postgres all the
    /// same.
    Sqs,
}

/// What may be sent, how long it is kept, and where. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub backend: Backend,
    /// Bytes of a message's body and attributes. Source: SQS, 256 KiB.
    pub message_bytes_max: usize,
    /// Messages of one call, of one batch and of one transaction.
    pub call_messages_max: usize,
    /// Bytes of these messages, which wait in memory until a transaction commits.
    pub call_bytes_max: usize,
    /// Attributes of a message. Source: SQS.
    pub attributes_max: usize,
    /// Bytes of an attribute's name. Source: SQS.
    pub attribute_name_bytes_max: usize,
    /// The longest delay.
    pub delay_ms_max: u64,
    /// Messages in a queue; one more is refused until consumers keep up. Counted
    /// every `count_ms`, so about.
    pub depth_max: u64,
    /// What one customer may have of `depth_max`, in percent.
    pub customer_depth_percent_max: u64,
    /// Messages that nobody consumes are dropped after so long. Source: SQS, 14
    /// days. Counted from when they become visible.
    pub retention_ms: u64,
    /// Dead letters are dropped after so long.
    pub dead_retention_ms: u64,
    /// Dead letters of one queue. Beyond it the oldest go of the customer that has most.
    pub dead_letters_max: u64,
    /// How often a host looks for what others have sent. What it sends itself
    /// wakes its consumers at once.
    pub poll_ms: u64,
    /// Messages that wait to be sent with others in one statement; as many leases wait
    /// to be ended so.
    pub sends_waiting_max: usize,
    pub sends_waiting_bytes_max: usize,
    /// What one customer may have of both, in percent.
    pub customer_sends_percent_max: u64,
    /// Messages and bytes that are sent in one statement. The bytes bound one that ends
    /// leases, too.
    pub send_messages_max: usize,
    pub send_bytes_max: usize,
    /// Leases that are ended in one statement.
    pub settle_messages_max: usize,
    /// For one statement, its connection included.
    pub operation_ms_max: u64,
    /// How often what is too old is looked for.
    pub sweep_ms: u64,
    /// How often some host counts what is in the queues.
    pub count_ms: u64,
    pub sqs: sqs::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            backend: Backend::default(),
            message_bytes_max: 256 << 10,
            call_messages_max: 2_000,
            call_bytes_max: 25 << 20,
            attributes_max: 10,
            attribute_name_bytes_max: 256,
            delay_ms_max: 3_660 * DAY_MS,
            depth_max: 1_000_000,
            customer_depth_percent_max: 75,
            retention_ms: 14 * DAY_MS,
            dead_retention_ms: 14 * DAY_MS,
            dead_letters_max: 100_000,
            poll_ms: 250,
            sends_waiting_max: 10_000,
            sends_waiting_bytes_max: 64 << 20,
            customer_sends_percent_max: 50,
            send_messages_max: 500,
            send_bytes_max: 4 << 20,
            settle_messages_max: 100,
            operation_ms_max: 5_000,
            sweep_ms: 10_000,
            count_ms: 5_000,
            sqs: sqs::Config::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // One message fits, whatever else waits.
        let message = (self.message_bytes_max as u64).min(16 * MIB);
        bounds! { self, mistakes =>
            message_bytes_max in KIB..=16 * MIB,
            call_messages_max in 1..=10_000,
            call_bytes_max in message..=4 * GIB,
            attributes_max in 0..=100,
            attribute_name_bytes_max in 1..=4 * KIB,
            delay_ms_max in 0..=36_600 * DAY_MS,
            depth_max in 1..=1_000_000_000,
            customer_depth_percent_max in 1..=100,
            retention_ms in 60_000..=3_660 * DAY_MS,
            dead_retention_ms in 60_000..=3_660 * DAY_MS,
            dead_letters_max in 1..=100_000_000,
            poll_ms in 10..=60_000,
            sends_waiting_max in 1..=10_000_000,
            sends_waiting_bytes_max in message..=64 * GIB,
            customer_sends_percent_max in 1..=100,
            send_messages_max in 1..=10_000,
            send_bytes_max in KIB..=GIB,
            settle_messages_max in 1..=1_000,
            operation_ms_max in 10..=HOUR_MS,
            sweep_ms in 100..=HOUR_MS,
            count_ms in 100..=HOUR_MS,
        }
        if self.backend == Backend::Sqs && self.sqs.queues.is_empty() {
            let text = "\"sqs\" needs queues: list each under [queue.sqs.queues]";
            mistakes.note("backend", text);
        }
        mistakes.section("sqs", &self.sqs);
    }
}

impl Config {
    /// What one customer may have of a queue.
    pub fn customer_depth_max(&self) -> u64 {
        let share = self
            .depth_max
            .saturating_mul(self.customer_depth_percent_max);
        (share / 100).max(1)
    }
}
