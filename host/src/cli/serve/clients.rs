//! The clients of all capabilities, what they have behind them, and where they
//! tell of what they do.

use std::sync::Arc;

use super::{reserved, shared};
use hearth_backend::dynamodb::Dynamo;
use hearth_backend::postgres::Server;
use hearth_backend::queues::Queues;
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::{HostMetrics, Logs, Metrics, Redactor};
use hearth_runtime::capability::{
    cache, config, documents, log, metrics, outbound, push, queue, sql,
};
use hearth_server::config::Config;
use hearth_server::deploy::Clients;

/// What the clients of capabilities have behind them.
pub(super) struct Backends<'b> {
    pub(super) postgres: &'b Server,
    pub(super) dynamo: Option<&'b Dynamo>,
    pub(super) queues: &'b Queues,
    pub(super) clock: &'b Clock,
}

/// Where capabilities tell of what they do.
pub(super) struct Telling<'t> {
    pub(super) logs: &'t Logs,
    pub(super) redactor: &'t Redactor,
    pub(super) metrics: &'t Metrics,
    pub(super) host: &'t HostMetrics,
}

pub(super) fn open(
    of: &Config,
    backends: &Backends<'_>,
    secret: &Arc<RootSecret>,
    telling: &Telling<'_>,
) -> anyhow::Result<Clients> {
    let (postgres, told) = (backends.postgres.clone(), telling.host);
    let sql = sql::Client::open(
        Arc::new(postgres.clone()),
        secret.clone(),
        of.sql.clone(),
        told,
    );
    let outbound = outbound::Client::open(&of.outbound, outbound::Resolver::System, told)?;
    outbound.reserve(reserved::services(of));
    Ok(Clients {
        sql,
        cache: open_cache(of, backends.dynamo, secret, told)?,
        documents: documents::Client::open(backends.dynamo, &of.documents, backends.clock, told),
        queue: queue::Client::open(backends.queues.clone(), &of.queue),
        push: push::Client::open(&of.push, postgres, told),
        log: log::Client::open(&of.log, telling.logs, telling.redactor, told),
        config: config::Client::open(secret.clone()),
        metrics: metrics::Client::open(&of.metrics, telling.metrics, told),
        outbound,
    })
}

fn open_cache(
    of: &Config,
    dynamo: Option<&Dynamo>,
    secret: &RootSecret,
    told: &HostMetrics,
) -> anyhow::Result<cache::Client> {
    let memory = cache::Client::open(&of.cache, told);
    Ok(match shared::open(of, dynamo, secret, told)? {
        Some(shared) => memory.with_shared(shared),
        None => memory,
    })
}
