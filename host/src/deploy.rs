//! From a packed plugin to a deployment that can serve: the gate.
//!
//! Nothing serves that did not pass: the file is a component of the right
//! world, it imports no more than the operator granted, it compiles within its
//! bounds, its migrations and statements hold against the real database, and it
//! links.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::capability::sql::gate::ApprovedFunctions;
use crate::capability::sql::{self, LendError, Lent};
use crate::capability::{self, Lents};
use crate::config;
use crate::engine::Family;
use crate::plugin::call;
use crate::plugin::component::Compiler;
use crate::plugin::deployment::{Deployment, Gate};
use crate::plugin::idle::{Idle, IdleSlots};
use crate::plugin::instance::{Bounds, PreInstance};
use crate::plugin::long::Long;
use crate::plugin::manifest::{Manifest, Reuse};
use crate::plugin::package::{self, Package};
use crate::telemetry::HostMetrics;

/// Why a plugin does not get to serve: its name, and every reason found.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}` is refused:{}", list(.reasons))]
pub struct Refused {
    pub plugin: String,
    pub reasons: Vec<String>,
}

fn list(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  - {reason}"))
        .collect()
}

/// The clients of all capabilities, opened once.
pub struct Clients {
    pub sql: capability::sql::Client,
    pub log: capability::log::Client,
    pub config: capability::config::Client,
    pub metrics: capability::metrics::Client,
}

/// What every deployment is made with.
pub struct Deployer {
    pub compiler: Compiler,
    pub clients: Clients,
    pub metrics: HostMetrics,
    pub engine: config::Engine,
    pub defaults: config::PluginLimits,
    pub in_flight: Arc<Semaphore>,
    pub idle: Arc<IdleSlots>,
}

impl Deployer {
    /// Reads the plugin's file and takes it through the gate.
    pub async fn open(
        &self,
        name: &str,
        settings: &config::Plugin,
        number: u64,
    ) -> Result<Arc<Deployment>, Refused> {
        let refused = |reasons| Refused {
            plugin: name.to_string(),
            reasons,
        };
        let package = self
            .read(settings)
            .map_err(|reason| refused(vec![reason]))?;
        check(name, &package, settings).map_err(refused)?;
        let began = Instant::now();
        let component = self.compiler.component(&package, Family::Record).await;
        let component = component.map_err(|error| refused(vec![error.to_string()]))?;
        self.metrics
            .compile_seconds
            .record(began.elapsed().as_secs_f64());
        let limits = self.limits(&package.manifest, settings);
        let granted = |interface: &str| settings.grants.iter().any(|grant| grant == interface);
        let bounds = Bounds {
            memory_bytes_max: limits.memory_bytes_max.min(self.engine.memory_bytes_max),
            engine: self.engine.clone(),
        };
        let pre = PreInstance::link(&component, granted, bounds)
            .map_err(|error| refused(vec![format!("{error:#}")]))?;
        let lents = self
            .lend(name, number, &package, settings)
            .await
            .map_err(refused)?;
        Ok(Arc::new(self.deployment(
            name, number, package, settings, limits, pre, lents,
        )))
    }

    fn read(&self, settings: &config::Plugin) -> Result<Package, String> {
        let file = &settings.file;
        let size = std::fs::metadata(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?
            .len();
        let bytes_max = self.engine.component_bytes_max;
        if size > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
            return Err(format!(
                "{} has {size} bytes and may have {bytes_max} (engine.component_bytes_max)",
                file.display()
            ));
        }
        let bytes = std::fs::read(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        Package::read(bytes).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// The manifest asks, the operator decides, the engine's ceiling holds.
    fn limits(&self, manifest: &Manifest, settings: &config::Plugin) -> config::PluginLimits {
        settings.limits.over(&manifest.limits.over(&self.defaults))
    }

    /// Everything that touches the database: roles, migrations, statements.
    async fn sql(
        &self,
        name: &str,
        number: u64,
        package: &Package,
        settings: &config::Plugin,
    ) -> Result<Lent, Vec<String>> {
        if !settings.grants.iter().any(|grant| grant == "sql") {
            return Ok(Lent::nothing());
        }
        let approved = ApprovedFunctions::new(settings.sql_functions.iter().cloned());
        let deployment = sql::Deployment {
            plugin: name,
            number,
            declared: package.statements.clone(),
            migrations: package.migrations.iter().map(migration).collect(),
            shared: package.manifest.sql.shared.iter().cloned().collect(),
            approved: approved.map_err(|never| vec![never.to_string()])?,
        };
        self.clients.sql.lend(deployment).await.map_err(reasons)
    }

    async fn lend(
        &self,
        name: &str,
        number: u64,
        package: &Package,
        settings: &config::Plugin,
    ) -> Result<Lents, Vec<String>> {
        let secrets = settings.secret_values.clone();
        let texts: Vec<&str> = secrets.values().map(|secret| secret.expose()).collect();
        Ok(Lents {
            sql: self.sql(name, number, package, settings).await?,
            log: self.clients.log.lend(name, number, texts),
            config: self.clients.config.lend(
                name,
                number,
                settings.config.clone(),
                secrets.clone(),
            ),
            metrics: self.clients.metrics.lend(name, number),
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "this is where the parts come together"
    )]
    fn deployment(
        &self,
        name: &str,
        number: u64,
        package: Package,
        settings: &config::Plugin,
        limits: config::PluginLimits,
        pre: PreInstance,
        lents: Lents,
    ) -> Deployment {
        let instances = &package.manifest.instances;
        let uses_max = if instances.reuse == Reuse::Serial {
            instances.uses_max
        } else {
            0
        };
        let mount = settings.mount.as_deref().unwrap_or(&package.manifest.mount);
        Deployment {
            plugin: Arc::from(name),
            number,
            digest: package.digest,
            mount: Arc::from(mount),
            pre,
            lents: Arc::new(lents),
            idle: Idle::new(
                self.idle.clone(),
                uses_max,
                Duration::from_millis(instances.age_ms_max),
            ),
            gate: Gate::new(&limits, self.in_flight.clone()),
            metrics: self.metrics.plugin(name),
            manifest: package.manifest,
            limits,
        }
    }
}

fn migration(migration: &package::Migration) -> sql::Migration {
    sql::Migration {
        version: migration.version,
        name: migration.name.clone(),
        sql: migration.sql.clone(),
    }
}

fn reasons(error: LendError) -> Vec<String> {
    match error {
        LendError::Refused(refusals) => refusals.iter().map(ToString::to_string).collect(),
        LendError::Backend(reason) => vec![format!("Postgres: {reason}")],
    }
}

/// The file against what the operator wrote about it.
fn check(name: &str, package: &Package, settings: &config::Plugin) -> Result<(), Vec<String>> {
    let mut reasons = Vec::new();
    if package.manifest.name != name {
        reasons.push(format!(
            "the file is the plugin `{}`",
            package.manifest.name
        ));
    }
    let granted: BTreeSet<&str> = settings.grants.iter().map(String::as_str).collect();
    for grant in package.manifest.grants.iter().map(ToString::to_string) {
        if !granted.contains(grant.as_str()) {
            reasons.push(format!(
                "it asks for the grant `{grant}`, which plugins.{name}.grants does not give"
            ));
        }
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(reasons)
    }
}

/// Keeps `warm_instances_min` instances ready, so that the first requests find
/// them. A plugin that cannot start is refused like any other mistake.
pub async fn warm(deployment: &Arc<Deployment>, long: &Long) -> Result<(), Refused> {
    for _ in 0..deployment.manifest.instances.warm_instances_min {
        call::warm(deployment, long)
            .await
            .map_err(|failure| Refused {
                plugin: deployment.plugin.to_string(),
                reasons: vec![format!("an instance does not start: {failure}")],
            })?;
    }
    Ok(())
}
