//! Settings and secrets of a test.

use std::collections::BTreeMap;

use super::lend;
use crate::base64url;

/// The secrets that every plugin has of its host: keys that sign and seal.
const KEYS: [&str; 2] = [crate::cursor::KEY_NAME, crate::seal::KEY_NAME];

/// What a test has set.
pub(super) struct Settings {
    values: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let key = base64url::encode(&[7; 32]);
        let secrets = KEYS.map(|name| (name.to_owned(), key.clone()));
        Settings {
            values: BTreeMap::new(),
            secrets: secrets.into_iter().collect(),
        }
    }
}

impl Settings {
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.values.insert(key.into(), value.into());
    }

    pub(super) fn set_secret(&mut self, key: &str, value: &str) {
        self.secrets.insert(key.into(), value.into());
    }
}

pub(crate) fn get(key: &str) -> Option<String> {
    lend(|state| state.settings.values.get(key).cloned())
}

pub(crate) fn secret(key: &str) -> Option<String> {
    lend(|state| state.settings.secrets.get(key).cloned())
}
