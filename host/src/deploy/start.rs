//! What a host serves when it starts: what the database says, and the files of
//! the configuration that it has not seen yet.

use bytes::Bytes;

use super::probe::Probe;
use super::rollout::Rollout;
use super::steps::{Rejected, Steps};
use super::store::StoreError;
use super::{Refused, approval};
use crate::capability::sql::Scan;
use crate::capability::sql::gate::Definition;
use crate::config;
use crate::plugin::deployment::Approved;
use crate::plugin::package::Digest;

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
    /// database says. A file that is gone matters only where nothing serves.
    async fn configured(
        &self,
        name: &str,
        section: &config::Plugin,
        serving: Option<u64>,
    ) -> Result<(), Refused> {
        let at = |rejected| refused(name, rejected);
        let store = |error: StoreError| at(Rejected::because(name, "read", error));
        let _turn = self.store.turn(name).await.map_err(store)?;
        let bytes = match self.file(section) {
            Ok(bytes) => Some(bytes),
            Err(_) if serving.is_some() && !section.file.exists() => None,
            Err(reason) => return Err(at(Rejected::because(name, "read", reason))),
        };
        if let Some(bytes) = bytes
            && self
                .is_new(name, section, &bytes, serving)
                .await
                .map_err(store)?
        {
            return self.file_serves(name, section, bytes).await.map_err(at);
        }
        match serving {
            Some(number) => {
                let steps = &mut Steps::silent();
                let restored = self.restore(name, number, Probe::Returning, steps).await;
                restored.map(|_| ()).map_err(at)
            }
            None => {
                tracing::warn!(plugin = name, "it was undeployed and does not serve");
                Ok(())
            }
        }
    }

    /// Bytes that never served are new, and so are other approvals for the bytes
    /// that the configuration itself deployed last.
    async fn is_new(
        &self,
        name: &str,
        section: &config::Plugin,
        bytes: &Bytes,
        serving: Option<u64>,
    ) -> Result<bool, StoreError> {
        let digest = Digest::of(bytes);
        if !self.store.has_served(name, &digest).await? {
            return Ok(true);
        }
        let Some(number) = serving else {
            return Ok(false);
        };
        let stored = self.store.load(name, number).await?;
        let same_file = stored.by == "config" && stored.digest.as_slice() == digest.0.as_slice();
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

    fn file(&self, section: &config::Plugin) -> Result<Bytes, String> {
        let file = section.file.display();
        let unreadable = |error| format!("{file} cannot be read: {error}");
        let size = std::fs::metadata(&section.file).map_err(unreadable)?.len();
        let bytes_max = self.deployer.engine.component_bytes_max;
        if size > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
            return Err(format!(
                "{file} has {size} bytes and may have {bytes_max} (engine.component_bytes_max)"
            ));
        }
        let bytes = std::fs::read(&section.file).map_err(unreadable)?;
        Ok(Bytes::from(bytes))
    }

    async fn file_serves(
        &self,
        name: &str,
        section: &config::Plugin,
        bytes: Bytes,
    ) -> Result<(), Rejected> {
        let file = section.file.display();
        let read = self.deployer.read(bytes).await;
        let package = read.map_err(|mut rejected| {
            for reason in &mut rejected.reasons {
                *reason = format!("{file}: {reason}");
            }
            rejected
        })?;
        let given = Approved {
            grants: section.grants.clone(),
            functions: section.sql_functions.clone(),
            shared: section.sql_shared.clone(),
            scans: section.sql_scans.clone(),
        };
        if package.manifest.name != name {
            // Everything that is wrong with the file is told together.
            let other = format!("the file is the plugin `{}`", package.manifest.name);
            let more = approval::approve(&package, &given)
                .err()
                .unwrap_or_default();
            let reasons = std::iter::once(other).chain(more.reasons).collect();
            return Err(Rejected::new(name, "read", reasons));
        }
        self.admit(package, &given, "config", &mut Steps::silent())
            .await
            .map(|_| ())
    }
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
