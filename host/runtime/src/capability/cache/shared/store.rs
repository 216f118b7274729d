//! Where shared values lie: in Redis, or in a table of DynamoDB.

use std::time::Duration;

use crate::capability::cache::SharedStore;
use crate::capability::{Backends, OpenError};
use hearth_backend::dynamodb::DynamoError;
use hearth_backend::dynamodb::cache::CacheTable;
use hearth_backend::redis::Redis;

/// An item of DynamoDB: 400 KB, as AWS counts them.
pub(super) const ITEM_BYTES_MAX: usize = 400 << 10;

/// Where shared values lie.
pub enum Store {
    Dynamodb(CacheTable),
    Redis(Box<Redis>),
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It answered, and would not keep this.
    #[error("rejected: {0}")]
    Refused(String),
    /// It did not answer, or not with what was asked of it.
    #[error("unavailable: {0}")]
    Away(String),
}

impl Store {
    /// The one that the configuration names, or else the one that there is. A store that is
    /// unavailable is none that is missing: the host starts, and goes on with its memory until
    /// it is back.
    pub(super) fn from_backends(
        named: Option<SharedStore>,
        backends: &Backends<'_>,
    ) -> Result<Option<Store>, OpenError> {
        let (redis, dynamo) = (backends.redis, backends.dynamo);
        match (named, &redis.url, dynamo) {
            (Some(SharedStore::None), ..) | (None, None, None) => Ok(None),
            (Some(SharedStore::Redis) | None, Some(url), _) => {
                let redis = Redis::open(redis, url);
                let redis = redis.map_err(|error| OpenError(error.to_string()))?;
                Ok(Some(Store::Redis(redis.into())))
            }
            (Some(SharedStore::Dynamodb) | None, _, Some(dynamo)) => {
                Ok(Some(Store::Dynamodb(CacheTable::of(dynamo))))
            }
            (Some(wanted), ..) => Err(OpenError(format!(
                "cache.shared is {wanted:?}, which is not configured on this host"
            ))),
        }
    }

    /// As the log calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Store::Dynamodb(_) => "dynamodb",
            Store::Redis(_) => "redis",
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Store::Dynamodb(table) => table.get(name).await.map_err(away),
            Store::Redis(redis) => match redis.get(name, ITEM_BYTES_MAX).await {
                // Something else lies there: it is no entry.
                Err(error) if error.is_refusal() => Ok(Some(Vec::new())),
                got => got.map_err(away),
            },
        }
    }

    pub(super) async fn put(&self, sealed: Sealed) -> Result<(), StoreError> {
        match self {
            Store::Dynamodb(table) => {
                let (at_ms, until_s) = (sealed.set_micros / 1_000, sealed.until_s());
                let put = table.put(&sealed.name, sealed.bytes, at_ms, until_s);
                put.await.map_err(|failure| match failure {
                    DynamoError::Invalid(_) => StoreError::Refused(failure.to_string()),
                    failure => away(failure),
                })
            }
            Store::Redis(redis) => {
                let put = redis.put(&sealed.name, &sealed.bytes, sealed.life);
                put.await.map_err(|error| match error.is_refusal() {
                    true => StoreError::Refused(error.to_string()),
                    false => away(error),
                })
            }
        }
    }

    /// Reaches it anew, for a connection that hangs tells nothing. The SDK has
    /// another one when it wants one.
    pub(super) async fn reconnect(&self) -> Result<(), StoreError> {
        match self {
            Store::Dynamodb(_) => Ok(()),
            Store::Redis(redis) => redis.reconnect().await.map_err(away),
        }
    }
}

fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError::Away(error.to_string())
}

/// A value as it is stored.
pub(super) struct Sealed {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Microseconds since 1970 by Postgres's clock.
    pub(super) set_micros: i64,
    /// For how long it is of use to anybody.
    pub(super) life: Duration,
}

impl Sealed {
    /// The first second since 1970 in which it is of no use.
    fn until_s(&self) -> i64 {
        let life = i64::try_from(self.life.as_micros()).unwrap_or(i64::MAX);
        self.set_micros.saturating_add(life) / 1_000_000 + 1
    }
}
