//! The circumstances of one call, as every capability sees them.

use std::sync::Arc;

use tokio::time::Instant;

/// One call of a plugin: an HTTP request, or a batch of messages. The host
/// stamps it; no value of a guest can change it.
#[derive(Clone, Debug)]
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
}
