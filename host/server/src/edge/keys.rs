//! Authentication by API key.
//!
//! A customer has several keys, each with scopes and optionally an expiry. Only an HMAC
//! of a key is stored. A key in frequent use costs no query: the host caches it, and
//! reads one row (`hearth.key_changes`) every quarter of a second, for all keys
//! together, to know that nothing in the cache has changed. So a revocation takes
//! effect on every host within half a second, as long as Postgres is available.
//!
//! While Postgres is unavailable, a cached key is accepted for `stale_ms_max` after
//! that row was last read. Keys cannot be revoked in that time either.
//!
//! ```no_run
//! # use hearth::{backend::postgres::Server, secret::RootSecret};
//! # async fn example(server: Server, secret: RootSecret) -> Result<(), Box<dyn std::error::Error>> {
//! use hearth_server::edge::keys::{Config, Keys};
//!
//! let keys = Keys::open(server, &secret, Config::default());
//! let caller = keys.authenticate("hk_...").await?;
//! println!("{} may {:?}", caller.customer_id, caller.scopes);
//! # Ok(())
//! # }
//! ```

mod freshness;
mod look_up;
pub mod register;
mod text;
mod watch;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use freshness::{Freshness, Validity};
use hearth_backend::postgres::Server;
use hearth_base::bounds;
use hearth_base::secret::RootSecret;
use hearth_base::section::{DAY_MS, HOUR_MS, Mistakes, Section};
use look_up::{Entry, LookUpError};
use text::{Digest, Digests};

/// The `[keys]` table of hearth.toml. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many keys are remembered.
    pub entries_max: u64,
    /// How many keys are remembered not to exist.
    pub unknown_entries_max: u64,
    /// For how long, so that a key made on another host works soon.
    pub unknown_ms_max: u64,
    /// How old the knowledge may be that no key has changed. At most 1,000, or
    /// a revocation would take longer than a second.
    pub fresh_ms_max: u64,
    /// The same while Postgres is unavailable.
    pub stale_ms_max: u64,
    /// How long one query may take before Postgres counts as unavailable.
    pub look_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            entries_max: 10_000,
            unknown_entries_max: 10_000,
            unknown_ms_max: 500,
            fresh_ms_max: 500,
            stale_ms_max: 30_000,
            look_ms_max: 1_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            entries_max in 1..=10_000_000,
            unknown_entries_max in 1..=10_000_000,
            unknown_ms_max in 1..=HOUR_MS,
            // With the look itself, a revoked key shall work for no longer than a second.
            fresh_ms_max in 1..=1_000,
            stale_ms_max in 1..=DAY_MS,
            look_ms_max in 1..=HOUR_MS,
        }
    }
}

/// What a customer pays for; the limits that follow from it are the edge's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Free,
    Standard,
    Premium,
    /// No rate limit: for the demo customer and for load tests.
    Unlimited,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Standard => "standard",
            Tier::Premium => "premium",
            Tier::Unlimited => "unlimited",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Tier, UnknownTier> {
        let all = [Tier::Free, Tier::Standard, Tier::Premium, Tier::Unlimited];
        all.into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or(UnknownTier)
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a tier must be free, standard, premium or unlimited")]
pub struct UnknownTier;

/// The caller, as the key identifies it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Caller {
    pub customer_id: Arc<str>,
    /// The key's public id, never the key.
    pub key_id: Arc<str>,
    pub scopes: Arc<[String]>,
    pub tier: Tier,
}

/// Why authentication failed. All but the last are the client's fault: 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("an API key is required")]
    Missing,
    #[error("the API key is not valid")]
    Bad,
    #[error("the API key has expired")]
    Expired,
    #[error("the API key was revoked")]
    Revoked,
    /// The backend's fault: Postgres is unavailable and the key is not cached. 503.
    #[error("API keys cannot be checked at the moment")]
    Unavailable,
}

/// Every key's judge, one per process. Cloning shares what is remembered.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<KeysInner>,
}

struct KeysInner {
    server: Server,
    config: Config,
    digests: Digests,
    known: moka::future::Cache<Digest, Arc<Entry>>,
    unknown: moka::sync::Cache<Digest, ()>,
    freshness: Freshness,
}

impl Keys {
    /// Derives the keys of the HMACs; asks Postgres nothing yet.
    pub fn open(server: Server, secret: &RootSecret, config: Config) -> Keys {
        let unknown = moka::sync::Cache::builder()
            .max_capacity(config.unknown_entries_max)
            .time_to_live(Duration::from_millis(config.unknown_ms_max))
            .build();
        let shared = KeysInner {
            digests: Digests::derive(secret),
            known: moka::future::Cache::new(config.entries_max),
            unknown,
            freshness: Freshness::new(&config),
            server,
            config,
        };
        Keys {
            shared: Arc::new(shared),
        }
    }

    /// Who presented this key. A remembered key is answered without waiting; a
    /// text that was never a key of this fleet costs two hashes and touches
    /// neither Postgres nor any memory.
    pub async fn authenticate(&self, presented: &str) -> Result<Caller, AuthError> {
        if presented.is_empty() {
            return Err(AuthError::Missing);
        }
        let key = text::Presented::read(presented).ok_or(AuthError::Bad)?;
        // Keys are found by their HMAC, so nothing here compares a secret byte
        // by byte, and how long it takes tells nothing about a key.
        let digest = self.shared.digests.newest(&key);
        if let Some(entry) = self.shared.known.get(&digest).await
            && let Some(verdict) = self.judge_remembered(&entry).await
        {
            return verdict;
        }
        if self.shared.unknown.contains_key(&digest) || !self.shared.digests.is_ours(&key) {
            return Err(AuthError::Bad);
        }
        self.look_up(digest, &key).await
    }

    /// Nothing means that the entry proves nothing and Postgres must be asked.
    async fn judge_remembered(&self, entry: &Entry) -> Option<Result<Caller, AuthError>> {
        let known = match self.shared.freshness.at(Instant::now()) {
            Validity::Fresh { version } => Ok(version),
            Validity::Ageing { version } => {
                self.confirm_soon();
                Ok(version)
            }
            Validity::Old => self.confirm().await,
            Validity::Away => {
                self.confirm_soon();
                Err(AuthError::Unavailable)
            }
        };
        match known {
            Ok(version) => (entry.version >= version).then(|| entry.judge(SystemTime::now())),
            Err(_) => Some(self.judge_while_away(entry)),
        }
    }

    fn judge_while_away(&self, entry: &Entry) -> Result<Caller, AuthError> {
        match self
            .shared
            .freshness
            .may_serve_stale(entry.version, Instant::now())
        {
            true => entry.judge(SystemTime::now()),
            false => Err(AuthError::Unavailable),
        }
    }

    /// Asks Postgres for the key; several requests at once ask once.
    async fn look_up(
        &self,
        digest: Digest,
        key: &text::Presented<'_>,
    ) -> Result<Caller, AuthError> {
        self.forget_if_old(&digest).await;
        let shared = &self.shared;
        let found = shared
            .known
            .try_get_with(digest, look_up::look_up(shared, key))
            .await
            .map_err(|missed| *missed);
        match found {
            Ok(entry) => entry.judge(SystemTime::now()),
            Err(LookUpError::Unknown) => {
                shared.unknown.insert(digest, ());
                Err(AuthError::Bad)
            }
            Err(LookUpError::Away) => Err(AuthError::Unavailable),
        }
    }

    /// An entry from before the last change would be answered again instead of
    /// Postgres.
    async fn forget_if_old(&self, digest: &Digest) {
        let version = self.shared.freshness.version();
        if self
            .shared
            .known
            .get(digest)
            .await
            .is_some_and(|entry| entry.version < version)
        {
            self.shared.known.invalidate(digest).await;
        }
    }

    /// Reads the number of changes, once for all who want it now.
    async fn confirm(&self) -> Result<i64, AuthError> {
        let _turn = self.shared.freshness.turn().lock().await;
        match self.shared.freshness.at(Instant::now()) {
            Validity::Fresh { version } | Validity::Ageing { version } => Ok(version),
            Validity::Away => Err(AuthError::Unavailable),
            Validity::Old => self.confirm_now().await,
        }
    }

    /// The same in the background, unless it is already running.
    fn confirm_soon(&self) {
        let Ok(turn) = Arc::clone(self.shared.freshness.turn()).try_lock_owned() else {
            return;
        };
        let keys = self.clone();
        tokio::spawn(async move {
            let _ = keys.confirm_now().await;
            drop(turn);
        });
    }

    async fn confirm_now(&self) -> Result<i64, AuthError> {
        let asked = Instant::now();
        let limit = Duration::from_millis(self.shared.config.look_ms_max);
        let read = tokio::time::timeout(limit, look_up::version(&self.shared.server)).await;
        match read {
            Ok(Ok(version)) => {
                self.shared.freshness.confirmed(version, asked);
                Ok(version)
            }
            _ => {
                if self.shared.freshness.failed(Instant::now()) {
                    let stale_ms = self.shared.config.stale_ms_max;
                    tracing::warn!(
                        stale_ms,
                        "Postgres is unavailable: known API keys are accepted for stale_ms \
                         longer"
                    );
                }
                Err(AuthError::Unavailable)
            }
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
