//! What comes from outside the file: the environment and the files of secrets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use indexmap::IndexMap;

use super::document::Document;
use super::{Config, Mistake, Plugin, Secret, SecretSource};
use hearth_base::telemetry::trace;
use hearth_runtime::capability::cache::SharedStore;

/// A secret is read whole, so a path to something large must end somewhere.
const SECRET_BYTES_MAX: u64 = 64 << 10;

const REDIS_URL: &str = "HEARTH_REDIS_URL";

/// Lays the environment's values over the file's.
pub(super) fn apply_environment(
    config: &mut Config,
    env: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<Mistake>,
) {
    // An empty variable is one that nobody set: compose files make them.
    let read = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(folder) = read("HEARTH_DATA_DIR") {
        config.data_dir = PathBuf::from(folder);
    }
    if let Some(url) = read("HEARTH_DATABASE_URL") {
        config.database.url = Some(url.into());
    }
    if let Some(url) = read(REDIS_URL) {
        config.redis.url = Some(url.into());
    }
    let address = "an address and a port, for example 127.0.0.1:8080";
    parse_into(
        &mut config.listen,
        "HEARTH_LISTEN",
        &read,
        address,
        mistakes,
    );
    parse_into(
        &mut config.admin.listen,
        "HEARTH_ADMIN_LISTEN",
        &read,
        address,
        mistakes,
    );
    if let Some(filter) = read("HEARTH_LOG") {
        config.telemetry.log_filter = filter;
        if let Err(text) = config.telemetry.check_filter() {
            mistakes.push(of_variable("HEARTH_LOG", text));
        }
    }
    apply_opentelemetry(&mut config.telemetry.traces, &read, mistakes);
    if let Some(text) = read("HEARTH_OUTBOUND_ALLOW_ADDRESSES") {
        match text
            .split(',')
            .map(|opened| opened.trim().parse())
            .collect()
        {
            Ok(opened) => config.outbound.allow_addresses = opened,
            Err(_) => mistakes.push(of_variable(
                "HEARTH_OUTBOUND_ALLOW_ADDRESSES",
                format!(
                    "expected ranges, or addresses with a port, with commas, for example \
                     127.0.0.0/8,[::1]:9000, found {text:?}"
                ),
            )),
        }
    }
    for (name, plugin) in &mut config.plugins {
        for (key, value) in &mut plugin.config {
            if let Some(set) = env(&variable(name, key)) {
                *value = set;
            }
        }
    }
}

/// The variables that OpenTelemetry's SDKs read. Those of headers, compression and
/// resource attributes are read by its exporter.
fn apply_opentelemetry(
    traces: &mut trace::Config,
    read: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<Mistake>,
) {
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
    if let Some(endpoint) = read(ENDPOINT) {
        traces.endpoint = Some(endpoint);
        if let Err(text) = traces.check_endpoint() {
            mistakes.push(of_variable(ENDPOINT, text));
        }
    }
    if let Some(name) = read("OTEL_SERVICE_NAME") {
        traces.service_name = name;
    }
    let expected = "a number from 0 to 1";
    parse_into(&mut traces.sample_ratio, RATIO, read, expected, mistakes);
    if read(RATIO).is_some()
        && let Err(text) = traces.check_ratio()
    {
        mistakes.push(of_variable(RATIO, text));
    }
}

fn parse_into<T: FromStr>(
    place: &mut T,
    name: &str,
    read: &impl Fn(&str) -> Option<String>,
    expected: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let Some(text) = read(name) else {
        return;
    };
    match text.parse() {
        Ok(value) => *place = value,
        Err(_) => mistakes.push(of_variable(
            name,
            format!("expected {expected}, found {text:?}"),
        )),
    }
}

fn of_variable(name: &str, message: String) -> Mistake {
    Mistake {
        origin: name.to_owned(),
        position: None,
        key: String::new(),
        message,
    }
}

/// What every variable of a plugin's setting begins with.
const SETTING: &str = "HEARTH_PLUGIN_";

/// The variable of a plugin's setting: `HEARTH_PLUGIN_TICKETS_PAGE_SIZE`.
pub(super) fn variable(plugin: &str, key: &str) -> String {
    format!("{SETTING}{}_{}", upper(plugin), upper(key))
}

fn upper(text: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    text.chars().map(letter).collect()
}

/// Adds the settings that the environment alone has. Of two plugins whose names
/// both fit, the longer is meant: `A_B_C` is `c` of `a-b` before `b_c` of `a`. Answers
/// the variables that fit no plugin.
pub(super) fn add_plugin_settings(
    plugins: &mut IndexMap<String, Plugin>,
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut unmet = Vec::new();
    for (name, value) in variables
        .iter()
        .filter(|(name, _)| name.starts_with(SETTING))
    {
        let fits = |plugin: &str| name.strip_prefix(&variable(plugin, "")).map(str::to_owned);
        let fitting = plugins
            .keys()
            .filter_map(|plugin| Some((plugin.clone(), fits(plugin)?)));
        let Some((plugin, key)) = fitting.max_by_key(|(plugin, _)| plugin.len()) else {
            unmet.push(name.clone());
            continue;
        };
        let Some(plugin) = plugins.get_mut(&plugin) else {
            continue;
        };
        let known = plugin.config.keys().any(|known| upper(known) == key);
        if !known && !key.is_empty() {
            plugin
                .config
                .insert(key.to_ascii_lowercase(), value.clone());
        }
    }
    unmet
}

/// Relative paths count from the folder of the file that names them.
/// The default data folder counts from the working folder.
pub(super) fn resolve_paths(config: &mut Config, folder: &Path, data_dir_given: bool) {
    let resolve = |path: &mut PathBuf| {
        if !path.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    };
    if data_dir_given {
        resolve(&mut config.data_dir);
    }
    config.admin.token_file.iter_mut().for_each(resolve);
    let metrics_token = &mut config.admin.metrics_token_file;
    metrics_token.iter_mut().for_each(resolve);
    config.database.tls_root_file.iter_mut().for_each(resolve);
    config.outbound.tls_root_file.iter_mut().for_each(resolve);
    config.redis.tls_root_file.iter_mut().for_each(resolve);
    let tls = &mut config.tls;
    tls.certificate_file.iter_mut().for_each(resolve);
    tls.key_file.iter_mut().for_each(resolve);
    for plugin in config.plugins.values_mut() {
        plugin.file.iter_mut().for_each(resolve);
        for source in plugin.secrets.values_mut() {
            source.file.iter_mut().for_each(resolve);
        }
    }
}

/// Reads every secret, noting the ones that cannot be read.
pub(super) fn read_secrets(
    config: &mut Config,
    env: &impl Fn(&str) -> Option<String>,
    document: &mut Document<'_>,
) {
    let tokens = [
        ("token_file", &config.admin.token_file),
        ("metrics_token_file", &config.admin.metrics_token_file),
    ];
    for (key, path) in tokens {
        if let Some(path) = path
            && let Err(text) = read_secret_file(path)
        {
            document.blame(&["admin", key], text);
        }
    }
    let roots = [
        ("database", &config.database.tls_root_file),
        ("outbound", &config.outbound.tls_root_file),
        ("redis", &config.redis.tls_root_file),
    ];
    for (section, path) in roots {
        if let Some(path) = path
            && let Err(error) = File::open(path)
        {
            let text = format!("cannot read {}: {error}", path.display());
            document.blame(&[section, "tls_root_file"], text);
        }
    }
    for (name, plugin) in &mut config.plugins {
        for (key, source) in &plugin.secrets {
            match read_secret(source, env) {
                Ok(Some(secret)) => {
                    plugin.secret_values.insert(key.clone(), secret);
                }
                Ok(None) => {}
                Err(text) => document.blame(&["plugins", name, "secrets", key], text),
            }
        }
    }
}

/// A store that was asked for and not named.
pub(super) fn check_stores(
    config: &Config,
    env: &impl Fn(&str) -> Option<String>,
    document: &mut Document<'_>,
) {
    let redis = config.redis.url.is_some() || env(REDIS_URL).is_some_and(|url| !url.is_empty());
    if config.cache.shared == Some(SharedStore::Redis) && !redis {
        let text = format!("Redis is not configured: set redis.url or {REDIS_URL}");
        document.blame(&["cache", "shared"], text);
    }
}

/// Nothing where the source names both or neither, which is told elsewhere.
fn read_secret(
    source: &SecretSource,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, String> {
    match (&source.file, &source.env) {
        (Some(path), None) => read_secret_file(path).map(Some),
        (None, Some(variable)) => match env(variable) {
            Some(text) => Ok(Some(Secret::new(&text))),
            None => Err(format!("the environment variable {variable} is not set")),
        },
        _ => Ok(None),
    }
}

/// The file's text without the one line end that editors leave behind.
fn read_secret_file(path: &Path) -> Result<Secret, String> {
    let text = read_bounded(path, SECRET_BYTES_MAX)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(Secret::new(text))
}

/// A file's text, or an error where it is longer than `bytes_max`.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(bytes_max + 1)
        .read_to_string(&mut text)?;
    if read as u64 > bytes_max {
        let message = format!("it is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
