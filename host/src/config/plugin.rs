//! A plugin as its operator describes it: the file, the grants, the limits and
//! the values that only the operator knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::capability::config::Secret;

/// Section `[plugins.<name>]`. Nothing in it is required.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugin {
    /// The packed plugin that serves from the first start on. After loading, a relative
    /// path counts from the folder of the file that names it. Without it the plugin is
    /// deployed by command, and has what else its section says.
    pub file: Option<PathBuf>,
    /// What the plugin may use: `sql`, `log`, `metrics`, `queue:<name>` ...
    pub grants: Vec<String>,
    /// Where it is mounted; the manifest's own mount where this is absent.
    pub mount: Option<String>,
    /// The operator's limits, which win over the manifest's.
    pub limits: LimitOverrides,
    /// SQL functions that the operator approves: the plugin's own with the digest of
    /// their body, `touch@sha256:…`, those of Postgres by name, `pg_sleep`.
    pub sql_functions: Vec<String>,
    /// Tables that the operator lets all customers of the plugin share.
    pub sql_shared: Vec<String>,
    /// Statements that may read all rows of a customer, with the digest of their text,
    /// `all_notes@sha256:…`.
    pub sql_scans: Vec<String>,
    /// Values for the interface `config`, `get`.
    pub config: BTreeMap<String, String>,
    /// Where the values for `config`, `secret` are.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What `secrets` held when the configuration was loaded.
    #[serde(skip)]
    pub secret_values: BTreeMap<String, Secret>,
}

/// Where a secret is: exactly one of a file and an environment variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretSource {
    pub file: Option<PathBuf>,
    pub env: Option<String>,
}

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
