//! The order of a deploy: checks, database, swap, drain.
//!
//! Bytes and approvals are written first, then the migrations run; one small
//! transaction then says what serves, and the swap in memory follows it. Killed
//! at any instant, a host finds in the database one deployment that serves,
//! whole.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Deployer;
use super::approval;
use super::checks::{self, Built, Candidate};
use super::probe::{self, Probe};
use super::replacement::{self, Surface};
use super::steps::{Rejected, Serving, Steps};
use super::store::{Store, StoreError};
use crate::config;
use hearth_runtime::capability::sql::{LendContext, Serving as SqlServing};
use hearth_runtime::consumer::Consumers;
use hearth_runtime::plugin::background_runtime::BackgroundRuntime;
use hearth_runtime::plugin::call;
use hearth_runtime::plugin::deployment::{Approved, Deployment};
use hearth_runtime::plugin::package::Package;
use hearth_runtime::router::Router;

/// How often a drain looks whether the last call has ended.
const LOOK: Duration = Duration::from_millis(5);
/// What a call may take past its deadline: its answer is written, its
/// transaction undone.
const GRACE: Duration = Duration::from_secs(5);

/// Changes what serves.
pub struct Rollout {
    pub deployer: Deployer,
    pub store: Store,
    pub router: Arc<Router>,
    pub consumers: Consumers,
    pub background: Arc<BackgroundRuntime>,
    /// The operator's sections, by plugin.
    pub sections: IndexMap<String, config::Plugin>,
    /// However long calls may last, a drain ends after this.
    pub drain_max: Duration,
    /// One deploy at a time: two would compile and migrate side by side.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    pub draining: Mutex<Vec<Weak<Deployment>>>,
}

impl Rollout {
    /// Takes a packed plugin through the gate and lets it serve. One that would take
    /// something away of what serves under its name must be meant to: `replace`.
    pub async fn deploy(
        &self,
        bytes: Bytes,
        approval: &Approved,
        replace: bool,
        steps: &mut Steps,
    ) -> Result<Serving, Rejected> {
        let package = self.deployer.read(bytes).await?;
        let plugin = package.manifest.name.clone();
        steps.done("read", note(&package));
        let turn = self.store.try_turn(&plugin).await;
        let _turn = turn.map_err(|error| Rejected::because(&plugin, "read", error))?;
        let serving = self.router.serving(&plugin);
        let before = serving.map(|serving| serving.approved.clone());
        let given = approval::together(approval, &before.unwrap_or_default());
        let section = self.sections.get(&plugin).map(approval::of_section);
        let given = approval::together(&given, &section.unwrap_or_default());
        self.admit(package, &given, "admin", replace, steps).await
    }

    /// A new deployment, from its approvals to the drain of what it replaces. Without
    /// `replace` nothing of that may be taken away.
    pub async fn admit(
        &self,
        package: Package,
        given: &Approved,
        by: &str,
        replace: bool,
        steps: &mut Steps,
    ) -> Result<Serving, Rejected> {
        let approved = approval::approve(&package, given)?;
        steps.done("grants", approved.grants.join(", "));
        let candidate = self.candidate(package, approved, true);
        let (plugin, digest) = (candidate.plugin().to_string(), candidate.package.digest);
        let built = self.build(&candidate, replace, steps).await?;
        let added = self
            .store
            .add(&candidate.package, &candidate.approved, by)
            .await;
        let number = added.map_err(|error| Rejected::because(&plugin, "migrate", error))?;
        let beside = LendContext {
            serving: self.router.serving(&plugin).map(|serving| SqlServing {
                label: serving.label(),
                declared: serving.declared.clone(),
            }),
            ..LendContext::default()
        };
        let probe = match by {
            "config" => Probe::Configured,
            _ => Probe::Deployed,
        };
        let deployment = self.raise(candidate, number, built, &beside, probe, steps);
        let served = deployment.await;
        if served.is_err()
            && let Err(error) = self.store.forget(&digest).await
        {
            tracing::warn!(%error, "the bytes of a rejected deployment could not be deleted from the database");
        }
        served
    }

    /// Lets a deployment serve that served before.
    pub async fn rollback(
        &self,
        plugin: &str,
        number: u64,
        steps: &mut Steps,
    ) -> Result<Serving, Rejected> {
        let turn = self.store.try_turn(plugin).await;
        let _turn = turn.map_err(|error| Rejected::because(plugin, "read", error))?;
        let serving = self.router.serving(plugin);
        if serving.is_some_and(|serving| serving.number == number) {
            let reason = format!("{plugin}@{number} is already serving");
            return Err(Rejected::because(plugin, "read", reason));
        }
        self.restore(plugin, number, Probe::Deployed, steps).await
    }

    /// As [`Rollout::rollback`], for a host that starts as well.
    pub async fn restore(
        &self,
        plugin: &str,
        number: u64,
        probe: Probe,
        steps: &mut Steps,
    ) -> Result<Serving, Rejected> {
        let rejected = |error: StoreError| Rejected::because(plugin, "read", error);
        let stored = self.store.load(plugin, number).await.map_err(rejected)?;
        let package = self.deployer.read(stored.bytes).await?;
        if package.digest.0.as_slice() != stored.digest.as_slice() {
            let reason = "the bytes in the database differ from those that were deployed";
            return Err(Rejected::because(plugin, "read", reason));
        }
        steps.done("read", note(&package));
        steps.done("grants", stored.approved.grants.join(", "));
        let shared = self.store.shared_tables(plugin).await.map_err(rejected)?;
        let candidate = self.candidate(package, stored.approved, false);
        let built = self.build(&candidate, true, steps).await?;
        let beside = LendContext {
            serving: None,
            shared,
            is_return: true,
        };
        self.raise(candidate, number, built, &beside, probe, steps)
            .await
    }

    pub(super) fn candidate(
        &self,
        package: Package,
        approved: Approved,
        is_new: bool,
    ) -> Candidate {
        let section = self.sections.get(&package.manifest.name);
        Candidate {
            settings: section.cloned().unwrap_or_default(),
            package,
            approved,
            is_new,
        }
    }

    async fn build(
        &self,
        candidate: &Candidate,
        replace: bool,
        steps: &mut Steps,
    ) -> Result<Built, Rejected> {
        self.router
            .check(candidate.plugin(), candidate.mount())
            .map_err(|taken| Rejected::because(candidate.plugin(), "link", taken))?;
        self.check_queues(candidate)?;
        let openapi = checks::openapi(candidate)?;
        if !replace && let Some(serving) = self.router.serving(candidate.plugin()) {
            let next = candidate.surface(&openapi);
            replacement::check(&next, &surface(&serving), &serving.label())?;
        }
        self.deployer.build(candidate, openapi, steps).await
    }

    /// Two plugins that consumed one queue would take each other's messages.
    fn check_queues(&self, candidate: &Candidate) -> Result<(), Rejected> {
        let plugin = candidate.plugin();
        let mut reasons = Vec::new();
        for other in self.router.deployments() {
            let consumed = other.manifest.queues.iter().map(|queue| &queue.name);
            let wanted = &candidate.package.manifest.queues;
            let both = consumed.filter(|name| wanted.iter().any(|queue| queue.name == **name));
            let by = &other.plugin;
            if **by != *plugin {
                reasons.extend(both.map(|name| {
                    format!("it consumes the queue `{name}`, which plugin `{by}` already consumes")
                }));
            }
        }
        match reasons.is_empty() {
            true => Ok(()),
            false => Err(Rejected::new(plugin, "link", reasons)),
        }
    }

    /// Database, self-test, the commit that decides, swap, drain.
    async fn raise(
        &self,
        candidate: Candidate,
        number: u64,
        built: Built,
        beside: &LendContext,
        probe: Probe,
        steps: &mut Steps,
    ) -> Result<Serving, Rejected> {
        let lents = self
            .deployer
            .lend(&candidate, number, beside, steps)
            .await?;
        let deployment = self.deployer.assemble(candidate, number, built, lents);
        let tested = probe::probe(&deployment, &self.background, probe, steps).await;
        if let Err(rejected) = tested {
            deployment.idle.close();
            return Err(rejected);
        }
        let served = serving(&deployment);
        let old = self.swap(deployment.clone(), steps).await?;
        // Its messages first: the new one consumes once their calls have ended.
        let consuming = self.consumers.replace(&deployment);
        match old {
            Some(old) => {
                let (note, ()) = tokio::join!(self.drain(old), consuming);
                steps.done("drain", note);
            }
            None => consuming.await,
        }
        Ok(served)
    }

    async fn swap(
        &self,
        deployment: Arc<Deployment>,
        steps: &mut Steps,
    ) -> Result<Option<Arc<Deployment>>, Rejected> {
        let plugin = deployment.plugin.clone();
        let label = deployment.label();
        let rejected = |reason: String| Rejected::because(&plugin, "swap", reason);
        self.decide(&deployment)
            .await
            .map_err(|error| rejected(error.to_string()))?;
        tracing::info!(plugin = %deployment.plugin, deployment = deployment.number, mount = %deployment.mount, digest = %deployment.digest, "serving");
        let pushes = deployment
            .approved
            .grants
            .iter()
            .any(|grant| grant == "push");
        let old = self
            .router
            .serve(deployment)
            .map_err(|taken| rejected(taken.to_string()))?;
        if !pushes {
            // Streams outlive a swap, but not the right to have them.
            self.deployer.clients.push.end_plugin(&plugin);
        }
        steps.done("swap", label);
        Ok(old)
    }

    /// A commit whose answer was lost may have happened: the table is asked.
    async fn decide(&self, deployment: &Deployment) -> Result<(), StoreError> {
        let Err(error) = self
            .store
            .serve(&deployment.plugin, deployment.number)
            .await
        else {
            return Ok(());
        };
        let serving = self.store.serving().await.unwrap_or_default();
        let decided = (deployment.plugin.to_string(), deployment.number);
        match serving.contains(&decided) {
            true => Ok(()),
            false => Err(error),
        }
    }

    /// Takes the plugin away. Answers the number of what served, if anything.
    pub async fn undeploy(&self, plugin: &str) -> Result<Option<u64>, StoreError> {
        let _turn = self.store.try_turn(plugin).await?;
        if self.router.serving(plugin).is_none() {
            return Ok(None);
        }
        self.store.undeploy(plugin).await?;
        let Some(old) = self.router.remove(plugin) else {
            return Ok(None);
        };
        let number = old.number;
        self.deployer.clients.push.end_plugin(plugin);
        tokio::join!(self.drain(old), self.consumers.end(plugin));
        Ok(Some(number))
    }

    /// Waits until the last call of a deployment that no new request sees has
    /// ended, and drops everything it has. Answers how it went.
    async fn drain(&self, old: Arc<Deployment>) -> String {
        let label = old.label();
        self.draining.lock().push(Arc::downgrade(&old));
        old.idle.close();
        let began = Instant::now();
        let bound = (old.wall_max() + GRACE).min(self.drain_max);
        let mut ended = until_alone(&old, began + bound).await;
        if !ended {
            tracing::warn!(plugin = %old.plugin, deployment = old.number, "calls were still running when the drain ended: they are cancelled");
            old.stop.cancel();
            ended = until_alone(&old, Instant::now() + GRACE).await;
        }
        // A call may have given its instance back after the first close.
        old.idle.close();
        old.lents.sql.retire();
        drop(old);
        self.draining
            .lock()
            .retain(|deployment| deployment.strong_count() > 0);
        match ended {
            true => format!("{label} has ended"),
            false => format!("{label} still has calls that do not end"),
        }
    }

    /// What drains now: plugin, number, calls.
    pub fn drains(&self) -> Vec<(Arc<str>, u64, usize)> {
        let draining = self.draining.lock();
        let all = draining.iter().filter_map(Weak::upgrade);
        all.map(|old| (old.plugin.clone(), old.number, old.gate.in_flight()))
            .collect()
    }

    /// Drops instances that have waited too long, and makes what is then lacking.
    pub fn sweep(&self) {
        for deployment in self.router.deployments() {
            deployment.idle.sweep();
            call::top_up(&deployment, &self.background);
        }
    }
}

/// Whether every call let go of the deployment in time: each holds it to its end.
async fn until_alone(deployment: &Arc<Deployment>, until: Instant) -> bool {
    while Arc::strong_count(deployment) > 1 {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

fn note(package: &Package) -> String {
    let manifest = &package.manifest;
    let bytes = package.component.len();
    format!(
        "{} {}, {bytes} bytes, {}",
        manifest.name, manifest.version, package.digest
    )
}

fn surface(deployment: &Deployment) -> Surface<'_> {
    Surface {
        manifest: &deployment.manifest,
        mount: &deployment.mount,
        openapi: &deployment.openapi,
    }
}

fn serving(deployment: &Deployment) -> Serving {
    Serving {
        plugin: deployment.plugin.to_string(),
        number: deployment.number,
        label: deployment.label(),
        version: deployment.manifest.version.to_string(),
        digest: deployment.digest.to_string(),
    }
}
