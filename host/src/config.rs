//! `hearth.toml` and the environment.
//!
//! Every mistake is found at once and told with its line, its column and what
//! would be right. Numbers name their unit last; their defaults come from the
//! table of limits in the design.

mod mistake;
mod plugin;
mod sections;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Deserialize;

pub use self::mistake::{ConfigErrors, Mistake};
pub use self::plugin::{LimitOverrides, Plugin, PluginLimits, Secret, SecretSource};
pub use self::sections::{Admin, Engine, Http2, Server};
use crate::{capability, telemetry};

/// All that an operator can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the host keeps everything that it writes. `HEARTH_DATA_DIR`
    /// overrides it.
    pub data_dir: PathBuf,
    /// The public listener. `HEARTH_LISTEN` overrides it.
    pub listen: SocketAddr,
    pub admin: Admin,
    pub server: Server,
    pub engine: Engine,
    pub plugin_defaults: PluginLimits,
    pub telemetry: telemetry::Config,
    pub log: capability::log::Config,
    pub metrics: capability::metrics::Config,
    /// The plugins in the order of the file.
    pub plugins: IndexMap<String, Plugin>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".hearth"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin: Admin::default(),
            server: Server::default(),
            engine: Engine::default(),
            plugin_defaults: PluginLimits::default(),
            telemetry: telemetry::Config::default(),
            log: capability::log::Config::default(),
            metrics: capability::metrics::Config::default(),
            plugins: IndexMap::new(),
        }
    }
}
