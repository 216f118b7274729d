//! What `hearth dev` does where a migration was edited: the plugin's tables are made anew.
//! No host that serves anybody else does that.

use super::rollout::Rollout;
use super::steps::Rejected;
use hearth_runtime::plugin::package::Package;

impl Rollout {
    /// The migrations that have run and are not as the package has them.
    pub async fn changed_migrations(&self, package: &Package) -> Result<Vec<String>, Rejected> {
        let plugin = &package.manifest.name;
        let sql = &self.deployer.clients.sql;
        let changed = sql.changed_migrations(plugin, &package.migrations).await;
        changed.map_err(|error| Rejected::because(plugin, "migrate", error))
    }

    /// Takes the plugin away, and drops its tables with all rows.
    pub async fn reset(&self, plugin: &str) -> Result<(), Rejected> {
        let undeployed = self.undeploy(plugin).await;
        undeployed.map_err(|error| Rejected::because(plugin, "migrate", error))?;
        let reset = self.deployer.clients.sql.reset(plugin).await;
        reset.map_err(|error| Rejected::because(plugin, "migrate", error))
    }
}
