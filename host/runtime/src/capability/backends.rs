//! What the clients of capabilities are opened with.

use std::sync::Arc;

use hearth_backend::dynamodb::Dynamo;
use hearth_backend::postgres::Server;
use hearth_backend::queues::Queues;
use hearth_backend::redis;
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::{HostMetrics, Logs, Metrics, Redactor};

/// What this process has opened before any capability.
pub struct Backends<'b> {
    pub postgres: &'b Server,
    /// `None` on a host that has none.
    pub dynamo: Option<&'b Dynamo>,
    /// Where a Redis is, on a host that has one.
    pub redis: &'b redis::Config,
    pub queues: &'b Queues,
    pub clock: &'b Clock,
    pub secret: &'b Arc<RootSecret>,
    pub logs: &'b Logs,
    pub redactor: &'b Redactor,
    pub metrics: &'b Metrics,
    pub host_metrics: &'b HostMetrics,
}

/// Why a client cannot be opened: the operator is to blame. The text begins with the key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);
