//! What several commands open in the same way.

use std::path::{Path, PathBuf};
#[cfg(feature = "embedded-dynamodb")]
use std::time::Duration;

use anyhow::Context;

use crate::backend::dynamodb::Dynamo;
use crate::backend::postgres::Server;
use crate::config::Config;
#[cfg(feature = "embedded-dynamodb")]
use crate::embedded::dynamodb::{Embedded, Options};
use crate::embedded::postgres::{Cluster, Reached};
use crate::secret::RootSecret;

/// A variable of the environment that no configuration file can set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load_for_process(path)?)
}

/// The fleet's root secret, from `HEARTH_SECRET_FILE` or the data folder.
pub fn secret(config: &Config) -> anyhow::Result<RootSecret> {
    let path = environment("HEARTH_SECRET_FILE")
        .map_or_else(|| config.data_dir.join("secret"), PathBuf::from);
    RootSecret::open(&path).context("the root secret")
}

/// The database that was configured, or the embedded one, which then runs for
/// as long as the returned cluster lives.
pub async fn database(config: &Config) -> anyhow::Result<(Server, Option<Cluster>)> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| config.data_dir.display().to_string())?;
    let (url, cluster) = match &config.database.url {
        Some(url) => (url.expose().to_string(), None),
        None => {
            let cluster = Cluster::start(postgres_binaries(), &postgres_dir(config)).await;
            let cluster = cluster.context("the embedded Postgres")?;
            (cluster.url(), Some(cluster))
        }
    };
    let server = Server::open(config.database.clone(), &url).await?;
    server.prepare_database().await?;
    Ok((server, cluster))
}

/// The DynamoDB that was configured, or a private one, which then runs for as long
/// as it is held.
pub struct DynamoDb {
    /// `None` where nothing is configured and this build has no private one.
    pub dynamo: Option<Dynamo>,
    #[cfg(feature = "embedded-dynamodb")]
    private: Option<Embedded>,
}

impl DynamoDb {
    pub async fn stop(self) {
        #[cfg(feature = "embedded-dynamodb")]
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

/// A private one is always started where none is configured: it takes
/// milliseconds, and a plugin that wants it may come while the host serves.
pub async fn dynamodb(config: &Config) -> anyhow::Result<DynamoDb> {
    if config.dynamodb.is_reachable() {
        return Ok(DynamoDb {
            dynamo: Some(Dynamo::open(&config.dynamodb, None).await),
            #[cfg(feature = "embedded-dynamodb")]
            private: None,
        });
    }
    private_dynamodb(config).await
}

#[cfg(feature = "embedded-dynamodb")]
async fn private_dynamodb(config: &Config) -> anyhow::Result<DynamoDb> {
    let options = Options {
        sync: config.dynamodb.embedded_sync,
        sweep: Duration::from_millis(config.dynamodb.embedded_sweep_ms),
    };
    let private = Embedded::start(&config.data_dir.join("dynamodb"), options).await;
    let private = private.context("the private DynamoDB")?;
    Ok(DynamoDb {
        dynamo: Some(Dynamo::open(&config.dynamodb, Some(private.url())).await),
        private: Some(private),
    })
}

#[cfg(not(feature = "embedded-dynamodb"))]
async fn private_dynamodb(_: &Config) -> anyhow::Result<DynamoDb> {
    Ok(DynamoDb { dynamo: None })
}

fn postgres_binaries() -> Option<PathBuf> {
    environment("HEARTH_POSTGRES_BIN").map(PathBuf::from)
}

fn postgres_dir(config: &Config) -> PathBuf {
    config.data_dir.join("postgres")
}

/// Runs a command that needs the database for a moment: the serving host's where
/// one serves, else one of its own.
pub fn with_database<F>(config_path: Option<&Path>, command: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Server, &RootSecret) -> anyhow::Result<()>,
{
    let config = config(config_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| config.data_dir.display().to_string())?;
        let secret = secret(&config)?;
        let (url, reached) = match &config.database.url {
            Some(url) => (url.expose().to_string(), None),
            None => {
                let reached = Reached::reach(postgres_binaries(), &postgres_dir(&config)).await?;
                (reached.url.clone(), Some(reached))
            }
        };
        let server = Server::open(config.database.clone(), &url).await?;
        server.prepare_database().await?;
        let done = command(&server, &secret).await;
        if let Some(reached) = reached {
            reached.close().await;
        }
        done
    })
}
