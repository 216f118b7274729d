//! Deploys: from a packed plugin to a deployment that serves.
//!
//! | module | what |
//! |---|---|
//! | [`rollout`] | the order of a deploy: checks, database, swap, drain |
//! | [`checks`] | what every deployment passes before any traffic, and [`probe`], the last of it |
//! | [`approval`] | what the plugin asks for, against what an operator approved |
//! | [`replacement`] | what it would take away of what serves |
//! | [`store`] | deployments in Postgres |
//! | [`reset`] | the way back to an empty schema, for `hearth dev` |
//! | [`start`] | what a starting host serves |
//! | [`steps`] | what is told while a deploy goes on |
//! | [`growth`] | statistics for tables that grow |

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
use hearth_runtime::capability::Clients;
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
