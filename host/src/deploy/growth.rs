//! Statistics for the tables of plugins that grow from nothing, within seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::rollout::Rollout;

impl Rollout {
    /// Looks again and again at the tables of all plugins that serve.
    pub async fn follow_growth(self: Arc<Self>) {
        let look_ms = self.deployer.clients.sql.analyse_look_ms();
        loop {
            tokio::time::sleep(Duration::from_millis(look_ms)).await;
            for plugin in self.with_tables() {
                let analysed = self.deployer.clients.sql.analyse_grown(&plugin).await;
                if let Err(error) = analysed {
                    tracing::debug!(%plugin, %error, "its tables were not looked at");
                }
            }
        }
    }

    fn with_tables(&self) -> BTreeSet<Arc<str>> {
        let serving = self.router.deployments().into_iter();
        let with = serving.filter(|one| one.approved.grants.iter().any(|grant| grant == "sql"));
        with.map(|one| one.plugin.clone()).collect()
    }
}
