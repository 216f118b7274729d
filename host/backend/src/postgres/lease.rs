//! A connection lent to one call, and how it comes back: clean, or not at all.

use std::time::Duration;

use deadpool::managed::Object;
use tokio::time::timeout;

use super::cancel::cancel;
use super::connection::{Connection, Login, SessionState};
use super::plugin::PluginPool;
use super::share::Permit;

/// What ending a statement on the server and rolling back may take. Measured: 2
/// ms; past this the connection is closed instead.
const CLEAN_MAX: Duration = Duration::from_secs(2);

/// One connection of a plugin's pool. Dropped while something runs or a
/// transaction is open, the host cancels and rolls back before the connection
/// goes back into the pool; the permit stays taken until then.
pub struct PooledConnection {
    held: Option<Checkout>,
}

struct Checkout {
    connection: Object<Login>,
    permit: Permit,
    pool: PluginPool,
}

/// The lease has been given back already.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection was returned to the pool")]
pub struct GivenBack;

impl PooledConnection {
    pub(super) fn new(
        connection: Object<Login>,
        permit: Permit,
        pool: PluginPool,
    ) -> PooledConnection {
        PooledConnection {
            held: Some(Checkout {
                connection,
                permit,
                pool,
            }),
        }
    }

    pub fn connection(&mut self) -> Result<&mut Connection, GivenBack> {
        self.held
            .as_mut()
            .map(|held| &mut *held.connection)
            .ok_or(GivenBack)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        match held.connection.standing() {
            SessionState::Idle => held.give_back(),
            _ if held.connection.is_closed() => held.discard(),
            _ => {
                let runtime = held.pool.runtime().clone();
                runtime.spawn(held.clean());
            }
        }
    }
}

impl Checkout {
    async fn clean(mut self) {
        match timeout(CLEAN_MAX, self.end_and_roll_back()).await {
            Ok(true) => {
                self.connection.unmark(SessionState::Idle);
                self.give_back();
            }
            Ok(false) | Err(_) => self.discard(),
        }
    }

    /// Whether the connection is clean now.
    async fn end_and_roll_back(&mut self) -> bool {
        if self.connection.standing() == SessionState::InFlight {
            self.connection.forget_tenant();
            if let Err(error) = self.cancel().await {
                tracing::debug!(%error, "a statement could not be cancelled");
                return false;
            }
        }
        self.connection
            .client()
            .batch_execute("ROLLBACK")
            .await
            .is_ok()
    }

    /// Bounded in number: a storm of them finds no connection left.
    async fn cancel(&self) -> std::io::Result<()> {
        let _permit = self
            .pool
            .cancels()
            .acquire()
            .await
            .map_err(std::io::Error::other)?;
        let token = self.connection.cancel_token();
        let login = self.pool.login();
        cancel(&token, login.connect_config(), login.tls()).await
    }

    fn give_back(self) {
        let Checkout {
            connection,
            permit,
            pool,
        } = self;
        if connection.is_closed() || pool.slots().wanted() {
            drop(Object::take(connection));
        } else {
            connection.keep_deployments(|deployment| pool.serves(deployment));
            drop(connection);
        }
        // After the connection: who gets the permit finds it in the pool.
        drop(permit);
    }

    fn discard(self) {
        drop(Object::take(self.connection));
        drop(self.permit);
    }
}
