//! From a packed plugin to a deployment that serves.
//!
//! [`checks`] has the stations that every deployment passes before any traffic,
//! [`approval`] what an operator lets it have, [`replacement`] what it would take away of what
//! serves, [`rollout`] the order in which they are passed, the swap and the drain,
//! [`store`] what is kept in Postgres, [`reset`] the way back to none of it, and [`steps`] what is told meanwhile.
//! [`growth`] looks after statistics.

pub mod approval;
pub mod checks;
pub mod growth;
pub mod probe;
pub mod replacement;
mod reset;
pub mod rollout;
pub mod start;
pub mod steps;
pub mod store;

use std::sync::Arc;

use hearth_base::clock::Clock;
use hearth_base::telemetry::HostMetrics;
use hearth_runtime::capability;
use hearth_runtime::engine;
use hearth_runtime::plugin::admission::Admission;
use hearth_runtime::plugin::component::Compiler;
use hearth_runtime::plugin::idle::IdleSlots;
use hearth_runtime::plugin::limits::PluginLimits;

/// Why a plugin does not get to serve: its name, and every reason found.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}` is rejected:{}", list(.reasons))]
pub struct Refused {
    pub plugin: String,
    pub reasons: Vec<String>,
}

fn list(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  - {reason}"))
        .collect()
}

/// The clients of all capabilities, opened once.
pub struct Clients {
    pub sql: capability::sql::Client,
    pub cache: capability::cache::Client,
    pub documents: capability::documents::Client,
    pub queue: capability::queue::Client,
    pub push: capability::push::Client,
    pub log: capability::log::Client,
    pub config: capability::config::Client,
    pub metrics: capability::metrics::Client,
    pub outbound: capability::outbound::Client,
}

/// What every deployment is made with.
pub struct Deployer {
    pub compiler: Compiler,
    pub clients: Clients,
    pub metrics: HostMetrics,
    pub engine: engine::config::Config,
    pub defaults: PluginLimits,
    pub admission: Arc<Admission>,
    pub idle: Arc<IdleSlots>,
    /// What guests are told when they ask for the time.
    pub clock: Clock,
    /// Calls in a row after which a plugin counts as failing.
    pub failing_calls_min: u64,
}
