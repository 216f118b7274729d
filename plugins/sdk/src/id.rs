//! Ids: a prefix and a UUID of version 7 (RFC 9562), so that they sort by the
//! time at which they were made.

use std::hash::{BuildHasher, RandomState};

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::time::Timestamp;

/// A new id, for example `tkt_019ab3f0-...` for the prefix `tkt`.
///
/// ```
/// use hearth_plugin::id;
/// let id = id::new("tkt");
/// assert!(id::is("tkt", &id));
/// assert_ne!(id, id::new("tkt"));
/// ```
pub fn new(prefix: &str) -> String {
    compose(prefix, Timestamp::now(), random())
}

/// The id that these texts have at this time, whenever it is asked for: for what is
/// made again when a request or a message comes again. `order` sorts ids of the same
/// millisecond (12 bits of it); the other 62 bits are of the texts, so two that are
/// different have different ids.
///
/// ```
/// use hearth_plugin::{Timestamp, id};
/// let at = Timestamp::parse("2026-11-23T07:30:00Z").unwrap();
/// let derived = |order, texts: &[&str]| id::derived("ntf", at, order, texts);
/// assert!(id::is("ntf", &derived(0, &["acme", "key"])));
/// assert_eq!(derived(0, &["acme", "key"]), derived(0, &["acme", "key"]));
/// assert_ne!(derived(0, &["acme", "key"]), derived(0, &["acm", "ekey"]));
/// assert!(derived(0, &["x"]) < derived(1, &["a"]));
/// ```
pub fn derived(prefix: &str, at: Timestamp, order: u16, texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let digest = hash.finalize();
    let mut words = digest.chunks_exact(8).map(|word| {
        let word = word.try_into().unwrap_or_default();
        u64::from_be_bytes(word)
    });
    let (high, low) = (words.next(), words.next());
    let high = high.unwrap_or_default() << 12 | u64::from(order & 0xfff);
    compose(prefix, at, [high, low.unwrap_or_default()])
}

/// What sorts before every id of this millisecond and later.
///
/// ```
/// use hearth_plugin::{Timestamp, id};
/// let at = Timestamp::parse("2026-11-23T07:30:00Z").unwrap();
/// let made = id::derived("ntf", at, 0, &[]);
/// assert!(id::first("ntf", at) < made && made < id::last("ntf", at));
/// ```
pub fn first(prefix: &str, at: Timestamp) -> String {
    compose(prefix, at, [0, 0])
}

/// What sorts behind every id of this millisecond and before.
pub fn last(prefix: &str, at: Timestamp) -> String {
    compose(prefix, at, [u64::MAX, u64::MAX])
}

/// Whether a text has the form of an id with that prefix. A path parameter that
/// has not needs no look-up: it is 404.
pub fn is(prefix: &str, text: &str) -> bool {
    let uuid = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'));
    uuid.is_some_and(is_uuid)
}

/// Whether a text is a UUID as this module writes it, in lower case.
pub fn is_uuid(text: &str) -> bool {
    let mut written = Uuid::encode_buffer();
    Uuid::try_parse(text).is_ok_and(|uuid| uuid.hyphenated().encode_lower(&mut written) == text)
}

/// Two words from the host's random source, through the keys that std draws for
/// its hash maps. Ids must be unique; they need not be secret.
fn random() -> [u64; 2] {
    [
        RandomState::new().hash_one(0_u8),
        RandomState::new().hash_one(1_u8),
    ]
}

/// Of `high` the last 12 bits sort ids of one millisecond, and the 14 before them come
/// next; of `low` the last 48 stand at the end.
fn compose(prefix: &str, now: Timestamp, [high, low]: [u64; 2]) -> String {
    let ms = u64::try_from(now.micros() / 1000).unwrap_or_default();
    let [.., order_high, order_low] = (high & 0xfff).to_be_bytes();
    let [.., next_high, next_low] = (high >> 12 & 0x3fff).to_be_bytes();
    let [_, _, a, b, c, d, e, f] = low.to_be_bytes();
    let bits = [order_high, order_low, next_high, next_low, a, b, c, d, e, f];
    let uuid = Builder::from_unix_timestamp_millis(ms, &bits).into_uuid();
    format!("{prefix}_{uuid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_with_its_time_in_front() {
        let now = Timestamp::parse("2022-02-22T19:22:22Z").unwrap();
        let id = compose("tkt", now, [u64::MAX, u64::MAX]);
        assert_eq!(id, "tkt_017f22e2-79b0-7fff-bfff-ffffffffffff");
        assert!(is("tkt", &id) && !is("ntf", &id) && !is("tkt", "tkt_1"));
    }

    #[test]
    fn ids_made_one_after_the_other_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new("t")).collect();
        assert_eq!(ids.len(), 1000);
    }
}
