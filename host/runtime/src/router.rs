//! From a path to the plugin that is mounted there.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::plugin::deployment::Deployment;
use crate::plugin::slot::Slot;
use hearth_base::telemetry::page::{FamilyKind, MetricsPage, MetricsSource};

const FAILING: &str = "hearth_plugin_failing";

/// One plugin and where it is mounted.
#[derive(Clone)]
struct Mounted {
    plugin: Arc<str>,
    mount: Arc<str>,
    slot: Arc<Slot>,
}

/// The host's own paths. They win over every mount, so none may be there.
const OWN: [&str; 4] = ["/healthz", "/readyz", "/openapi.json", "/docs"];

/// Two plugins cannot be mounted at one path, and none where the host answers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountTaken {
    #[error("its mount {mount} is already the mount of plugin `{by}`")]
    Plugin { mount: String, by: String },
    #[error("its mount {mount} is a path of the host's own")]
    Host { mount: String },
}

/// The mounts, longest first, so that `/a/b` wins over `/a`. Requests read one
/// table; a change replaces it whole.
#[derive(Default)]
pub struct Router {
    mounts: ArcSwap<Vec<Mounted>>,
    changing: Mutex<()>,
}

impl Router {
    /// What serves the plugin whose mount is the path or a whole-segment
    /// beginning of it.
    pub fn find(&self, path: &str) -> Option<Arc<Deployment>> {
        let mounts = self.mounts.load();
        let found = mounts.iter().find(|mounted| under(&mounted.mount, path))?;
        Some(found.slot.load())
    }

    /// What serves the plugin of that name.
    pub fn serving(&self, plugin: &str) -> Option<Arc<Deployment>> {
        let mounts = self.mounts.load();
        let found = mounts.iter().find(|mounted| *mounted.plugin == *plugin)?;
        Some(found.slot.load())
    }

    /// Everything that serves, in the order of the plugins' names.
    pub fn deployments(&self) -> Vec<Arc<Deployment>> {
        let mounts = self.mounts.load();
        let mut all: Vec<_> = mounts.iter().map(|mounted| mounted.slot.load()).collect();
        all.sort_by(|one, other| one.plugin.cmp(&other.plugin));
        all
    }

    /// Whether the plugin may be mounted there.
    ///
    /// # Errors
    /// Where another plugin is, or the host itself.
    pub fn check(&self, plugin: &str, mount: &str) -> Result<(), MountTaken> {
        if mount.is_empty() {
            return Ok(());
        }
        let mount = mount.to_string();
        if OWN.iter().any(|own| under(own, &mount)) {
            return Err(MountTaken::Host { mount });
        }
        let mounts = self.mounts.load();
        let other = |mounted: &&Mounted| *mounted.mount == mount && *mounted.plugin != *plugin;
        match mounts.iter().find(other) {
            Some(taken) => Err(MountTaken::Plugin {
                mount,
                by: taken.plugin.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Lets the deployment serve its plugin, in one atomic store, and answers
    /// the one that did.
    pub fn serve(
        &self,
        deployment: Arc<Deployment>,
    ) -> Result<Option<Arc<Deployment>>, MountTaken> {
        let _changing = self.changing.lock();
        self.check(&deployment.plugin, &deployment.mount)?;
        let mounts = self.mounts.load_full();
        let same = |mounted: &&Mounted| {
            mounted.plugin == deployment.plugin && mounted.mount == deployment.mount
        };
        if let Some(mounted) = mounts.iter().find(same) {
            return Ok(Some(mounted.slot.swap(deployment)));
        }
        // A new plugin, or one that moves: its mount and its deployment change
        // with the one store of the table.
        let (before, mut after) = without(&mounts, &deployment.plugin);
        after.push(Mounted {
            plugin: deployment.plugin.clone(),
            mount: deployment.mount.clone(),
            slot: Arc::new(Slot::new(deployment)),
        });
        after.sort_by_key(|mounted| std::cmp::Reverse(mounted.mount.len()));
        self.mounts.store(Arc::new(after));
        Ok(before)
    }

    /// Takes the plugin away, and answers what served it.
    pub fn remove(&self, plugin: &str) -> Option<Arc<Deployment>> {
        let _changing = self.changing.lock();
        let (before, after) = without(&self.mounts.load(), plugin);
        self.mounts.store(Arc::new(after));
        before
    }
}

impl MetricsSource for Router {
    fn write(&self, page: &mut MetricsPage) {
        let help = "1 while every call of a plugin fails, of requests and of messages.";
        page.family(FAILING, FamilyKind::Gauge, help);
        for deployment in self.deployments() {
            let failing = deployment.failing.calls().is_some();
            let labels = [("plugin", &*deployment.plugin)];
            page.sample(FAILING, &labels, u8::from(failing));
        }
    }
}

fn without(mounts: &[Mounted], plugin: &str) -> (Option<Arc<Deployment>>, Vec<Mounted>) {
    let (gone, rest): (Vec<Mounted>, Vec<Mounted>) = mounts
        .iter()
        .cloned()
        .partition(|mounted| *mounted.plugin == *plugin);
    (gone.first().map(|mounted| mounted.slot.load()), rest)
}

/// A worker has no mount, and no path is under it.
fn under(mount: &str, path: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    match mount {
        "" => false,
        "/" => true,
        mount => path.strip_prefix(mount).is_some_and(below),
    }
}
