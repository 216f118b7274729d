//! What hosts tell one another, through Postgres.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Rate;
use super::bucket::Nanos;
use super::ledger::{Heard, Report};
use crate::backend::postgres::Server;

/// How often a host says that it is there, if it has nothing else to say.
const PRESENT: Duration = Duration::from_secs(3);

/// How often rows of hosts and customers that are gone are deleted.
const CLEAN: Duration = Duration::from_secs(60);

/// For how long an exchange may fail before the others count as out of reach.
const AWAY: Duration = Duration::from_secs(1);

/// The row that says that a host is there has no customer.
const NOBODY: &str = "";

/// Each host writes rows of its own alone, so nobody waits for anybody's lock.
/// The clock is Postgres's for all of them.
const EXCHANGE: &str = "
    WITH mine AS (
        INSERT INTO hearth.rate_reports (customer_id, host, spent, asked, owed_us, at)
        SELECT customer_id, $1, spent, asked, owed_us, now()
        FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS told (customer_id, spent, asked, owed_us)
        ON CONFLICT (customer_id, host) DO UPDATE
        SET spent = excluded.spent, asked = excluded.asked,
            owed_us = excluded.owed_us, at = excluded.at
    )
    SELECT customer_id, host, spent, asked,
           greatest(0, owed_us - (extract(epoch FROM now() - at) * 1000000)::bigint)
    FROM hearth.rate_reports
    WHERE customer_id = ANY ($2) AND host <> $1 AND at > now() - interval '10 seconds'";

const CLEANING: &str = "DELETE FROM hearth.rate_reports WHERE at < now() - interval '60 seconds'";

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
            Ok(heard) => self.settle(&told, &heard),
            Err(error) => self.fail(&told, &error),
        }
        self.clean().await;
    }

    async fn ask(&self, told: &[Report]) -> Result<Vec<Heard>, Failed> {
        let client = self.server.host().get().await?;
        let statement = client.prepare_cached(EXCHANGE).await?;
        let present = Report {
            customer: Arc::from(NOBODY),
            spent: 0,
            asked: 0,
            owed: 0,
        };
        let all = || told.iter().chain([&present]);
        let customers: Vec<&str> = all().map(|report| &*report.customer).collect();
        let spent: Vec<i64> = all().map(|report| signed(report.spent)).collect();
        let asked: Vec<i64> = all().map(|report| signed(report.asked)).collect();
        let owed: Vec<i64> = all().map(|report| report.owed / 1_000).collect();
        let rows = client
            .query(&statement, &[&self.host, &customers, &spent, &asked, &owed])
            .await?;
        Ok(rows.iter().map(heard).collect::<Result<_, _>>()?)
    }

    fn settle(&mut self, told: &[Report], heard: &[Heard]) {
        let others = heard
            .iter()
            .filter(|heard| &*heard.report.customer == NOBODY);
        let hosts = 1 + others.count() as u64;
        let now = self.rate.now();
        self.rate.ledger.lock().settle(now, told, heard, hosts);
        self.heard_at = Instant::now();
        if std::mem::take(&mut self.is_away) {
            tracing::info!("rate limits are shared with the other hosts again");
        }
    }

    fn fail(&mut self, told: &[Report], error: &Failed) {
        let mut ledger = self.rate.ledger.lock();
        ledger.failed(told);
        tracing::debug!(%error, "no exchange of rate limits");
        if self.heard_at.elapsed() < AWAY {
            return;
        }
        ledger.go_alone();
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
            tracing::debug!(%error, "old reports of rate limits stay for now");
        }
    }
}

fn heard(row: &Row) -> Result<Heard, tokio_postgres::Error> {
    let customer: &str = row.try_get(0)?;
    let owed_us: Nanos = row.try_get(4)?;
    Ok(Heard {
        host: row.try_get(1)?,
        report: Report {
            customer: Arc::from(customer),
            spent: row.try_get::<_, i64>(2)?.unsigned_abs(),
            asked: row.try_get::<_, i64>(3)?.unsigned_abs(),
            owed: owed_us.saturating_mul(1_000),
        },
    })
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
