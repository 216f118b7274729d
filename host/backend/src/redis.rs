//! Redis, or Valkey, as a store of values that may be lost.
//!
//! One connection, on which commands follow one another without waiting. It is
//! reached anew by itself when it breaks; what hangs is for the caller to find out,
//! who then asks for another one ([`Redis::reconnect`]).

use std::path::PathBuf;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionAddr, TlsCertificates};
use serde::Deserialize;

use super::url::Url;
use hearth_base::bounds;
use hearth_base::section::{Mistakes, Section};

/// The `[redis]` table of hearth.toml. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `redis://user:password@host:port/database`, or `rediss://` with TLS.
    /// `HEARTH_REDIS_URL` overrides it. It may hold a password, so it is never shown.
    pub url: Option<Url>,
    /// The authorities (PEM) to trust instead of the machine's own.
    pub tls_root_file: Option<PathBuf>,
    /// For opening a connection, its TLS and its log-in included.
    pub connect_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            tls_root_file: None,
            connect_ms_max: 1_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            connect_ms_max in 1..=600_000,
        }
    }
}

/// Why there is no client. The operator's to mend; no text holds a password.
#[derive(Debug, thiserror::Error)]
pub enum RedisConfigError {
    #[error("the Redis URL is invalid (redis.url, HEARTH_REDIS_URL): {0}")]
    Url(String),
    #[error("the CA certificates for Redis are invalid (redis.tls_root_file): {0}")]
    Root(#[from] std::io::Error),
}

/// The backend's: Redis is unavailable, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(#[from] redis::RedisError);

impl Error {
    /// Whether it was this command that Redis would not do, since its memory is full
    /// for example: others may do well.
    pub fn is_refusal(&self) -> bool {
        let refusals = ["ERR", "MISCONF", "NOPERM", "OOM", "WRONGTYPE"];
        self.0.code().is_some_and(|code| refusals.contains(&code))
    }
}

/// A client. Nothing is asked of Redis before the first command.
pub struct Redis {
    client: Client,
    manager: ArcSwap<ConnectionManager>,
    settings: ConnectionManagerConfig,
}

impl Redis {
    /// Asks for a runtime.
    ///
    /// # Errors
    /// A URL that is none, and authorities that cannot be read.
    pub fn open(config: &Config, url: &Url) -> Result<Redis, RedisConfigError> {
        let client = client(config, url)?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(config.connect_ms_max)))
            // Whoever asks has a limit of its own.
            .set_response_timeout(None)
            // A failed attempt is told at once; the next command makes another.
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())
            .map_err(malformed)?;
        Ok(Redis {
            client,
            manager: ArcSwap::from_pointee(manager),
            settings,
        })
    }

    /// A connection of its own in place of the one that there is.
    pub async fn reconnect(&self) -> Result<(), Error> {
        let fresh = ConnectionManager::new_with_config(self.client.clone(), self.settings.clone());
        self.manager.store(std::sync::Arc::new(fresh.await?));
        Ok(())
    }

    /// At most `bytes_max` of a value, so that nobody can fill this host's memory
    /// with one. An empty value is none.
    pub async fn get(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut get = redis::cmd("GETRANGE");
        get.arg(name).arg(0).arg(bytes_max.saturating_sub(1));
        let mut manager = self.manager();
        let bytes: Vec<u8> = get.query_async(&mut manager).await?;
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Keeps `value` for `life`, or not as long where Redis lacks memory.
    pub async fn put(&self, name: &str, value: &[u8], life: Duration) -> Result<(), Error> {
        let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let mut put = redis::cmd("SET");
        put.arg(name).arg(value).arg("PX").arg(millis.max(1));
        let mut manager = self.manager();
        Ok(put.query_async(&mut manager).await?)
    }

    fn manager(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.manager.load())
    }
}

/// The host and port of a URL that leads over a network.
pub fn host(url: &Url) -> Option<(String, u16)> {
    let client = Client::open(url.expose()).ok()?;
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

fn client(config: &Config, url: &Url) -> Result<Client, RedisConfigError> {
    match &config.tls_root_file {
        None => Client::open(url.expose()).map_err(malformed),
        Some(file) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(std::fs::read(file)?),
            };
            Client::build_with_tls(url.expose(), certificates).map_err(malformed)
        }
    }
}

/// The kind alone: a detail may quote the URL.
fn malformed(error: redis::RedisError) -> RedisConfigError {
    RedisConfigError::Url(error.category().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_and_not_shown() {
        for url in [
            "hunter2",
            "http://u:hunter2@h/",
            "redis://u:hunter2@h:port/",
        ] {
            let Err(error) = Redis::open(&Config::default(), &Url::from(url.to_owned())) else {
                panic!("{url} was taken");
            };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let config = Config {
            url: Some(Url::from("redis://u:hunter2@h/".to_owned())),
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
        let url = config.url.as_ref().unwrap();
        Redis::open(&config, url).unwrap();
    }

    #[test]
    fn host_of_a_url_is_known_with_its_port() {
        let of = |url: &str| host(&Url::from(url.to_owned()));
        assert_eq!(of("redis://u:p@r/1"), Some(("r".to_owned(), 6379)));
        assert_eq!(of("rediss://r:7/"), Some(("r".to_owned(), 7)));
        assert_eq!(of("redis+unix:///run/redis"), None);
    }
}
