//! Everything that answers requests on the public listener.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hearth_backend::postgres::Server;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::HostMetrics;
use hearth_server::config::Config;
use hearth_server::deploy::rollout::Rollout;
use hearth_server::edge::cors::Cors;
use hearth_server::edge::docs::Docs;
use hearth_server::edge::health::Health;
use hearth_server::edge::idempotency::{Heartbeat, Idempotency};
use hearth_server::edge::keys::Keys;
use hearth_server::edge::openapi::Documents;
use hearth_server::edge::rate::Rate;
use hearth_server::edge::response_cache::ResponseCache;
use hearth_server::server::Edge;
use hearth_server::server::access::AccessLog;
use hearth_server::server::body::Bodies;
use hearth_server::server::builtin_routes::BuiltinRoutes;
use hearth_server::server::compress::Compressor;
use hearth_server::server::traffic::Traffic;

pub(super) fn open(
    config: &Config,
    postgres: &Server,
    secret: &RootSecret,
    rollout: &Rollout,
    keys: Keys,
    alive: &Heartbeat,
    metrics: &HostMetrics,
) -> Edge {
    Edge {
        router: rollout.router.clone(),
        keys,
        push: rollout.deployer.clients.push.clone(),
        rate: Arc::new(Rate::open(&config.rate, metrics)),
        background: rollout.background.clone(),
        responses: ResponseCache::open(&config.response_cache, metrics),
        idempotency: Arc::new(Idempotency::open(
            postgres.clone(),
            secret,
            config.idempotency.clone(),
            alive,
            rollout.deployer.clock.clone(),
            metrics.clone(),
        )),
        builtin: BuiltinRoutes {
            health: Health::new(postgres.clone()),
            documents: Documents::new(rollout.router.clone()),
            docs: Docs::new(),
        },
        limits: Arc::new(config.server.clone()),
        bodies: Bodies::new(&config.server, metrics),
        traffic: Traffic::new(&config.server, metrics),
        pacer: rollout.consumers.pacer(),
        compressor: Compressor::new(config.compression.clone()),
        cors: Cors::new(&config.cors),
        access: AccessLog::new(config.access_log.clone()),
        traces: rollout.consumers.traces(),
        draining: AtomicBool::new(false),
    }
}
