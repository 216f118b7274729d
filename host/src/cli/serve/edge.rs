//! Everything that answers requests on the public listener.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::backend::postgres::Server;
use crate::config::Config;
use crate::deploy::rollout::Rollout;
use crate::edge::cors::Cors;
use crate::edge::docs::Docs;
use crate::edge::health::Health;
use crate::edge::idempotency::{Heartbeat, Idempotency};
use crate::edge::keys::Keys;
use crate::edge::openapi::Documents;
use crate::edge::rate::Rate;
use crate::edge::response_cache::ResponseCache;
use crate::secret::RootSecret;
use crate::server::Edge;
use crate::server::access::AccessLog;
use crate::server::body::Bodies;
use crate::server::builtin_routes::BuiltinRoutes;
use crate::server::compress::Compressor;
use crate::server::traffic::Traffic;
use crate::telemetry::HostMetrics;

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
