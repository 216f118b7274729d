//! The cache's shared tier, where there is a store for one.

use hearth_backend::dynamodb::Dynamo;
use hearth_backend::dynamodb::cache::CacheTable;
use hearth_backend::redis::Redis;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::HostMetrics;
use hearth_runtime::capability::cache::SharedStore;
use hearth_runtime::capability::cache::shared::{SharedTier, Store};
use hearth_server::config::Config;

/// `None` where each host has its memory alone. A store that is away is none that
/// is missing: the host starts, and goes on with its memory until it is back.
pub(super) fn open(
    config: &Config,
    dynamo: Option<&Dynamo>,
    secret: &RootSecret,
    metrics: &HostMetrics,
) -> anyhow::Result<Option<SharedTier>> {
    let store = match (config.cache.shared, &config.redis.url, dynamo) {
        (Some(SharedStore::None), ..) | (None, None, None) => return Ok(None),
        (Some(SharedStore::Redis) | None, Some(url), _) => {
            Store::Redis(Redis::open(&config.redis, url)?.into())
        }
        (Some(SharedStore::Dynamodb) | None, _, Some(dynamo)) => {
            Store::Dynamodb(CacheTable::of(dynamo))
        }
        (Some(wanted), ..) => anyhow::bail!("cache.shared is {wanted:?}, which this host has not"),
    };
    Ok(Some(SharedTier::open(
        store,
        &config.cache,
        secret,
        metrics,
    )))
}
