//! Checks keys that are used after their request, by open streams: whether they are
//! still valid.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Keys;
use super::look_up::{self, LookUpError};

/// What is known of keys that are in use.
pub struct Watch {
    keys: Keys,
    known: HashMap<Arc<str>, WatchedKey>,
}

struct WatchedKey {
    /// The number of changes at which it was good.
    version: i64,
    expires_at: Option<SystemTime>,
}

impl Keys {
    /// Begins to watch.
    pub fn watch(&self) -> Watch {
        Watch {
            keys: self.clone(),
            known: HashMap::new(),
        }
    }
}

impl Watch {
    /// Returns those of the keys in use, by id, that are no longer valid. While
    /// Postgres is unavailable none can be revoked, and only expiry ends some.
    pub async fn ended(&mut self, used: &[Arc<str>]) -> HashSet<Arc<str>> {
        let mut ended = HashSet::new();
        if used.is_empty() {
            self.known.clear();
            return ended;
        }
        if let Ok(version) = self.keys.confirm_now().await {
            let old = |key: &&Arc<str>| self.known.get(*key).is_none_or(|k| k.version < version);
            let asked: Vec<&str> = used.iter().filter(old).map(|key| &**key).collect();
            if !asked.is_empty()
                && let Ok(gone) = self.ask(&asked).await
            {
                ended = gone;
            }
        }
        let now = SystemTime::now();
        let expired = |known: &WatchedKey| known.expires_at.is_some_and(|end| end <= now);
        let over = used
            .iter()
            .filter(|key| self.known.get(*key).is_some_and(expired));
        ended.extend(over.cloned());
        let used: HashSet<&Arc<str>> = used.iter().collect();
        self.known.retain(|key, _| used.contains(key));
        ended
    }

    /// Reads what these keys are now, and answers those that are gone.
    async fn ask(&mut self, asked: &[&str]) -> Result<HashSet<Arc<str>>, LookUpError> {
        let shared = &self.keys.shared;
        let limit = Duration::from_millis(shared.config.look_ms_max);
        let read = tokio::time::timeout(limit, look_up::valid_keys(&shared.server, asked)).await;
        let (version, good) = read.unwrap_or(Err(LookUpError::Away))?;
        let mut gone = HashSet::new();
        for id in asked {
            match good.get(*id) {
                Some(expires_at) => {
                    let expires_at = *expires_at;
                    let known = WatchedKey {
                        version,
                        expires_at,
                    };
                    self.known.insert(Arc::from(*id), known);
                }
                None => {
                    gone.insert(Arc::from(*id));
                }
            }
        }
        Ok(gone)
    }
}
