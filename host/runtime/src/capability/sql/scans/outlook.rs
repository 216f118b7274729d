//! The plans of statements before they are deployed, on the tables as they are now.

use serde::{Deserialize, Serialize};

use super::{Scan, find};
use crate::capability::sql::Client;
use crate::capability::sql::gate::{ApprovedFunctions, check_declared};
use crate::capability::sql::lend::LendError;
use crate::capability::sql::roles::{self, RoleNames};
use crate::capability::sql::statement::Declared;
use crate::capability::sql::turn;

/// What can be said of a file's statements without deploying it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outlook {
    pub scans: Vec<Scan>,
    /// The names of those that do not fit the present tables: a deploy judges them.
    pub unjudged: Vec<String>,
}

impl Client {
    /// Plans statements of a plugin in a session of its runtime role, which reads and
    /// changes nothing.
    pub async fn outlook(&self, plugin: &str, declared: &[Declared]) -> Result<Outlook, LendError> {
        let names = self.names(plugin).await?;
        let mut outlook = Outlook::default();
        let Some(session) = self.session(plugin, &names).await? else {
            let names = declared.iter().map(|one| one.name.clone());
            outlook.unjudged.extend(names);
            return Ok(outlook);
        };
        let approved = ApprovedFunctions::default();
        for one in declared {
            let found = match check_declared(one, &names.schema, &approved) {
                Ok(_) => find(&session, &names, std::slice::from_ref(one)).await,
                Err(refusal) => Err(LendError::Refused(vec![refusal])),
            };
            match found {
                Ok(found) => outlook.scans.extend(found),
                Err(LendError::Refused(_)) => outlook.unjudged.push(one.name.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(outlook)
    }

    /// `None` for a plugin that was never deployed.
    async fn session(
        &self,
        plugin: &str,
        names: &RoleNames,
    ) -> Result<Option<tokio_postgres::Client>, LendError> {
        let host = self.server.host().get().await?;
        let known = "SELECT FROM pg_roles WHERE rolname = $1";
        if host.query_opt(known, &[&names.runtime]).await?.is_none() {
            return Ok(None);
        }
        let password = roles::password(&self.secret, plugin);
        let mut config = self.server.connect_config();
        config.user(&names.runtime).password(&password);
        let session = turn::connect(&self.server, &config).await?;
        let ms = self.server.config().statement_ms_max;
        let begin = format!(
            "SET search_path = pg_catalog, pg_temp; SET statement_timeout = {ms}; BEGIN READ ONLY"
        );
        session.batch_execute(&begin).await?;
        Ok(Some(session))
    }
}
