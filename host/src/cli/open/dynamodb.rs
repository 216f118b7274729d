//! The DynamoDB of a serving host: the operator's, or a private one.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "embedded-dynamodb")]
use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[cfg(feature = "embedded-dynamodb")]
use crate::embedded::dynamodb::{Embedded, Options};
use hearth_backend::dynamodb::{Dynamo, PrepareError};
use hearth_base::telemetry::BackendWatch;
use hearth_server::config::Config;

/// How often a DynamoDB that was away at start is asked for its tables.
const TABLES_RETRY: Duration = Duration::from_secs(5);

/// The DynamoDB that was configured, or a private one, which then runs for as long
/// as this is held.
pub struct DynamoDb {
    /// `None` where nothing is configured and this build has no private one.
    pub dynamo: Option<Dynamo>,
    #[cfg(feature = "embedded-dynamodb")]
    private: Option<Embedded>,
}

impl DynamoDb {
    /// Makes or checks the tables. A DynamoDB that is away keeps nothing from serving
    /// that does not need it, and is asked again beside the requests.
    ///
    /// # Errors
    /// With what is wrong with a table.
    pub async fn prepare(&self, beside: &mut JoinSet<()>) -> anyhow::Result<()> {
        let Some(dynamo) = &self.dynamo else {
            return Ok(());
        };
        match dynamo.prepare().await {
            Ok(()) => Ok(()),
            Err(PrepareError::Away(error)) => {
                tracing::warn!(error, "the tables in DynamoDB could not be looked at yet");
                beside.spawn(prepare_later(dynamo.clone()));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stops a private one, once nobody uses it any more.
    pub async fn stop(self) {
        #[cfg(feature = "embedded-dynamodb")]
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

async fn prepare_later(dynamo: Dynamo) {
    loop {
        sleep(TABLES_RETRY).await;
        match dynamo.prepare().await {
            Ok(()) => return tracing::info!("the tables in DynamoDB are as they should be"),
            Err(PrepareError::Away(error)) => tracing::debug!(error, "DynamoDB is still away"),
            Err(error) => tracing::error!(%error, "the tables in DynamoDB cannot be used"),
        }
    }
}

/// A private one is always started where none is configured: it takes
/// milliseconds, and a plugin that wants it may come while the host serves.
pub async fn reach(config: &Config, watch: &Arc<BackendWatch>) -> anyhow::Result<DynamoDb> {
    if config.dynamodb.is_reachable() {
        return Ok(DynamoDb {
            dynamo: Some(Dynamo::open(&config.dynamodb, None).await.watched(watch)),
            #[cfg(feature = "embedded-dynamodb")]
            private: None,
        });
    }
    private(config, watch).await
}

#[cfg(feature = "embedded-dynamodb")]
async fn private(config: &Config, watch: &Arc<BackendWatch>) -> anyhow::Result<DynamoDb> {
    let options = Options {
        sync: config.dynamodb.embedded_sync,
        sweep: Duration::from_millis(config.dynamodb.embedded_sweep_ms),
    };
    let private = Embedded::start(&config.data_dir.join("dynamodb"), options).await;
    let private = private.context("the private DynamoDB")?;
    if config.database.url.is_some() {
        tracing::warn!(
            "documents lie in a DynamoDB of this host's own: another host on the same database \
             sees none of them. Set `region` in [dynamodb] where there is more than one"
        );
    }
    let way = private.connector().http_client();
    Ok(DynamoDb {
        dynamo: Some(
            Dynamo::open(&config.dynamodb, Some(way))
                .await
                .watched(watch),
        ),
        private: Some(private),
    })
}

#[cfg(not(feature = "embedded-dynamodb"))]
async fn private(_: &Config, _: &Arc<BackendWatch>) -> anyhow::Result<DynamoDb> {
    Ok(DynamoDb { dynamo: None })
}
