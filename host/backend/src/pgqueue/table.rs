//! The way to the queues' tables: connections, time limits, errors.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{Client, PoolError};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::entry::Stamp;
use crate::postgres::{Server, chain};
use crate::queue::QueueError;
use hearth_base::clock::Clock;

pub(super) struct Table {
    pub server: Server,
    pub clock: Clock,
    key: [u8; 32],
    operation_max: Duration,
    /// Queues use half of the host's connections at most: keys and idempotency keys
    /// are looked up on the others.
    permits: Semaphore,
}

/// A connection of the host's, while it is used for queues.
pub(super) struct TableConnection<'t> {
    pub client: Client,
    _permit: SemaphorePermit<'t>,
}

impl Table {
    pub fn new(server: Server, clock: Clock, key: [u8; 32], operation_max: Duration) -> Table {
        let connections = server.config().host_connections_max as usize;
        Table {
            server,
            clock,
            key,
            operation_max,
            permits: Semaphore::new((connections / 2).max(1)),
        }
    }

    pub fn stamp(&self) -> Stamp {
        Stamp {
            key: self.key.to_vec(),
            offset_ms: self.offset_ms(),
        }
    }

    /// By how much the clock is put forward.
    pub fn offset_ms(&self) -> i64 {
        i64::try_from(self.clock.offset().as_millis()).unwrap_or(i64::MAX)
    }

    /// Postgres keeps the digest alone. Digests of older versions of the root secret
    /// stay: hosts that have not got the new one yet still send.
    pub async fn register_key(&self) -> Result<(), QueueError> {
        let text = "INSERT INTO hearth.outbox_keys (digest) VALUES ($1) ON CONFLICT DO NOTHING";
        let digest = Sha256::digest(self.key);
        self.bounded(async {
            let held = self.hold().await?;
            held.client.execute(text, &[&&digest[..]]).await?;
            Ok(())
        })
        .await
    }

    pub async fn hold(&self) -> Result<TableConnection<'_>, Failure> {
        let permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| Failure::Stopping)?;
        Ok(TableConnection {
            client: self.server.host().get().await?,
            _permit: permit,
        })
    }

    /// Bounded here too, for a Postgres that is frozen ends no statement itself.
    pub async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, QueueError> {
        match tokio::time::timeout(self.operation_max, work).await {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(QueueError::Unavailable(
                "Postgres did not answer in time".into(),
            )),
        }
    }
}

/// Why a statement gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no connection: {0}")]
    Pool(#[from] PoolError),
    #[error("{}", chain(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the host is stopping")]
    Stopping,
}

impl From<Failure> for QueueError {
    fn from(failure: Failure) -> QueueError {
        QueueError::Unavailable(failure.to_string())
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
