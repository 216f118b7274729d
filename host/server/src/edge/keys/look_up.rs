//! Looks one key up in Postgres.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deadpool_postgres::Client;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::text::{Digest, Presented};
use super::{AuthError, Caller, KeysInner, Tier};
use hearth_backend::postgres::Server;

/// What is remembered of a key that exists, revoked or not.
pub(super) struct Entry {
    /// The number of changes in the snapshot that the rest was read in.
    pub(super) version: i64,
    caller: Caller,
    expires_at: Option<SystemTime>,
    revoked: bool,
}

impl Entry {
    pub(super) fn judge(&self, now: SystemTime) -> Result<Caller, AuthError> {
        if self.revoked {
            return Err(AuthError::Revoked);
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::Expired);
        }
        Ok(self.caller.clone())
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum LookUpError {
    #[error("the API key was not found")]
    Unknown,
    #[error("Postgres is unavailable")]
    Away,
}

/// Any error of a statement that is ours and never changes means that Postgres
/// cannot be used, whatever it says.
impl From<tokio_postgres::Error> for LookUpError {
    fn from(error: tokio_postgres::Error) -> LookUpError {
        tracing::debug!(%error, "an API key could not be looked up");
        LookUpError::Away
    }
}

impl From<deadpool_postgres::PoolError> for LookUpError {
    fn from(error: deadpool_postgres::PoolError) -> LookUpError {
        tracing::debug!(%error, "an API key could not be looked up: no connection to Postgres");
        LookUpError::Away
    }
}

const VERSION: &str = "SELECT version FROM hearth.key_changes";

/// One statement, so one snapshot: the number of changes and the key belong
/// together, and a revocation is in both or in neither.
const KEY: &str = "
    SELECT changes.version, keys.id, keys.customer_id, keys.scopes, customers.tier,
           keys.expires_at, keys.revoked_at IS NOT NULL, keys.hmac, keys.hmac_version
    FROM hearth.key_changes AS changes
    LEFT JOIN (hearth.keys JOIN hearth.customers ON customers.id = keys.customer_id)
           ON keys.hmac = ANY ($1)";

/// Keys that are not revoked, in one snapshot with the number of changes.
const STANDING: &str = "
    SELECT changes.version, keys.id, keys.expires_at
    FROM hearth.key_changes AS changes
    LEFT JOIN hearth.keys ON keys.id = ANY ($1) AND keys.revoked_at IS NULL";

/// Those of the keys that are not revoked, with their ends.
pub(super) async fn valid_keys(
    server: &Server,
    ids: &[&str],
) -> Result<(i64, HashMap<String, Option<SystemTime>>), LookUpError> {
    let client = server.host().get().await?;
    let statement = client.prepare_cached(STANDING).await?;
    let (mut version, mut good) = (0, HashMap::new());
    for row in client.query(&statement, &[&ids]).await? {
        version = row.try_get(0)?;
        if let Some(id) = row.try_get(1)? {
            good.insert(id, row.try_get(2)?);
        }
    }
    Ok((version, good))
}

pub(super) async fn version(server: &Server) -> Result<i64, LookUpError> {
    let client = server.host().get().await?;
    let statement = client.prepare_cached(VERSION).await?;
    Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
}

pub(super) async fn look_up(
    shared: &KeysInner,
    key: &Presented<'_>,
) -> Result<Arc<Entry>, LookUpError> {
    let limit = Duration::from_millis(shared.config.look_ms_max);
    tokio::time::timeout(limit, read(shared, key))
        .await
        .unwrap_or(Err(LookUpError::Away))
}

async fn read(shared: &KeysInner, key: &Presented<'_>) -> Result<Arc<Entry>, LookUpError> {
    let asked = Instant::now();
    let client = shared.server.host().get().await?;
    let statement = client.prepare_cached(KEY).await?;
    let row = client
        .query_one(&statement, &[&shared.digests.all(key)])
        .await?;
    let version: i64 = row.try_get(0)?;
    shared.freshness.confirmed(version, asked);
    let Some(id) = row.try_get::<_, Option<String>>(1)? else {
        return Err(LookUpError::Unknown);
    };
    let entry = entry(&row, version, &id)?;
    let stored: Vec<u8> = row.try_get(7)?;
    store_under_newest(shared, &client, &id, &stored, &shared.digests.newest(key)).await;
    Ok(Arc::new(entry))
}

fn entry(row: &Row, version: i64, id: &str) -> Result<Entry, LookUpError> {
    let customer_id: String = row.try_get(2)?;
    let scopes: Vec<String> = row.try_get(3)?;
    let tier: String = row.try_get(4)?;
    let caller = Caller {
        customer_id: customer_id.into(),
        key_id: id.into(),
        scopes: scopes.into(),
        tier: tier.parse().unwrap_or(Tier::Free),
    };
    Ok(Entry {
        version,
        caller,
        expires_at: row.try_get(5)?,
        revoked: row.try_get(6)?,
    })
}

/// Moves a key that is used to the newest version of the root secret, so that
/// the older one can be deleted after a while. A failure is left to the next
/// look-up.
async fn store_under_newest(
    shared: &KeysInner,
    client: &Client,
    id: &str,
    stored: &[u8],
    newest: &Digest,
) {
    if stored == newest {
        return;
    }
    let moved = client
        .execute(
            "UPDATE hearth.keys SET hmac = $1, hmac_version = $2 WHERE id = $3 AND hmac = $4",
            &[
                &newest.as_slice(),
                &shared.digests.newest_version(),
                &id,
                &stored,
            ],
        )
        .await;
    if let Err(error) = moved {
        tracing::debug!(%error, "the hash of an API key could not be renewed with the newest root secret");
    }
}
