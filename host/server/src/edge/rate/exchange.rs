//! What hosts tell one another, through Postgres.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Rate;
use super::bucket::Nanos;
use super::ledger::{Fleet, Report};
use hearth_backend::postgres::Server;

/// How often a host says that it is there, if it has nothing else to say.
const PRESENT: Duration = Duration::from_secs(3);

/// How often rows of hosts and customers that are gone are deleted.
const CLEAN: Duration = Duration::from_secs(60);

/// For how long an exchange may fail before the others count as out of reach.
const AWAY: Duration = Duration::from_secs(1);

/// Adds what this host admitted to the fleet's buckets and reads what they owe
/// then. All hosts take the rows in one order, so that none waits for another
/// that waits for it. The clock is Postgres's for all of them.
const EXCHANGE: &str = "
    WITH present AS (
        INSERT INTO hearth.rate_hosts (host, at) VALUES ($1, now())
        ON CONFLICT (host) DO UPDATE SET at = excluded.at
    ), told AS (
        INSERT INTO hearth.rate_buckets AS bucket (customer_id, full_at, asked)
        SELECT customer_id, now() + cost_us * interval '1 microsecond', asked
        FROM unnest($2::text[], $3::bigint[], $4::bigint[])
             AS report (customer_id, cost_us, asked)
        ORDER BY customer_id
        ON CONFLICT (customer_id) DO UPDATE
        SET full_at = least(
                greatest(bucket.full_at, clock_timestamp()) + (excluded.full_at - now()),
                clock_timestamp() + $5::bigint * interval '1 microsecond'),
            asked = bucket.asked + excluded.asked
        RETURNING customer_id, asked, (extract(
            epoch FROM greatest(full_at - clock_timestamp(), interval '0')) * 1000000)::bigint
            AS owed_us
    ), others AS (
        SELECT count(*) AS hosts FROM hearth.rate_hosts
        WHERE host <> $1 AND at > now() - interval '10 seconds'
    )
    SELECT others.hosts, told.customer_id, told.owed_us, told.asked
    FROM others LEFT JOIN told ON true";

const CLEANING: &str = "
    WITH hosts AS (
        DELETE FROM hearth.rate_hosts WHERE at < now() - interval '60 seconds'
    )
    DELETE FROM hearth.rate_buckets WHERE customer_id IN (
        SELECT customer_id FROM hearth.rate_buckets
        WHERE full_at < now() - interval '60 seconds' FOR UPDATE SKIP LOCKED)";

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
    #[error("it took too long")]
    TooLong,
}

/// One host among the others.
struct Exchange {
    rate: Arc<Rate>,
    server: Server,
    host: Uuid,
    last: Instant,
    heard_at: Instant,
    cleaned_at: Instant,
    is_away: bool,
}

impl Rate {
    /// Exchanges with the other hosts until it is dropped.
    pub async fn run_exchange(self: Arc<Rate>, server: Server) {
        let period = Duration::from_millis(self.config.exchange_ms);
        let now = Instant::now();
        let mut exchange = Exchange {
            rate: self.clone(),
            server,
            host: Uuid::now_v7(),
            // Long ago, so that the first one says at once who is there.
            last: now.checked_sub(PRESENT).unwrap_or(now),
            heard_at: now,
            cleaned_at: now,
            is_away: false,
        };
        loop {
            exchange.turn().await;
            // However great the hurry, Postgres is not asked without a pause.
            sleep(period / 10).await;
            let _ = timeout(period * 9 / 10, self.hurry.notified()).await;
        }
    }
}

impl Exchange {
    async fn turn(&mut self) {
        let told = self.rate.ledger.lock().reports(self.rate.now());
        if told.is_empty() && self.last.elapsed() < PRESENT {
            return;
        }
        self.last = Instant::now();
        let limit = Duration::from_millis(self.rate.config.exchange_ms_max);
        let heard = timeout(limit, self.ask(&told))
            .await
            .unwrap_or(Err(Failed::TooLong));
        match heard {
            Ok((hosts, fleet)) => self.settle(&told, &fleet, hosts),
            Err(error) => self.fail(&error),
        }
        self.clean().await;
    }

    async fn ask(&self, told: &[Report]) -> Result<(u64, Vec<Fleet>), Failed> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(EXCHANGE).await?;
        let customers: Vec<&str> = told.iter().map(|report| &*report.customer).collect();
        let cost: Vec<i64> = told.iter().map(|report| report.cost / 1_000).collect();
        let asked: Vec<i64> = told.iter().map(|report| signed(report.asked)).collect();
        let owed_max = self.rate.owed_max / 1_000;
        let rows = client
            .query(
                &statement,
                &[&self.host, &customers, &cost, &asked, &owed_max],
            )
            .await?;
        let others: i64 = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        let fleet: Result<Vec<_>, _> = rows
            .iter()
            .filter_map(|row| fleet(row).transpose())
            .collect();
        Ok((1 + others.unsigned_abs(), fleet?))
    }

    fn settle(&mut self, told: &[Report], fleet: &[Fleet], hosts: u64) {
        let now = self.rate.now();
        self.rate.ledger.lock().settle(now, told, fleet, hosts);
        self.heard_at = Instant::now();
        if std::mem::take(&mut self.is_away) {
            tracing::info!("rate limits are shared with the other hosts again");
        }
    }

    fn fail(&mut self, error: &Failed) {
        tracing::debug!(%error, "no exchange of rate limits");
        if self.heard_at.elapsed() < AWAY {
            return;
        }
        self.rate.ledger.lock().go_alone();
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!("Postgres is away: each host admits its even share of the rate limits");
        }
    }

    async fn clean(&mut self) {
        if self.is_away || self.cleaned_at.elapsed() < CLEAN {
            return;
        }
        self.cleaned_at = Instant::now();
        if let Ok(client) = self.server.host().get().await
            && let Err(error) = client.execute(CLEANING, &[]).await
        {
            tracing::debug!(%error, "buckets that are full stay for now");
        }
    }
}

/// Nothing where no report was made, and so nothing came back.
fn fleet(row: &Row) -> Result<Option<Fleet>, tokio_postgres::Error> {
    let Some(customer) = row.try_get::<_, Option<&str>>(1)? else {
        return Ok(None);
    };
    let owed_us: Nanos = row.try_get(2)?;
    Ok(Some(Fleet {
        customer: Arc::from(customer),
        owed: owed_us.saturating_mul(1_000),
        asked: row.try_get::<_, i64>(3)?.unsigned_abs(),
    }))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
