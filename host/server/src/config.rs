//! The configuration: `hearth.toml`, and the environment that overrides it.
//!
//! Each section's type lies with what it configures, with its defaults and its bounds
//! ([`hearth_base::section`]); here is the list of them, and how a file is read. Every mistake
//! is found at once and told with its line, its column and what would be right.

mod admin;
mod document;
mod message;
mod mistake;
mod outside;
mod plugin;
mod plugins;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

pub use self::admin::AdminConfig;
use self::document::Document;
pub use self::mistake::{ConfigErrors, Mistake};
pub use self::plugin::{Plugin, SecretSource};
use crate::{edge, schedule, server};
use hearth_backend as backend;
use hearth_base::section::{Mistakes, Section};
use hearth_base::telemetry;
pub use hearth_runtime::capability::config::Secret;
use hearth_runtime::plugin::admission;
use hearth_runtime::plugin::limits::PluginLimits;
use hearth_runtime::{capability, consumer, engine};

/// The file that is read from the working folder where no other is named.
const FILE_DEFAULT: &str = "hearth.toml";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Makes the whole of what an operator can set from its sections, with the defaults, the
/// bounds and the way to each: a section is one line.
macro_rules! sections {
    ($($(#[$text:meta])* $name:ident: $section:ty,)*) => {
        /// All that an operator can set.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            /// Where the host keeps everything that it writes. `HEARTH_DATA_DIR`
            /// overrides it.
            pub data_dir: PathBuf,
            /// The public listener. `HEARTH_LISTEN` overrides it.
            pub listen: SocketAddr,
            pub plugin_defaults: PluginLimits,
            $($(#[$text])* pub $name: $section,)*
            /// The plugins in the order of the file.
            pub plugins: IndexMap<String, Plugin>,
            /// Variables of the environment that would be settings of a plugin, had it a
            /// section.
            #[serde(skip)]
            pub unmet_settings: Vec<String>,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    data_dir: PathBuf::from(".hearth"),
                    listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                    plugin_defaults: PluginLimits::default(),
                    $($name: Default::default(),)*
                    plugins: IndexMap::new(),
                    unmet_settings: Vec::new(),
                }
            }
        }

        // Who is given the whole finds its own section in it.
        $(impl AsRef<$section> for Config {
            fn as_ref(&self) -> &$section {
                &self.$name
            }
        })*

        impl Section for Config {
            fn validate(&self, mistakes: &mut Mistakes) {
                $(mistakes.section(stringify!($name), &self.$name);)*
                mistakes.within("plugin_defaults", |mistakes| {
                    self.plugin_defaults.validate(&self.engine, mistakes);
                });
                mistakes.within("plugins", |mistakes| self.validate_limits(mistakes));
            }
        }
    };
}

// Each section, by the name that it has in the file, and the type that says what it holds.
sections! {
    admin: AdminConfig,
    /// How to reach Postgres. `HEARTH_DATABASE_URL` overrides the URL.
    database: backend::postgres::Config,
    dynamodb: backend::dynamodb::Config,
    server: server::config::Config,
    engine: engine::config::Config,
    telemetry: telemetry::Config,
    keys: edge::keys::Config,
    rate: edge::rate::Config,
    admission: admission::Config,
    idempotency: edge::idempotency::Config,
    tls: server::tls::Config,
    cors: edge::cors::Config,
    compression: server::compress::Config,
    access_log: server::access::Config,
    sql: capability::sql::Config,
    response_cache: edge::response_cache::Config,
    cache: capability::cache::Config,
    documents: capability::documents::Config,
    queue: backend::queue::Config,
    /// `HEARTH_REDIS_URL` overrides the URL.
    redis: backend::redis::Config,
    push: capability::push::Config,
    log: capability::log::Config,
    metrics: capability::metrics::Config,
    consumer: consumer::Config,
    schedule: schedule::Config,
    /// `HEARTH_OUTBOUND_ALLOW_ADDRESSES` overrides its `allow_addresses`.
    outbound: capability::outbound::Config,
}

/// The capability `config` has no section.
impl AsRef<capability::config::Config> for Config {
    fn as_ref(&self) -> &capability::config::Config {
        &capability::config::Config
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
        document.validate(&config);
        plugins::check(&config, &mut document);
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

    fn validate_limits(&self, mistakes: &mut Mistakes) {
        for (name, plugin) in &self.plugins {
            mistakes.within(name, |mistakes| {
                mistakes.within("limits", |mistakes| {
                    plugin.limits.validate(&self.engine, mistakes);
                });
            });
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
