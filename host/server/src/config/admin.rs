//! Section `[admin]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use hearth_base::section::{Mistakes, Section};

/// RFC 1035, 2.3.4.
const NAME_BYTES_MAX: usize = 253;

/// The admin listener: another socket than the public one, with its own token.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
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

impl Default for AdminConfig {
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

impl Section for AdminConfig {
    fn validate(&self, mistakes: &mut Mistakes) {
        for host in self.hosts.iter().filter(|host| !is_name(host)) {
            let text = format!(
                "expected names without scheme and port, for example \"hearth.example.com\", \
                 found {host:?}"
            );
            mistakes.note("hosts", text);
        }
    }
}

fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(letters)
}
