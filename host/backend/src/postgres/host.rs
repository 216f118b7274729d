//! The pool for the host's own tables.

use std::time::Duration;

use deadpool::managed::TimeoutType;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime,
};
use tokio::time::{Instant, sleep};

use super::error::{chain, is_tls, unavailable};
use super::pool_metrics::{PoolMetrics, PoolView};
use super::{Config, OpenError, Tls};

/// The connections for the host's own tables.
pub struct HostPool {
    connections: Pool,
    metrics: PoolMetrics,
}

impl HostPool {
    /// A connection, once one is free: at most `wait_ms_max`.
    pub async fn get(&self) -> Result<Object, PoolError> {
        let began = Instant::now();
        let got = self.connections.get().await;
        match &got {
            Ok(_) => self.metrics.got(began.elapsed()),
            Err(PoolError::Timeout(TimeoutType::Wait)) => self.metrics.timed_out(),
            Err(_) => {}
        }
        got
    }

    pub(super) fn look(&self) -> PoolView<'_> {
        PoolView {
            plugin: None,
            status: self.connections.status(),
            waiting: 0,
            metrics: &self.metrics,
        }
    }
}

pub(super) fn pool(
    config: &Config,
    connect: tokio_postgres::Config,
    tls: Tls,
) -> Result<HostPool, OpenError> {
    // Every use by the host is a single statement or a transaction that rolls
    // back when dropped, so a connection comes back clean by itself.
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(connect, tls, recycling);
    let connect_max = Duration::from_millis(config.connect_ms_max);
    let built = Pool::builder(manager)
        .max_size(config.host_connections_max as usize)
        .wait_timeout(Some(Duration::from_millis(config.wait_ms_max)))
        .create_timeout(Some(connect_max))
        .recycle_timeout(Some(connect_max))
        .runtime(Runtime::Tokio1)
        .post_create(session_hook(session_settings(config)))
        .build();
    Ok(HostPool {
        connections: built.map_err(|error| OpenError::Pool(error.to_string()))?,
        metrics: PoolMetrics::default(),
    })
}

fn session_hook(settings: String) -> Hook {
    Hook::async_fn(move |client, _| {
        let settings = settings.clone();
        Box::pin(async move {
            prepare_session(client, &settings)
                .await
                .map_err(HookError::Backend)
        })
    })
}

async fn prepare_session(
    client: &mut ClientWrapper,
    settings: &str,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(settings).await?;
    // Ends a statement whose client is gone. Some systems cannot watch a socket
    // and refuse the setting; statement_timeout ends the statement there.
    let watch = "SET client_connection_check_interval = 1000";
    if let Err(error) = client.batch_execute(watch).await {
        if unavailable(&error) {
            return Err(error);
        }
        tracing::debug!(%error, "Postgres does not watch for clients that went away");
    }
    Ok(())
}

pub(super) fn session_settings(config: &Config) -> String {
    format!(
        "SET search_path = pg_catalog; SET TimeZone = 'UTC'; \
         SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}",
        config.statement_ms_max, config.lock_ms_max, config.host_idle_in_transaction_ms_max,
    )
}

/// The server's version as one number, for example 150018.
const VERSION_MIN: u32 = 140_000;
const RETRY: Duration = Duration::from_millis(100);

pub(super) async fn wait_until_up(pool: &HostPool, limit: Duration) -> Result<(), OpenError> {
    let start = Instant::now();
    loop {
        let last = match try_once(pool).await {
            Ok(()) => return Ok(()),
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Again(last)) => last,
        };
        if start.elapsed() + RETRY > limit {
            return Err(OpenError::Away {
                waited_ms: start.elapsed().as_millis(),
                last,
            });
        }
        sleep(RETRY).await;
    }
}

enum Attempt {
    /// Waiting may mend it; the text says what was wrong.
    Again(String),
    Final(OpenError),
}

async fn try_once(pool: &HostPool) -> Result<(), Attempt> {
    let client = pool.get().await.map_err(judge_pool)?;
    let row = client
        .query_one("SHOW server_version_num", &[])
        .await
        .map_err(judge)?;
    let found: String = row.try_get(0).map_err(judge)?;
    match found.parse::<u32>() {
        Ok(version) if version >= VERSION_MIN => Ok(()),
        _ => Err(Attempt::Final(OpenError::TooOld { found })),
    }
}

fn judge_pool(error: PoolError) -> Attempt {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            judge(error)
        }
        PoolError::Timeout(_) => Attempt::Again("connecting took too long".to_owned()),
        other => Attempt::Final(OpenError::from(other)),
    }
}

fn judge(error: tokio_postgres::Error) -> Attempt {
    if is_tls(&error) {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), chain);
        return Attempt::Final(OpenError::Tls(cause));
    }
    match unavailable(&error) {
        true => Attempt::Again(chain(&error)),
        false => Attempt::Final(OpenError::from(error)),
    }
}
