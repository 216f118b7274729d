//! The circumstances of one call, as every capability sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

/// The guest called the host more often than one call may.
#[derive(Debug, thiserror::Error)]
#[error("the guest called the host more than {0} times")]
pub struct HostCallsExhausted(pub u64);

/// One call of a plugin: an HTTP request, or a batch of messages. The host
/// stamps it; no value of a guest can change it.
#[derive(Debug)]
pub struct Call {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The deployment's number within the plugin.
    pub deployment: u64,
    pub request_id: Arc<str>,
    /// The customer on whose behalf the call happens. `None` sees no rows.
    pub customer: Option<Arc<str>>,
    /// When everything that the call does must have ended.
    pub deadline: Instant,
    host_calls: AtomicU64,
    host_calls_max: u64,
}

impl Call {
    pub fn new(
        plugin: Arc<str>,
        deployment: u64,
        request_id: Arc<str>,
        customer: Option<Arc<str>>,
        deadline: Instant,
        host_calls_max: u64,
    ) -> Call {
        Call {
            plugin,
            deployment,
            request_id,
            customer,
            deadline,
            host_calls: AtomicU64::new(0),
            host_calls_max,
        }
    }

    /// A call of deployment 1 with half a minute and a thousand host calls, for
    /// tests and examples that need no more than a plugin and a customer.
    pub fn of(plugin: &str, customer: Option<&str>) -> Call {
        let deadline = Instant::now() + std::time::Duration::from_secs(30);
        Call::new(
            plugin.into(),
            1,
            "test".into(),
            customer.map(Arc::from),
            deadline,
            1_000,
        )
    }

    /// Counts one call of the guest to the host; past the limit it is a trap.
    /// Every method of a capability begins with it.
    pub fn host_call(&self) -> wasmtime::Result<()> {
        if self.host_calls.fetch_add(1, Relaxed) >= self.host_calls_max {
            return Err(wasmtime::Error::new(HostCallsExhausted(
                self.host_calls_max,
            )));
        }
        Ok(())
    }
}
