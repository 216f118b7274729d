//! What several commands open in the same way.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::backend::postgres::Server;
use crate::config::Config;
use crate::embedded::postgres::{self as embedded, Cluster};
use crate::secret::RootSecret;

/// The environment, as the configuration reads it.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load(path, &environment)?)
}

/// The fleet's root secret, from `HEARTH_SECRET_FILE` or the data folder.
pub fn secret(config: &Config) -> anyhow::Result<RootSecret> {
    let path = environment("HEARTH_SECRET_FILE").map_or_else(|| config.data_dir.join("secret"), PathBuf::from);
    RootSecret::open(&path).context("the root secret")
}

/// The database that was configured, or the embedded one, which then runs for
/// as long as the returned cluster lives.
pub async fn database(config: &Config) -> anyhow::Result<(Server, Option<Cluster>)> {
    std::fs::create_dir_all(&config.data_dir).with_context(|| config.data_dir.display().to_string())?;
    let settings = config.database.clone();
    let (url, cluster) = match &config.database.url {
        Some(url) => (url.expose().to_string(), None),
        None => {
            let cluster = start_embedded(config)?;
            (cluster.url(), Some(cluster))
        }
    };
    let server = Server::open(settings, &url).await?;
    server.prepare_database().await?;
    Ok((server, cluster))
}

fn start_embedded(config: &Config) -> anyhow::Result<Cluster> {
    let binaries = environment("HEARTH_POSTGRES_BIN").map(PathBuf::from);
    Cluster::start(binaries, &postgres_dir(config)).context("the embedded Postgres")
}

fn postgres_dir(config: &Config) -> PathBuf {
    config.data_dir.join("postgres")
}

/// Runs a command that needs the database for a moment: the running host's where
/// one runs, else one of its own.
pub fn with_database<F>(config_path: Option<&Path>, command: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Server, &RootSecret) -> anyhow::Result<()>,
{
    let config = config(config_path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = embedded::running_url(&postgres_dir(&config));
        match (config.database.url.is_none(), running) {
            (true, Some(url)) => {
                let server = Server::open(config.database.clone(), &url).await?;
                command(&server, &secret(&config)?).await
            }
            _ => {
                let (server, cluster) = database(&config).await?;
                let done = command(&server, &secret(&config)?).await;
                if let Some(cluster) = cluster {
                    cluster.stop();
                }
                done
            }
        }
    })
}
