//! A plugin as its operator describes it: the file, the grants, the limits and
//! the values that only the operator knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use hearth_runtime::capability::config::Secret;
use hearth_runtime::plugin::limits::LimitOverrides;

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
