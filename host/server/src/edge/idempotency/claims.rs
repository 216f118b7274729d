//! The rows of `hearth.idempotency`.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, SystemTime};

use deadpool_postgres::{Client, PoolError};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Config;
use super::holdings::{Holding, Holdings};
use hearth_backend::postgres::Server;

/// Rows that one sweep deletes, so that it never holds many locks.
const SWEEP_ROWS_MAX: i64 = 1_000;

/// Takes the key if it is new, too old, or its holder is gone without an effect; in one
/// statement, so that of several concurrent requests one gets it. A request that takes
/// over keeps the time of the first.
const TAKE: &str = "
    INSERT INTO hearth.idempotency AS own
        (customer_id, plugin, key, fingerprint, scopes, claim, holder, held_until, created_at)
    VALUES ($1, $2, $3, $4, $11, $5, $6, now() + $7 * interval '1 millisecond', $10)
    ON CONFLICT (customer_id, plugin, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, scopes = excluded.scopes, claim = excluded.claim, holder = excluded.holder,
        held_until = excluded.held_until, applied = false, answer = NULL,
        created_at = CASE WHEN own.created_at < now() - $8 * interval '1 millisecond'
                          THEN excluded.created_at ELSE own.created_at END
    WHERE own.created_at < now() - $8 * interval '1 millisecond'
       OR (own.answer IS NULL AND NOT own.applied AND own.fingerprint = excluded.fingerprint
           AND coalesce(own.scopes, excluded.scopes) = excluded.scopes
           AND (own.held_until < now() OR NOT EXISTS (
               SELECT FROM hearth.hosts WHERE hosts.id = own.holder
               AND hosts.seen_at > now() - $9 * interval '1 millisecond')))
    RETURNING created_at";

/// Reads the claim that is there instead.
const READ: &str = "
    SELECT claim, fingerprint, applied, answer,
           held_until < now() OR NOT EXISTS (
               SELECT FROM hearth.hosts WHERE hosts.id = holder
               AND hosts.seen_at > now() - $4 * interval '1 millisecond'),
           scopes IS NOT DISTINCT FROM $5
    FROM hearth.idempotency WHERE customer_id = $1 AND plugin = $2 AND key = $3";

/// Ends a claim without an effect. Its row stays, as effects outside Postgres are
/// identified by its time: see `Claim::since`. No transaction can mark a claim without
/// a holder any more.
const LET_GO: &str = "
    UPDATE hearth.idempotency SET claim = gen_random_uuid(), held_until = now()
    WHERE claim = $1 AND NOT applied";

/// Deletes a claim that was refused: its time is not needed.
const FREE: &str = "DELETE FROM hearth.idempotency WHERE claim = $1 AND NOT applied";

/// Customers who have much.
const COUNT: &str = "
    SELECT customer_id, count(*), coalesce(sum(octet_length(answer)), 0)::bigint
    FROM hearth.idempotency GROUP BY customer_id
    HAVING count(*) > $1 OR sum(octet_length(answer)) > $2";

/// How often the two are tried: between them the row may go.
const TRIES: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the row was deleted by others at every attempt")]
    Restless,
    #[error("Postgres did not answer in time")]
    Silent,
}

pub(super) struct Claims {
    server: Server,
    holder: Uuid,
    silence_ms_max: f64,
    kept_ms_max: f64,
    look_up_max: Duration,
    holdings: Holdings,
}

/// A key as a request wants it.
pub(super) struct KeyClaim<'a> {
    pub customer: &'a str,
    pub plugin: &'a str,
    pub key: &'a str,
    pub fingerprint: [u8; 32],
    /// As a set: sorted, and each once.
    pub scopes: Vec<String>,
    pub held: Duration,
    /// By the clock that guests see.
    pub now: SystemTime,
}

pub(super) enum ClaimResult {
    /// With the time at which the key was first seen.
    Taken(Uuid, SystemTime),
    Other {
        claim: Uuid,
        standing: OtherRequest,
    },
    /// It is new, and the customer has as many as one may.
    NoRoom,
}

/// The state of another request with the same key.
pub(super) enum OtherRequest {
    OtherPayload,
    /// The same request, by a key that may do other things.
    OtherScopes,
    Running,
    /// It had its effect, and will not be answered any more.
    Applied,
    Answered(Vec<u8>),
}

impl Claims {
    pub(super) fn new(server: Server, holder: Uuid, config: &Config) -> Claims {
        Claims {
            server,
            holder,
            silence_ms_max: config.silence_ms_max as f64,
            kept_ms_max: config.kept_ms_max as f64,
            look_up_max: Duration::from_millis(config.look_up_ms_max),
            holdings: Holdings::new(config),
        }
    }

    /// Bounded here too, for a Postgres that is frozen ends no statement itself.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = tokio::time::timeout(self.look_up_max, work).await;
        ended.unwrap_or(Err(Error::Silent))
    }

    pub(super) async fn take(&self, wanted: &KeyClaim<'_>) -> Result<ClaimResult, Error> {
        self.bounded(self.take_or_read(wanted)).await
    }

    async fn take_or_read(&self, wanted: &KeyClaim<'_>) -> Result<ClaimResult, Error> {
        let client = self.server.host().get().await?;
        if !self.holdings.has_room(wanted.customer) {
            let known = self.read(&client, wanted).await?;
            return Ok(known.unwrap_or(ClaimResult::NoRoom));
        }
        for _ in 0..TRIES {
            let claim = Uuid::new_v4();
            if let Some(since) = self.insert(&client, wanted, claim).await? {
                self.holdings.add_key(wanted.customer);
                return Ok(ClaimResult::Taken(claim, since));
            }
            if let Some(found) = self.read(&client, wanted).await? {
                return Ok(found);
            }
        }
        Err(Error::Restless)
    }

    async fn insert(
        &self,
        client: &Client,
        wanted: &KeyClaim<'_>,
        claim: Uuid,
    ) -> Result<Option<SystemTime>, Error> {
        let statement = client.prepare_cached(TAKE).await?;
        let held_ms = wanted.held.as_millis() as f64;
        let taken = client
            .query_opt(
                &statement,
                &[
                    &wanted.customer,
                    &wanted.plugin,
                    &wanted.key,
                    &&wanted.fingerprint[..],
                    &claim,
                    &self.holder,
                    &held_ms,
                    &self.kept_ms_max,
                    &self.silence_ms_max,
                    &wanted.now,
                    &wanted.scopes,
                ],
            )
            .await?;
        Ok(taken.map(|row| row.try_get(0)).transpose()?)
    }

    async fn read(
        &self,
        client: &Client,
        wanted: &KeyClaim<'_>,
    ) -> Result<Option<ClaimResult>, Error> {
        let statement = client.prepare_cached(READ).await?;
        let key: [&(dyn postgres_types::ToSql + Sync); 5] = [
            &wanted.customer,
            &wanted.plugin,
            &wanted.key,
            &self.silence_ms_max,
            &wanted.scopes,
        ];
        let row = client.query_opt(&statement, &key).await?;
        row.map(|row| {
            Ok(ClaimResult::Other {
                claim: row.try_get(0)?,
                standing: other_request(&row, &wanted.fingerprint)?,
            })
        })
        .transpose()
    }

    /// Keeps the answer, which may be missing; then the claim ends all the same.
    pub(super) async fn keep(
        &self,
        customer: &str,
        claim: Uuid,
        answer: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let fits = |answer: &Vec<u8>| self.holdings.add_answer(customer, answer.len());
        let answer = answer.filter(fits);
        self.bounded(self.store(claim, answer)).await
    }

    async fn store(&self, claim: Uuid, answer: Option<Vec<u8>>) -> Result<(), Error> {
        let client = self.server.host().get().await?;
        let statement = client
            .prepare_cached(
                "UPDATE hearth.idempotency SET answer = $2, applied = true, held_until = now()
                 WHERE claim = $1",
            )
            .await?;
        client.execute(&statement, &[&claim, &answer]).await?;
        Ok(())
    }

    /// A claim without an effect goes, and its key is free for the same request.
    pub(super) async fn let_go(&self, claim: Uuid) -> Result<(), Error> {
        self.bounded(self.end(LET_GO, claim)).await.map(drop)
    }

    /// The same, and its key is free for any request.
    pub(super) async fn free(&self, customer: &str, claim: Uuid) -> Result<(), Error> {
        if self.bounded(self.end(FREE, claim)).await? {
            self.holdings.remove_key(customer);
        }
        Ok(())
    }

    /// Whether the claim had no effect and was ended as such. One with an effect but
    /// without an answer counts as applied from now on: no one else can know which it
    /// is.
    async fn end(&self, statement: &str, claim: Uuid) -> Result<bool, Error> {
        let client = self.server.host().get().await?;
        let prepared = client.prepare_cached(statement).await?;
        let ended = client.execute(&prepared, &[&claim]).await? > 0;
        // The other statement takes a connection of its own.
        drop(client);
        if !ended {
            self.store(claim, None).await?;
        }
        Ok(ended)
    }

    pub(super) async fn sweep(&self) -> Result<(), Error> {
        let client = self.server.host().get().await?;
        let statement = client
            .prepare_cached(
                "DELETE FROM hearth.idempotency WHERE claim IN (
                     SELECT claim FROM hearth.idempotency
                     WHERE created_at < now() - $1 * interval '1 millisecond'
                     ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            )
            .await?;
        let values: [&(dyn postgres_types::ToSql + Sync); 2] = [&self.kept_ms_max, &SWEEP_ROWS_MAX];
        while client.execute(&statement, &values).await? as i64 == SWEEP_ROWS_MAX {}
        self.count(&client).await
    }

    async fn count(&self, client: &Client) -> Result<(), Error> {
        let heavy = self.holdings.heavy();
        let least = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
        let (keys, bytes) = (least(heavy.keys), least(heavy.bytes));
        let statement = client.prepare_cached(COUNT).await?;
        let mut counted = HashMap::new();
        for row in client.query(&statement, &[&keys, &bytes]).await? {
            let number = |at: usize| row.try_get(at).map(|n: i64| u64::try_from(n).unwrap_or(0));
            let (keys, bytes) = (number(1)?, number(2)?);
            counted.insert(row.try_get(0)?, Holding { keys, bytes });
        }
        self.holdings.set(counted);
        Ok(())
    }
}

fn other_request(row: &Row, fingerprint: &[u8; 32]) -> Result<OtherRequest, Error> {
    let (other, applied): (Vec<u8>, bool) = (row.try_get(1)?, row.try_get(2)?);
    let (answer, left): (Option<Vec<u8>>, bool) = (row.try_get(3)?, row.try_get(4)?);
    let same_scopes: bool = row.try_get(5)?;
    Ok(match answer {
        _ if other != fingerprint => OtherRequest::OtherPayload,
        _ if !same_scopes => OtherRequest::OtherScopes,
        Some(answer) => OtherRequest::Answered(answer),
        // Its holder may still be about to keep the answer.
        None if applied && left => OtherRequest::Applied,
        None => OtherRequest::Running,
    })
}
