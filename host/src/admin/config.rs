//! Section `[admin]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

/// The admin listener: another socket than the public one, with its own token.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Loopback by default. `HEARTH_ADMIN_LISTEN` overrides it.
    pub listen: SocketAddr,
    /// A file whose text is the token that admin requests must carry. Without
    /// one the host makes a token of its own in the data folder.
    pub token_file: Option<PathBuf>,
    /// A file whose text is the token that `/metrics` wants. Without one the metrics
    /// are for everybody who reaches the listener.
    pub metrics_token_file: Option<PathBuf>,
    /// The names under which it is reached, beside `localhost` and IP addresses: a
    /// request for another one is refused, for a page in a browser may have sent it.
    pub hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8081));
        Self {
            listen,
            token_file: None,
            metrics_token_file: None,
            hosts: Vec::new(),
        }
    }
}
