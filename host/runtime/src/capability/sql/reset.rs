//! Dropping a plugin's tables while it is developed, where its migrations are no longer
//! those that made them. No host that serves anybody does that.

use super::Client;
use super::ledger::{self, checksum};
use super::lend::LendError;
use super::migrate::{Migration, title};
use super::roles;

impl Client {
    /// What has run and is not as it was: a migration that was changed or removed, or one
    /// that came before others which had run.
    ///
    /// # Errors
    /// Where Postgres is unavailable.
    pub async fn changed_migrations(
        &self,
        plugin: &str,
        migrations: &[Migration],
    ) -> Result<Vec<String>, LendError> {
        let connection = self.server.host().get().await?;
        let mut done = ledger::done(&connection, plugin).await?;
        let newest = done.keys().next_back().copied().unwrap_or(-1);
        let is_changed = |migration: &&Migration| {
            let version = i64::from(migration.version);
            match done.remove(&version) {
                Some(sum) => sum != checksum(migration),
                None => version < newest,
            }
        };
        let changed = migrations.iter().filter(is_changed).map(title);
        let mut changed: Vec<String> = changed.collect();
        changed.extend(done.keys().map(|version| format!("migration {version:04}")));
        Ok(changed)
    }

    /// Drops the plugin's schema with all that is in it, and what is known of its
    /// migrations. Nothing of it may be serving.
    ///
    /// # Errors
    /// Where Postgres is unavailable or refuses it.
    pub async fn reset(&self, plugin: &str) -> Result<(), LendError> {
        let names = self.names(plugin).await?;
        let mut connection = self.server.host().get().await?;
        let transaction = connection.transaction().await?;
        roles::drop_schema(&transaction, &names).await?;
        for table in ["plugin_migrations", "migration_intents"] {
            let text = format!("DELETE FROM hearth.{table} WHERE plugin = $1");
            transaction.execute(&text, &[&plugin]).await?;
        }
        Ok(transaction.commit().await?)
    }
}
