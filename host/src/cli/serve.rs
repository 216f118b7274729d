//! `hearth serve`: open, serve, drain, stop. Wiring and nothing else.

mod edge;
mod reserved;
mod signals;
mod traces;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use self::signals::{Signals, keep_fresh};
use super::dev::{Develop, Request};
use super::{demo, open, open_files};
use crate::embedded::postgres::Cluster;
use hearth_backend::postgres::Server;
use hearth_backend::queues::Queues;
use hearth_base::clock::Clock;
use hearth_base::pacer::Pacer;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::{HostMetrics, Logs, Metrics, Redactor, Traces, trace};
use hearth_runtime::capability::{Backends, Clients};
use hearth_runtime::consumer::Consumers;
use hearth_runtime::engine::Engines;
use hearth_runtime::plugin::admission::Admission;
use hearth_runtime::plugin::background_runtime::BackgroundRuntime;
use hearth_runtime::plugin::component::Compiler;
use hearth_runtime::plugin::idle::IdleSlots;
use hearth_runtime::router::Router;
use hearth_server::admin::Admin;
use hearth_server::admin::guard::Guard;
use hearth_server::config::{self, Config};
use hearth_server::deploy::rollout::Rollout;
use hearth_server::deploy::store::Store;
use hearth_server::deploy::{Deployer, Refused};
use hearth_server::edge::idempotency::Heartbeat;
use hearth_server::edge::keys::Keys;
use hearth_server::schedule::Schedules;
use hearth_server::server::sse;
use hearth_server::server::tls::Tls;
use hearth_server::server::{Edge, Listener};

/// How often instances that wait too long are dropped.
const SWEEP: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Create a demo customer the first time, and print a request that works.
    #[arg(long)]
    demo: bool,
}

pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    start(open::config(config)?, args.demo, None)
}

/// Serves, with a demo customer where that is wanted, and the plugin that is developed.
pub(super) fn start(config: Config, demo: bool, develop: Option<Develop>) -> anyhow::Result<()> {
    let redactor = redactor(&config);
    let (logs, _flush) = Logs::start(&config.telemetry, &redactor)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(demo, develop, config, logs, redactor));
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

/// What must never reach a log, whoever writes it.
fn redactor(config: &Config) -> Redactor {
    let urls = [&config.database.url, &config.redis.url];
    let urls = urls
        .into_iter()
        .flatten()
        .map(|url| url.expose().to_string());
    let of = |plugin: &config::Plugin| -> Vec<String> {
        plugin
            .secret_values
            .values()
            .map(|secret| secret.expose().to_string())
            .collect()
    };
    let plugins = config.plugins.values().flat_map(of);
    Redactor::new(urls.chain(plugins).chain(trace::secret_headers()))
}

async fn serve(
    demo: bool,
    develop: Option<Develop>,
    config: Config,
    logs: Logs,
    redactor: Redactor,
) -> anyhow::Result<()> {
    let mut signals = Signals::open()?;
    open_files::raise(config.server.connections_max);
    open::warn_of_unmet_settings(&config);
    let (postgres, cluster) = open::database(&config).await?;
    let secret = Arc::new(open::secret::open(&config, &postgres).await?);
    let metrics = Metrics::new(&config.telemetry);
    let host_metrics = HostMetrics::new(&metrics);
    let dynamodb = open::dynamodb::reach(&config, &host_metrics.watches.dynamodb).await?;
    tokio::spawn(metrics.clone().run_upkeep(config.telemetry.clone()));
    let background = Arc::new(open_long(&config)?);
    let keys = Keys::open(postgres.clone(), &secret, config.keys.clone());
    let clock = open::clock();
    let queues = queues(&config, &postgres, &secret, &clock, &host_metrics).await?;
    let backends = Backends {
        postgres: &postgres,
        dynamo: dynamodb.dynamo.as_ref(),
        redis: &config.redis,
        queues: &queues,
        clock: &clock,
        secret: &secret,
        logs: &logs,
        redactor: &redactor,
        metrics: &metrics,
        host_metrics: &host_metrics,
    };
    let clients = Clients::open(&config, &backends)?;
    clients.outbound.reserve(reserved::services(&config));
    // What goes on beside the requests ends with this.
    let mut beside = JoinSet::new();
    dynamodb.prepare(&mut beside).await?;
    beside.spawn(clients.documents.clone().run_writer());
    let deployer = deployer(&config, clients, &secret, host_metrics.clone(), clock)?;
    let (traces, export) = traces::open(&config, &host_metrics)?;
    let rollout = rollout(&config, deployer, &postgres, &queues, background, traces);
    open_plugins(&rollout, develop.as_ref()).await?;
    let demo_key = match demo {
        true => Some(demo::key(&keys, &postgres, &secret, &config.data_dir).await?),
        false => None,
    };
    let alive = Heartbeat::new(&postgres, config.idempotency.beat_ms, &host_metrics);
    let edge = Arc::new(edge::open(
        &config,
        &postgres,
        &secret,
        &rollout,
        keys,
        &alive,
        &host_metrics,
    ));
    let admin = Arc::new(Admin {
        edge: edge.clone(),
        metrics: host_metrics,
        rollout: rollout.clone(),
        queues: queues.clone(),
        redactor,
        recent: logs.recent().clone(),
        guard: Guard::open(&config.admin, &config.data_dir)?,
    });
    beside.spawn(async move { alive.beat().await });
    beside.spawn(schedules(&config, &rollout, &postgres, &queues).run());
    keep(&rollout, &edge, &postgres, &queues, &mut beside);
    edge.push.begun().await;
    rollout.consumers.begin(&rollout.router.deployments());
    let opening = Opening { demo_key, develop };
    listen(&config, edge, admin, opening, &mut signals).await?;
    drop(beside);
    export.stop().await;
    stop(rollout, postgres, dynamodb, cluster).await;
    Ok(())
}

async fn stop(
    rollout: Arc<Rollout>,
    postgres: Server,
    dynamodb: open::dynamodb::DynamoDb,
    cluster: Option<Cluster>,
) {
    rollout.deployer.clients.cache.tell_last(postgres).await;
    drop(rollout);
    dynamodb.stop().await;
    if let Some(cluster) = cluster {
        cluster.stop().await;
    }
    tracing::info!("stopped");
}

/// What keeps the queues, the plugins' clients and the edge fresh and small.
fn keep(
    rollout: &Arc<Rollout>,
    edge: &Edge,
    postgres: &Server,
    queues: &Queues,
    beside: &mut JoinSet<()>,
) {
    let clients = &rollout.deployer.clients;
    beside.spawn(queues.clone().keep(edge.traces.clone()));
    beside.spawn(sweep(rollout.clone()));
    beside.spawn(rollout.clone().follow_growth());
    beside.spawn(clients.cache.clone().follow_fleet(postgres.clone()));
    beside.spawn(clients.outbound.clone().sweep());
    beside.spawn(clients.outbound.clone().follow_reserved());
    beside.spawn(clients.push.clone().follow());
    beside.spawn(sse::end_with_keys(edge.keys.clone(), clients.push.clone()));
    beside.spawn(edge.rate.clone().run_exchange(postgres.clone()));
    beside.spawn(edge.idempotency.clone().sweep());
}

async fn queues(
    config: &Config,
    postgres: &Server,
    secret: &RootSecret,
    clock: &Clock,
    metrics: &HostMetrics,
) -> anyhow::Result<Queues> {
    let opened = Queues::open(
        &config.queue,
        postgres.clone(),
        secret,
        clock.clone(),
        metrics,
    );
    opened.await.context("the queues")
}

fn open_long(config: &Config) -> anyhow::Result<BackgroundRuntime> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(BackgroundRuntime::open(
        threads,
        Duration::from_millis(config.engine.long_cpu_ms),
    )?)
}

fn deployer(
    config: &Config,
    clients: Clients,
    secret: &RootSecret,
    metrics: HostMetrics,
    clock: Clock,
) -> anyhow::Result<Deployer> {
    let engines = Arc::new(Engines::open(&config.engine)?);
    Ok(Deployer {
        compiler: Compiler::open(engines, config.engine.clone(), &config.data_dir, secret)?,
        clients,
        metrics,
        engine: config.engine.clone(),
        defaults: config.plugin_defaults.clone(),
        admission: Admission::new(config.engine.instances_max, config.admission.clone()),
        idle: IdleSlots::new(&config.engine),
        clock,
        failing_calls_min: config.telemetry.failing_calls_min,
    })
}

fn rollout(
    config: &Config,
    deployer: Deployer,
    postgres: &Server,
    queues: &Queues,
    background: Arc<BackgroundRuntime>,
    traces: Traces,
) -> Arc<Rollout> {
    let consumers = Consumers::new(
        queues.clone(),
        background.clone(),
        Arc::new(Pacer::new(config.consumer.busy_calls_per_second_max)),
        deployer.clock.clone(),
        config.consumer.clone(),
        deployer.metrics.clone(),
        traces,
    );
    let router = Arc::new(Router::default());
    deployer.metrics.sources.add(&router);
    Arc::new(Rollout {
        deployer,
        consumers,
        store: Store::open(postgres.clone()),
        router,
        background,
        sections: config.plugins.clone(),
        drain_max: Duration::from_millis(config.server.drain_ms_max),
        turn: Arc::default(),
        draining: Default::default(),
    })
}

fn schedules(config: &Config, rollout: &Rollout, postgres: &Server, queues: &Queues) -> Schedules {
    Schedules::new(
        rollout.router.clone(),
        queues.clone(),
        postgres.clone(),
        rollout.deployer.clock.clone(),
        config.schedule.clone(),
        rollout.deployer.metrics.clone(),
    )
}

/// Opens what the database and the configuration say, and refuses to start while
/// anything is refused: all of it is told at once. What is refused of a plugin that is
/// developed is built anew anyway.
async fn open_plugins(rollout: &Rollout, develop: Option<&Develop>) -> anyhow::Result<()> {
    let mut refusals = rollout.start().await?;
    refusals.retain(|refused| develop.is_none_or(|develop| !develop.is_of(&refused.plugin)));
    if refusals.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = refusals.iter().map(Refused::to_string).collect();
    anyhow::bail!("{}", told.join("\n"))
}

/// What begins once the host listens.
struct Opening {
    demo_key: Option<String>,
    develop: Option<Develop>,
}

impl Opening {
    /// Prints how to ask the demo customer's plugins, and begins to build the one that is
    /// developed.
    fn begin(self, url: &str, rollout: &Arc<Rollout>) -> Option<AbortHandle> {
        if let (Some(key), None) = (&self.demo_key, &self.develop) {
            let serving = rollout.router.deployments();
            println!("\n{}", demo::lines(url, key, &serving));
        }
        let asked = Request {
            url: url.to_owned(),
            key: self.demo_key.unwrap_or_default(),
        };
        let developing = self.develop?.run(rollout.clone(), asked);
        Some(tokio::spawn(developing).abort_handle())
    }
}

async fn listen(
    config: &Config,
    edge: Arc<Edge>,
    admin: Arc<Admin>,
    opening: Opening,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let limits = Arc::new(config.server.clone());
    let tls = Tls::open(&config.tls)?;
    let metrics = admin.metrics.clone();
    let public = Listener::bind(config.listen, limits.clone(), tls.clone(), metrics.clone())
        .await
        .with_context(|| format!("cannot listen on {} (listen, HEARTH_LISTEN)", config.listen))?;
    let private = Listener::bind(config.admin.listen, limits, None, metrics)
        .await
        .with_context(|| {
            format!(
                "cannot listen on {} (admin.listen, HEARTH_ADMIN_LISTEN)",
                config.admin.listen
            )
        })?;
    let own = [public.address()?, private.address()?].map(reserved::listener);
    admin.rollout.deployer.clients.outbound.reserve(own);
    let refreshing = keep_fresh(tls)?;
    println!("listening on {}", public.url()?);
    println!("admin on {}", private.url()?);
    let developing = opening.begin(&public.url()?, &admin.rollout);
    let (stop, stopped) = watch::channel(());
    let (serving, rollout) = (edge.clone(), admin.rollout.clone());
    let public = public.serve(
        move |request, peer| serving.clone().answer(request, peer),
        changed(stopped.clone()),
    );
    let private = private.serve(
        move |request, _peer| admin.clone().answer(request),
        changed(stopped),
    );
    let draining = async {
        signals.stop().await;
        if let Some(developing) = &developing {
            developing.abort();
        }
        tracing::info!(
            "draining: no new connections are accepted, requests in progress are completed"
        );
        edge.draining.store(true, Relaxed);
        edge.push.drain();
        drop(stop);
        rollout.consumers.drain(rollout.drain_max).await;
    };
    tokio::join!(public, private, draining);
    refreshing.abort();
    Ok(())
}

async fn changed(mut stopped: watch::Receiver<()>) {
    // The sender is dropped to tell everyone at once.
    let _ = stopped.changed().await;
}

async fn sweep(rollout: Arc<Rollout>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        rollout.sweep();
    }
}
