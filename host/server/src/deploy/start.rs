//! What a host serves when it starts: what the database says, and the files of
//! the configuration that it has not seen yet.

use bytes::Bytes;

use std::path::Path;

use super::probe::Probe;
use super::rollout::Rollout;
use super::steps::{Rejected, Steps};
use super::store::{Store, StoreError, Stored};
use super::{Refused, approval, checks, replacement};
use crate::config;
use hearth_runtime::capability::sql::Scan;
use hearth_runtime::capability::sql::gate::Definition;
use hearth_runtime::plugin::deployment::Approved;
use hearth_runtime::plugin::package::{Digest, Package};

impl Rollout {
    /// Opens every plugin, and answers all that are refused.
    pub async fn start(&self) -> Result<Vec<Refused>, StoreError> {
        let serving = self.store.serving().await?;
        let number_of = |name: &str| {
            let found = serving.iter().find(|(plugin, _)| plugin == name);
            found.map(|(_, number)| *number)
        };
        let mut refusals = Vec::new();
        for (name, section) in &self.sections {
            refusals.extend(self.configured(name, section, number_of(name)).await.err());
        }
        for (name, number) in &serving {
            if !self.sections.contains_key(name) {
                let steps = &mut Steps::silent();
                let restored = self.restore(name, *number, Probe::Returning, steps).await;
                refusals.extend(restored.map_err(|rejected| refused(name, rejected)).err());
            }
        }
        Ok(refusals)
    }

    /// A plugin of the configuration: its file where it is new, else what the
    /// database says. A file that is gone matters only where nothing serves. A section
    /// may have none: then the plugin is deployed by command.
    async fn configured(
        &self,
        name: &str,
        section: &config::Plugin,
        serving: Option<u64>,
    ) -> Result<(), Refused> {
        let at = |rejected| refused(name, rejected);
        let store = |error: StoreError| at(Rejected::because(name, "read", error));
        let _turn = self.store.turn(name).await.map_err(store)?;
        if let Some(file) = &section.file {
            let bytes = match self.file(file) {
                Ok(bytes) => Some(bytes),
                Err(_) if serving.is_some() && !file.exists() => None,
                Err(reason) => return Err(at(Rejected::because(name, "read", reason))),
            };
            let stored = load(&self.store, name, serving).await.map_err(store)?;
            if let Some(bytes) = bytes
                && self
                    .is_new(name, section, &bytes, stored.as_ref())
                    .await
                    .map_err(store)?
            {
                let served = self.file_serves(name, section, file, bytes, stored).await;
                return served.map_err(at);
            }
        }
        let Some(number) = serving else {
            tracing::warn!(
                plugin = %name,
                "the plugin is not serving: it was undeployed, or its section has no file and it \
                 was never deployed"
            );
            return Ok(());
        };
        let steps = &mut Steps::silent();
        let restored = self.restore(name, number, Probe::Returning, steps).await;
        restored.map(|_| ()).map_err(at)
    }

    /// Bytes that never served are new, and so are other approvals for the bytes
    /// that the configuration itself deployed last. What somebody deployed by command
    /// stays, whatever the file has become since: nobody but them takes it back.
    async fn is_new(
        &self,
        name: &str,
        section: &config::Plugin,
        bytes: &Bytes,
        stored: Option<&Stored>,
    ) -> Result<bool, StoreError> {
        let digest = Digest::of(bytes);
        let has_served = self.store.has_served(name, &digest).await?;
        let Some(stored) = stored else {
            return Ok(!has_served);
        };
        if stored.by != CONFIG {
            if !has_served {
                warn_of_newer(name, stored.number, section);
            }
            return Ok(false);
        }
        if !has_served {
            return Ok(true);
        }
        let same_file = stored.digest.as_slice() == digest.0.as_slice();
        let approved = &stored.approved;
        let still = |approved: &[String], given: &[String]| {
            approved.iter().all(|approval| given.contains(approval))
        };
        let same = still(&approved.grants, &section.grants)
            && still(&approved.functions, &section.sql_functions)
            && still(&approved.shared, &section.sql_shared)
            && still(&approved.scans, &section.sql_scans);
        Ok(same_file && !same)
    }

    fn file(&self, path: &Path) -> Result<Bytes, String> {
        let file = path.display();
        let unreadable = |error| format!("{file} cannot be read: {error}");
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        let bytes_max = self.deployer.engine.component_bytes_max;
        if size > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
            return Err(format!(
                "{file} is too large: {size} bytes, and at most {bytes_max} are allowed \
                 (engine.component_bytes_max)"
            ));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Ok(Bytes::from(bytes))
    }

    async fn file_serves(
        &self,
        name: &str,
        section: &config::Plugin,
        file: &Path,
        bytes: Bytes,
        stored: Option<Stored>,
    ) -> Result<(), Rejected> {
        let file = file.display();
        let read = self.deployer.read(bytes).await;
        let package = read.map_err(|mut rejected| {
            for reason in &mut rejected.reasons {
                *reason = format!("{file}: {reason}");
            }
            rejected
        })?;
        let given = approval::of_section(section);
        if package.manifest.name != name {
            // Everything that is wrong with the file is told together.
            let other = format!("the file is the plugin `{}`", package.manifest.name);
            let more = approval::approve(&package, &given)
                .err()
                .unwrap_or_default();
            let reasons = std::iter::once(other).chain(more.reasons).collect();
            return Err(Rejected::new(name, "read", reasons));
        }
        if let Some(stored) = stored {
            self.warn_of_replacement(&package, stored).await;
        }
        self.admit(package, &given, CONFIG, true, &mut Steps::silent())
            .await
            .map(|_| ())
    }

    /// The operator named the file, so it serves; the log has what it takes away of what
    /// served before, which a deploy by command would refuse.
    async fn warn_of_replacement(&self, package: &Package, stored: Stored) {
        let (plugin, number) = (&package.manifest.name, stored.number);
        let label = format!("{plugin}@{number}");
        let Ok(before) = self.deployer.read(stored.bytes).await else {
            return;
        };
        let [before, next] = [before, package.clone()]
            .map(|package| self.candidate(package, Approved::default(), false));
        let (Ok(old), Ok(new)) = (checks::openapi(&before), checks::openapi(&next)) else {
            return;
        };
        let [next, before] = [next.surface(&new), before.surface(&old)];
        for difference in replacement::differences(&next, &before, &label) {
            tracing::warn!(
                %plugin,
                deployment = number,
                difference,
                "the configuration's file replaces it"
            );
        }
    }
}

/// What a host wrote down of a deployment that its configuration made.
const CONFIG: &str = "config";

async fn load(
    store: &Store,
    plugin: &str,
    number: Option<u64>,
) -> Result<Option<Stored>, StoreError> {
    match number {
        Some(number) => store.load(plugin, number).await.map(Some),
        None => Ok(None),
    }
}

fn warn_of_newer(name: &str, number: u64, section: &config::Plugin) {
    let file = section.file.as_deref().unwrap_or(Path::new(""));
    tracing::warn!(
        plugin = %name,
        file = %file.display(),
        "the file of the configuration has never served; {name}@{number}, which was deployed by \
         command, still serves: to serve the file, run `hearth deploy {}`",
        file.display()
    );
}

/// Nobody has a terminal of `hearth deploy` before them: what is to be approved is
/// shown here.
fn refused(plugin: &str, rejected: Rejected) -> Refused {
    let mut reasons = rejected.reasons;
    let body = |one: Definition| format!("{}:\n{}", one.approval, one.text);
    reasons.extend(rejected.functions.into_iter().map(body));
    let plan = |one: Scan| format!("{}:\n{}\n{}", one.approval, one.text, one.plan);
    reasons.extend(rejected.scans.into_iter().map(plan));
    Refused {
        plugin: plugin.to_string(),
        reasons,
    }
}
