//! Statistics for tables that grow from nothing, within seconds.

use std::sync::Arc;
use std::time::Duration;

use super::rollout::Rollout;

impl Rollout {
    /// Looks again and again at the tables of the host and of all plugins that serve.
    pub async fn follow_growth(self: Arc<Self>) {
        let sql = &self.deployer.clients.sql;
        loop {
            tokio::time::sleep(Duration::from_millis(sql.analyse_look_ms())).await;
            if let Err(error) = sql.analyse_grown(&self.with_tables()).await {
                tracing::debug!(%error, "nobody looked for tables that have grown");
            }
        }
    }

    fn with_tables(&self) -> Vec<Arc<str>> {
        let serving = self.router.deployments().into_iter();
        let with = serving.filter(|one| one.approved.grants.iter().any(|grant| grant == "sql"));
        with.map(|one| one.plugin.clone()).collect()
    }
}
