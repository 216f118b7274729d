//! `hearth.toml` and the environment.
//!
//! Every mistake is found at once and told with its line, its column and what
//! would be right. Numbers name their unit last; their defaults come from the
//! table of limits in the design.

mod admin;
mod bounds;
mod document;
mod dynamodb;
mod message;
mod mistake;
mod outside;
mod plugin;
mod plugins;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

pub use self::admin::Admin;
use self::document::Document;
pub use self::mistake::{ConfigErrors, Mistake};
pub use self::plugin::{Plugin, SecretSource};
use crate::edge::cors;
use crate::server;
use hearth_backend as backend;
use hearth_base::telemetry;
use hearth_runtime::capability;
pub use hearth_runtime::capability::config::Secret;
use hearth_runtime::engine;
use hearth_runtime::plugin::limits::PluginLimits;

/// The file that is read from the working folder where no other is named.
const FILE_DEFAULT: &str = "hearth.toml";
const FILE_BYTES_MAX: u64 = 1 << 20;

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
    /// How to reach Postgres. `HEARTH_DATABASE_URL` overrides the URL.
    pub database: backend::postgres::Config,
    pub dynamodb: backend::dynamodb::Config,
    pub server: server::config::Config,
    pub engine: engine::config::Config,
    pub plugin_defaults: PluginLimits,
    pub telemetry: telemetry::Config,
    pub keys: crate::edge::keys::Config,
    pub rate: crate::edge::rate::Config,
    pub admission: hearth_runtime::plugin::admission::Config,
    pub idempotency: crate::edge::idempotency::Config,
    pub tls: server::tls::Config,
    pub cors: cors::Config,
    pub compression: server::compress::Config,
    pub access_log: server::access::Config,
    pub sql: capability::sql::Config,
    pub response_cache: crate::edge::response_cache::Config,
    pub cache: capability::cache::Config,
    pub documents: capability::documents::Config,
    pub queue: backend::queue::Config,
    /// `HEARTH_REDIS_URL` overrides the URL.
    pub redis: backend::redis::Config,
    pub push: capability::push::Config,
    pub log: capability::log::Config,
    pub metrics: capability::metrics::Config,
    pub consumer: hearth_runtime::consumer::Config,
    pub schedule: crate::schedule::Config,
    /// `HEARTH_OUTBOUND_ALLOW_ADDRESSES` overrides its `allow_addresses`.
    pub outbound: capability::outbound::Config,
    /// The plugins in the order of the file.
    pub plugins: IndexMap<String, Plugin>,
    /// Variables of the environment that would be settings of a plugin, had it a section.
    #[serde(skip)]
    pub unmet_settings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".hearth"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin: Admin::default(),
            database: backend::postgres::Config::default(),
            dynamodb: backend::dynamodb::Config::default(),
            server: server::config::Config::default(),
            engine: engine::config::Config::default(),
            plugin_defaults: PluginLimits::default(),
            telemetry: telemetry::Config::default(),
            keys: crate::edge::keys::Config::default(),
            rate: crate::edge::rate::Config::default(),
            admission: hearth_runtime::plugin::admission::Config::default(),
            idempotency: crate::edge::idempotency::Config::default(),
            tls: server::tls::Config::default(),
            cors: cors::Config::default(),
            compression: server::compress::Config::default(),
            access_log: server::access::Config::default(),
            sql: capability::sql::Config::default(),
            response_cache: crate::edge::response_cache::Config::default(),
            cache: capability::cache::Config::default(),
            documents: capability::documents::Config::default(),
            queue: backend::queue::Config::default(),
            redis: backend::redis::Config::default(),
            push: capability::push::Config::default(),
            log: capability::log::Config::default(),
            metrics: capability::metrics::Config::default(),
            consumer: hearth_runtime::consumer::Config::default(),
            schedule: crate::schedule::Config::default(),
            outbound: capability::outbound::Config::default(),
            plugins: IndexMap::new(),
            unmet_settings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads `path`, or `hearth.toml` of the working folder where there is one,
    /// and lays the environment over it. Relative paths in the file count from
    /// the file's folder.
    ///
    /// `env` answers with a variable's value. It cannot be asked which variables
    /// exist, so it replaces a plugin's settings and adds none; a process uses
    /// [`Config::load_for_process`], which does both.
    pub fn load(
        path: Option<&Path>,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let chosen = path.or_else(|| Some(Path::new(FILE_DEFAULT)).filter(|path| path.exists()));
        let text = match chosen {
            Some(path) => outside::read_bounded(path, FILE_BYTES_MAX)
                .map_err(|error| unreadable(path, &error))?,
            None => String::new(),
        };
        let folder = chosen.and_then(Path::parent).unwrap_or(Path::new(""));
        let origin = chosen
            .unwrap_or(Path::new(FILE_DEFAULT))
            .display()
            .to_string();
        Self::read(&origin, &text, folder, env)
    }

    /// As [`Config::load`], with this process's environment: a variable
    /// `HEARTH_PLUGIN_<NAME>_<KEY>` also adds a setting that the file has not.
    pub fn load_for_process(path: Option<&Path>) -> Result<Self, ConfigErrors> {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        let mut config = Self::load(path, &|name| variables.get(name).cloned())?;
        config.add_plugin_settings(&variables);
        Ok(config)
    }

    /// Takes every `HEARTH_PLUGIN_<NAME>_<KEY>` as the setting `<key>` (in lower
    /// case) of the plugin whose name fits best, where it has no such setting. What
    /// fits none is kept in [`Config::unmet_settings`].
    pub fn add_plugin_settings(&mut self, variables: &BTreeMap<String, String>) {
        self.unmet_settings = outside::add_plugin_settings(&mut self.plugins, variables);
    }

    fn read(
        origin: &str,
        text: &str,
        folder: &Path,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut document = Document::parse(origin, text);
        let mut config: Self = document.read();
        let data_dir_given = document.has(&["data_dir"]);
        outside::resolve_paths(&mut config, folder, data_dir_given);
        bounds::check(&config, &mut document);
        plugins::check(&config, &mut document);
        wire::check(&config, &mut document);
        admin::check(&config.admin, &mut document);
        dynamodb::check(&config.dynamodb, &mut document);
        if let Err(text) = config.telemetry.check_filter() {
            document.blame(&["telemetry", "log_filter"], text);
        }
        let traces = &config.telemetry.traces;
        for (key, checked) in [
            ("endpoint", traces.check_endpoint()),
            ("sample_ratio", traces.check_ratio()),
        ] {
            if let Err(text) = checked {
                document.blame(&["telemetry", "traces", key], text);
            }
        }
        outside::read_secrets(&mut config, env, &mut document);
        outside::check_stores(&config, env, &mut document);
        let mut mistakes = document.into_mistakes();
        outside::apply_environment(&mut config, env, &mut mistakes);
        if mistakes.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors { mistakes })
        }
    }

    /// The limits of a plugin, from the defaults and the operator's section. A
    /// plugin without a section has the defaults.
    pub fn limits(&self, plugin: &str) -> PluginLimits {
        match self.plugins.get(plugin) {
            Some(plugin) => plugin.limits.over(&self.plugin_defaults),
            None => self.plugin_defaults.clone(),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigErrors {
    let mistake = Mistake {
        origin: path.display().to_string(),
        position: None,
        key: String::new(),
        message: format!("cannot be read: {error}"),
    };
    ConfigErrors {
        mistakes: vec![mistake],
    }
}
