//! Keys that the host provides to a plugin among its secrets.

use crate::base64url;

/// One version of a key.
pub(crate) type Key = [u8; 32];

/// Reads keys as the host writes them: base64 for URLs, separated by commas, the
/// newest first. `None` where it is anything else.
pub(crate) fn parse(text: &str) -> Option<Vec<Key>> {
    let key = |text: &str| base64url::decode(text)?.try_into().ok();
    text.split(',').map(key).collect()
}
