//! The gate's stations. Nothing serves that did not pass all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Deployer;
use super::approval::approve_scans;
use super::replacement::Surface;
use super::steps::{Rejected, Steps};
use crate::config;
use hearth_runtime::capability::outbound::Pattern;
use hearth_runtime::capability::sql::gate::{ApprovedFunctions, approved_name};
use hearth_runtime::capability::sql::statement::beginning;
use hearth_runtime::capability::sql::{self, Beside, LendError, Lent};
use hearth_runtime::capability::{Lents, sql::Deployment as Sql};
use hearth_runtime::engine::Family;
use hearth_runtime::plugin::admission::Gate;
use hearth_runtime::plugin::cached_routes::CachedRoutes;
use hearth_runtime::plugin::deployment::{Approved, Deployment, Live, RequestCounts};
use hearth_runtime::plugin::failing::FailureStreak;
use hearth_runtime::plugin::idle::{Idle, IdleBounds};
use hearth_runtime::plugin::instance::{Bounds, PreInstance};
use hearth_runtime::plugin::limits::PluginLimits;
use hearth_runtime::plugin::manifest::Reuse;
use hearth_runtime::plugin::openapi::{Fragment, PartOwner};
use hearth_runtime::plugin::package::{self, Package};

/// A plugin on its way: its file, what was approved with it, and what the
/// operator's section says of it.
pub struct Candidate {
    pub package: Package,
    pub approved: Approved,
    pub settings: config::Plugin,
    /// Whether it comes through the gate for the first time. One that served before
    /// asks for no approval again.
    pub is_new: bool,
}

impl Candidate {
    pub fn plugin(&self) -> &str {
        &self.package.manifest.name
    }

    /// Where its routes lie; empty for a worker, which has none.
    pub fn mount(&self) -> &str {
        let manifest = &self.package.manifest;
        match &self.settings.mount {
            Some(mount) if manifest.world.handles() => mount,
            _ => &manifest.mount,
        }
    }

    /// What others would rely on, were it deployed.
    pub fn surface<'c>(&'c self, openapi: &'c Fragment) -> Surface<'c> {
        Surface {
            manifest: &self.package.manifest,
            mount: self.mount(),
            openapi,
        }
    }

    fn is_granted(&self, interface: &str) -> bool {
        let of = |grant: &String| grant.split(':').next() == Some(interface);
        self.approved.grants.iter().any(of)
    }

    /// The queues that it may send to.
    fn granted_queues(&self) -> impl Iterator<Item = String> {
        let grants = self.approved.grants.iter();
        grants.filter_map(|grant| grant.strip_prefix("queue:").map(str::to_owned))
    }

    fn rejected(&self, step: &'static str, reason: impl ToString) -> Rejected {
        Rejected::because(self.plugin(), step, reason)
    }
}

/// What compiling and linking left: what a deployment needs of its file.
pub struct Built {
    pub pre: PreInstance,
    pub openapi: Arc<Fragment>,
    pub cached: CachedRoutes,
}

impl Deployer {
    /// Whether the bytes are a plugin. Reading hashes all of them, so it does
    /// not happen on a thread that serves.
    pub async fn read(&self, bytes: bytes::Bytes) -> Result<Package, Rejected> {
        let max = self.engine.component_bytes_max;
        if bytes.len() > max {
            let reason = format!(
                "the file is too large: {} bytes, and at most {max} are allowed \
                 (engine.component_bytes_max)",
                bytes.len()
            );
            return Err(Rejected::because("", "read", reason));
        }
        let read = tokio::task::spawn_blocking(move || Package::read(bytes)).await;
        match read {
            Ok(package) => package.map_err(|error| Rejected::because("", "read", error)),
            Err(error) => Err(Rejected::because("", "read", error)),
        }
    }

    /// Compiles and links: afterwards an instance can be made.
    pub async fn build(
        &self,
        candidate: &Candidate,
        openapi: Fragment,
        steps: &mut Steps,
    ) -> Result<Built, Rejected> {
        let openapi = Arc::new(openapi);
        let cached = cached(candidate, &openapi)?;
        steps.done("openapi", format!("{} paths", openapi.paths.len()));
        let began = Instant::now();
        let compiled = self.compiler.component(&candidate.package, Family::Record);
        let compiled = compiled
            .await
            .map_err(|error| candidate.rejected("compile", error))?;
        let seconds = began.elapsed().as_secs_f64();
        self.metrics.compile_seconds.record(seconds);
        steps.done("compile", "");
        let limits = self.limits(candidate);
        let bounds = Bounds {
            memory_bytes_max: limits.memory_bytes_max.min(self.engine.memory_bytes_max),
            response_bytes_max: limits.response_bytes_max,
            engine: self.engine.clone(),
        };
        let world = candidate.package.manifest.world;
        let granted = |name: &str| candidate.is_granted(name);
        let linked = PreInstance::link(compiled, world, granted, bounds, self.clock.clone());
        let pre = linked.map_err(|error| candidate.rejected("link", format!("{error:#}")))?;
        steps.done("link", candidate.approved.grants.join(", "));
        Ok(Built {
            pre,
            openapi,
            cached,
        })
    }

    /// The manifest asks, the operator decides, the engine's ceiling holds.
    fn limits(&self, candidate: &Candidate) -> PluginLimits {
        let wanted = candidate.package.manifest.limits.over(&self.defaults);
        candidate.settings.limits.over(&wanted)
    }

    /// Everything that touches the database: roles, migrations, statements and their
    /// plans.
    async fn sql(
        &self,
        candidate: &Candidate,
        number: u64,
        beside: &Beside,
    ) -> Result<Lent, Rejected> {
        if !candidate.is_granted("sql") {
            return Ok(Lent::nothing());
        }
        let package = &candidate.package;
        let functions = candidate.approved.functions.iter();
        let names = functions.map(|approval| approved_name(approval).to_owned());
        let approved = ApprovedFunctions::new(names)
            .map_err(|never| candidate.rejected("statements", never))?;
        let deployment = Sql {
            plugin: candidate.plugin(),
            number,
            declared: package.statements.clone(),
            migrations: package.migrations.iter().map(migration).collect(),
            shared: candidate.approved.shared.clone(),
            approved,
        };
        let blamed = |error| blame(candidate, error);
        let lending = self.clients.sql.begin_lending_beside(deployment, beside);
        let lending = lending.await.map_err(blamed)?;
        if candidate.is_new {
            let found = lending.scans(&package.statements).await.map_err(blamed)?;
            approve_scans(candidate.plugin(), found, &candidate.approved.scans)?;
        }
        lending.commit().await.map_err(blamed)
    }

    /// Migrates, describes, and opens what the deployment borrows.
    pub async fn lend(
        &self,
        candidate: &Candidate,
        number: u64,
        beside: &Beside,
        steps: &mut Steps,
    ) -> Result<Lents, Rejected> {
        if candidate.is_granted("documents") && !self.clients.documents.is_there() {
            let reason = "it needs `documents`, but DynamoDB is not configured on this host: set \
                          `region` or `endpoint_url` in [dynamodb]";
            return Err(candidate.rejected("link", reason));
        }
        let sql = self.sql(candidate, number, beside).await?;
        let package = &candidate.package;
        let (migrations, statements) = (package.migrations.len(), package.statements.len());
        steps.done("migrate", format!("{migrations} migrations"));
        steps.done("statements", format!("{statements} statements"));
        let name = candidate.plugin();
        let clients = &self.clients;
        let mut secrets = candidate.settings.secret_values.clone();
        let mut own = clients.config.own_secrets(name);
        // Of a list of keys each is a secret.
        let keys = own.values().flat_map(|secret| secret.expose().split(','));
        let texts = secrets.values().map(|secret| secret.expose()).chain(keys);
        let texts: Vec<String> = texts.map(str::to_owned).collect();
        secrets.append(&mut own);
        let settings = candidate.settings.config.clone();
        let queue = clients.queue.lend(name, candidate.granted_queues());
        Ok(Lents {
            sql: sql.sending(queue.sender.clone()),
            cache: clients.cache.lend(name),
            documents: clients.documents.lend(),
            queue,
            push: clients.push.lend(name),
            log: clients.log.lend(name, number, texts),
            metrics: clients.metrics.lend(name, number),
            config: clients.config.lend(name, number, settings, secrets),
            outbound: clients.outbound.lend(name, destinations(candidate)?),
        })
    }

    /// Puts the parts together. Nothing sees the deployment yet.
    pub fn assemble(
        &self,
        candidate: Candidate,
        number: u64,
        built: Built,
        lents: Lents,
    ) -> Arc<Deployment> {
        let limits = self.limits(&candidate);
        let mount = Arc::from(candidate.mount());
        let package = candidate.package;
        let instances = &package.manifest.instances;
        let uses_max = match instances.reuse {
            Reuse::Serial | Reuse::Shared => instances.uses_max,
            Reuse::Fresh => 1,
        };
        let idle = IdleBounds {
            uses_max,
            age_max: Duration::from_millis(instances.age_ms_max),
            ready_min: usize::try_from(instances.warm_instances_min).unwrap_or(usize::MAX),
            shared: instances.reuse == Reuse::Shared,
        };
        let metrics = self.metrics.plugin(&package.manifest.name);
        Arc::new(Deployment {
            plugin: Arc::from(package.manifest.name.as_str()),
            number,
            digest: package.digest,
            mount,
            pre: built.pre,
            lents: Arc::new(lents),
            openapi: built.openapi,
            cached: built.cached,
            idle: Idle::new(self.idle.clone(), idle, metrics.instances_waiting.clone()),
            gate: Gate::new(
                &limits,
                self.admission.clone(),
                metrics.calls_waiting.clone(),
            ),
            metrics,
            manifest: package.manifest,
            limits,
            approved: candidate.approved,
            declared: package.statements,
            tally: RequestCounts::default(),
            failing: FailureStreak::new(self.failing_calls_min),
            stop: tokio_util::sync::CancellationToken::new(),
            live: Live::new(self.metrics.deployments_live.clone()),
        })
    }
}

/// Where the plugin's requests may go.
fn destinations(candidate: &Candidate) -> Result<Vec<Pattern>, Rejected> {
    let grants = candidate.approved.grants.iter();
    let patterns = grants.filter_map(|grant| grant.strip_prefix("outbound:"));
    patterns
        .map(|text| {
            let wrong = |reason| format!("the grant `outbound:{text}`: {reason}");
            Pattern::parse(text).map_err(|reason| candidate.rejected("grants", wrong(reason)))
        })
        .collect()
}

/// The plugin's part of the document, at the mount that the operator decided on.
pub fn openapi(candidate: &Candidate) -> Result<Fragment, Rejected> {
    let Some(text) = &candidate.package.openapi else {
        return Ok(Fragment::default());
    };
    let whose = PartOwner {
        plugin: candidate.plugin(),
        own_mount: &candidate.package.manifest.mount,
        mount: candidate.mount(),
    };
    Fragment::read(text, whose)
        .map_err(|mistakes| Rejected::new(candidate.plugin(), "openapi", mistakes))
}

/// The routes whose answers may be kept, held against those that the plugin has.
fn cached(candidate: &Candidate, openapi: &Fragment) -> Result<CachedRoutes, Rejected> {
    let routes = &candidate.package.manifest.response_cache;
    CachedRoutes::of(routes, openapi, candidate.mount())
        .map_err(|mistakes| Rejected::new(candidate.plugin(), "openapi", mistakes))
}

pub(super) fn migration(migration: &package::Migration) -> sql::Migration {
    sql::Migration {
        version: migration.version,
        name: migration.name.clone(),
        sql: migration.sql.clone(),
    }
}

/// A refusal of the plugin's own statements is one of the step `statements`;
/// everything else happened on the way there.
fn blame(candidate: &Candidate, error: LendError) -> Rejected {
    let refusals = match error {
        LendError::Backend(reason) => {
            return candidate.rejected("migrate", format!("Postgres: {reason}"));
        }
        LendError::Refused(refusals) => refusals,
    };
    let statements: BTreeSet<String> = candidate
        .package
        .statements
        .iter()
        .map(|declared| beginning(&declared.text))
        .collect();
    let breaks = |reason: &str| reason.starts_with("the migration");
    let own = refusals
        .iter()
        .all(|refusal| statements.contains(&refusal.statement) && !breaks(&refusal.reason));
    let step = if own { "statements" } else { "migrate" };
    let reasons = refusals.iter().map(ToString::to_string).collect();
    Rejected::new(candidate.plugin(), step, reasons)
}
