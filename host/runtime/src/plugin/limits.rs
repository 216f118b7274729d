//! What one plugin may use: sections `[plugin_defaults]` and `[plugins.<name>.limits]`.

use serde::Deserialize;

use crate::engine::config::Config as Engine;
use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, KIB, Mistakes};

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

/// Notes what is out of its bounds. Memory and calls in flight also end at what the engine
/// has for all plugins.
macro_rules! check_limits {
    ($limits:expr, $engine:expr, $mistakes:expr) => {{
        let memory_max = ($engine.memory_bytes_max as u64).max(64 * KIB);
        let in_flight_max = ($engine.instances_max as u64).max(1);
        bounds! { $limits, $mistakes =>
            memory_bytes_max in 64 * KIB..=memory_max,
            cpu_ms_max in 1..=600_000,
            wall_ms_max in 1..=HOUR_MS,
            body_bytes_max in 0..=GIB,
            response_bytes_max in 0..=GIB,
            in_flight_max in 1..=in_flight_max,
            waiting_max in 0..=1_000_000,
            wait_ms_max in 0..=600_000,
            host_calls_max in 1..=1_000_000_000,
        }
    }};
}

impl PluginLimits {
    pub fn validate(&self, engine: &Engine, mistakes: &mut Mistakes) {
        check_limits!(self, engine, mistakes);
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
    /// What is absent is judged where it comes from, with the defaults.
    pub fn validate(&self, engine: &Engine, mistakes: &mut Mistakes) {
        check_limits!(self, engine, mistakes);
    }

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
