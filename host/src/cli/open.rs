//! What several commands open in the same way.

pub mod dynamodb;
pub mod secret;

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::embedded::postgres::{Cluster, Reached};
use hearth_backend::postgres::Server;
use hearth_base::clock::Clock;
use hearth_base::mode;
use hearth_base::secret::RootSecret;
use hearth_server::config::Config;

/// A variable of the environment that no configuration file can set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load_for_process(path)?)
}

/// Makes the data folder where there is none, and closes it to other users: secrets,
/// keys and customers' data lie in it.
pub fn data_dir(config: &Config) -> anyhow::Result<()> {
    let folder = &config.data_dir;
    mode::private_folder(folder)
        .with_context(|| format!("the data folder {} (data_dir)", folder.display()))
}

/// The machine's clock, or the one that a test puts forward with
/// `HEARTH_CLOCK_FILE`.
pub fn clock() -> Clock {
    let Some(file) = environment("HEARTH_CLOCK_FILE").filter(|file| !file.is_empty()) else {
        return Clock::system();
    };
    tracing::warn!(
        file,
        "HEARTH_CLOCK_FILE IS SET: the clock of guests, queues and schedules is put forward by the \
         milliseconds in that file. This is for tests alone"
    );
    Clock::of_file(Path::new(&file))
}

/// The database that was configured, or the embedded one, which then runs for
/// as long as the returned cluster lives.
pub async fn database(config: &Config) -> anyhow::Result<(Server, Option<Cluster>)> {
    data_dir(config)?;
    let (url, cluster) = match &config.database.url {
        Some(url) => (url.expose().to_string(), None),
        None => {
            let (dir, bounds) = (postgres_dir(config), config.database.embedded.clone());
            let cluster = Cluster::start_within(postgres_binaries(), &dir, bounds).await;
            let cluster = cluster.context("the embedded Postgres")?;
            (cluster.url(), Some(cluster))
        }
    };
    let server = Server::open(config.database.clone(), &url).await?;
    server.prepare_database().await?;
    Ok((server, cluster))
}

fn postgres_binaries() -> Option<PathBuf> {
    environment("HEARTH_POSTGRES_BIN").map(PathBuf::from)
}

pub fn postgres_dir(config: &Config) -> PathBuf {
    config.data_dir.join("postgres")
}

/// Runs a command that needs the database for a moment: the serving host's where
/// one serves, else one of its own.
pub fn with_database<F>(config_path: Option<&Path>, command: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Config, &Server) -> anyhow::Result<()>,
{
    let config = config(config_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        data_dir(&config)?;
        let (url, reached) = match &config.database.url {
            Some(url) => (url.expose().to_string(), None),
            None => {
                let (dir, bounds) = (postgres_dir(&config), config.database.embedded.clone());
                let reached = Reached::reach_within(postgres_binaries(), &dir, bounds).await?;
                (reached.url.clone(), Some(reached))
            }
        };
        let server = Server::open(config.database.clone(), &url).await?;
        server.prepare_database().await?;
        let done = command(&config, &server).await;
        if let Some(reached) = reached {
            reached.close().await;
        }
        done
    })
}

/// The same for a command that also needs the root secret, which must be the database's.
pub fn with_secret<F>(config_path: Option<&Path>, command: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Server, &RootSecret) -> anyhow::Result<()>,
{
    with_database(config_path, async |config, server| {
        let secret = secret::open(config, server).await?;
        command(server, &secret).await
    })
}

/// Such a variable changes nothing, which its author will not expect.
pub fn warn_of_unmet_settings(config: &Config) {
    for variable in &config.unmet_settings {
        tracing::warn!(
            variable,
            "a setting of the environment meets no plugin: the configuration has no section \
             [plugins.NAME] for it; one without `file` is enough for a plugin that is deployed by \
             command"
        );
    }
}
