//! What one plugin may use: sections `[plugin_defaults]` and `[plugins.<name>.limits]`.

use serde::Deserialize;

/// What one plugin may use, section `[plugin_defaults]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginLimits {
    /// Bytes of linear memory of one instance.
    pub memory_bytes_max: usize,
    /// Thread CPU time of one call, in milliseconds. Waiting costs none.
    pub cpu_ms_max: u64,
    /// Milliseconds by the clock for all that a call does.
    pub wall_ms_max: u64,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of a response's body.
    pub response_bytes_max: usize,
    /// Calls of the plugin that run at once.
    pub in_flight_max: usize,
    /// Calls that wait for their turn; one more is answered 503.
    pub waiting_max: usize,
    /// Milliseconds that a call waits for its turn before it is answered 503.
    pub wait_ms_max: u64,
    /// Calls of one request into the host.
    pub host_calls_max: u64,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            cpu_ms_max: 50,
            wall_ms_max: 10_000,
            body_bytes_max: 1 << 20,
            response_bytes_max: 8 << 20,
            in_flight_max: 100,
            waiting_max: 1_000,
            wait_ms_max: 1_000,
            host_calls_max: 1_000,
        }
    }
}

/// Section `[plugins.<name>.limits]`: what is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOverrides {
    pub memory_bytes_max: Option<usize>,
    pub cpu_ms_max: Option<u64>,
    pub wall_ms_max: Option<u64>,
    pub body_bytes_max: Option<usize>,
    pub response_bytes_max: Option<usize>,
    pub in_flight_max: Option<usize>,
    pub waiting_max: Option<usize>,
    pub wait_ms_max: Option<u64>,
    pub host_calls_max: Option<u64>,
}

impl LimitOverrides {
    /// The limits that hold once these have been laid over `base`.
    pub fn over(&self, base: &PluginLimits) -> PluginLimits {
        PluginLimits {
            memory_bytes_max: self.memory_bytes_max.unwrap_or(base.memory_bytes_max),
            cpu_ms_max: self.cpu_ms_max.unwrap_or(base.cpu_ms_max),
            wall_ms_max: self.wall_ms_max.unwrap_or(base.wall_ms_max),
            body_bytes_max: self.body_bytes_max.unwrap_or(base.body_bytes_max),
            response_bytes_max: self.response_bytes_max.unwrap_or(base.response_bytes_max),
            in_flight_max: self.in_flight_max.unwrap_or(base.in_flight_max),
            waiting_max: self.waiting_max.unwrap_or(base.waiting_max),
            wait_ms_max: self.wait_ms_max.unwrap_or(base.wait_ms_max),
            host_calls_max: self.host_calls_max.unwrap_or(base.host_calls_max),
        }
    }
}
