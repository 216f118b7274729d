//! Opaque, signed cursors for lists.
//!
//! A cursor contains the sort key of the last row of a page. It is signed (HMAC-SHA256,
//! RFC 2104, cut to 128 bits) together with the customer and everything else that
//! determines rows and their order. So a cursor that was changed, or is of another
//! customer, filter or list, is rejected. It is not encrypted: the client saw its
//! content in the row anyway.
//!
//! The host derives the key for the plugin from the fleet's root secret and provides it
//! as the secret [`KEY_NAME`] of the interface `config`: a plugin with cursors needs
//! the grant `config`. After a rotation of the root secret the newest version signs,
//! and signatures of older versions stay valid.
//!
//! ```
//! use hearth_plugin::cursor::{Binding, Keys};
//! let keys = Keys::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
//! let binding = Binding::new(keys.clone(), &["acme", "status=open"]);
//! let token = binding.encode(&["2026-11-23T07:30:00Z", "tkt_1"]);
//! let [time, id] = binding.decode(&token).unwrap();
//! assert_eq!((time.as_str(), id.as_str()), ("2026-11-23T07:30:00Z", "tkt_1"));
//! assert!(Binding::new(keys, &["acme", "status=new"]).decode::<2>(&token).is_err());
//! ```

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::problem::{FieldError, Location, Problem};
use crate::request::Request;
use crate::{base64url, config, keys};

/// The name of the host's secret that holds the keys.
pub const KEY_NAME: &str = "hearth.cursor_key";

/// The form of a cursor. 1 was hashed and not signed.
const VERSION: u8 = 2;
/// Bytes of a cursor's signature: 128 bits cannot be guessed.
const TAG_BYTES: usize = 16;
/// A cursor's length in characters at most.
const LENGTH_MAX: usize = 1024;

/// The keys of cursors, newest first. Printing them for debugging shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<keys::Key>);

impl Keys {
    /// The keys that the host gave this plugin; 500 `no-cursor-key` where it gave
    /// none, which a host does that is older than the plugin.
    pub fn of_host() -> Result<Self, Problem> {
        let missing = || {
            let detail = "the key for cursors is missing or invalid (hearth.cursor_key)";
            Problem::new(500, "no-cursor-key", "Internal error").detail(detail)
        };
        let text = config::secret(KEY_NAME).ok_or_else(missing)?;
        Keys::parse(&text).ok_or_else(missing)
    }

    /// Reads keys as the host writes them: base64 for URLs, separated by commas,
    /// the newest first, each of 32 bytes. `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        keys::parse(text).map(Keys)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keys(hidden)")
    }
}

/// What cursors of one list belong to, and the keys that sign them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    keys: Keys,
    scope: Vec<u8>,
}

impl Binding {
    /// Binds to the caller's customer and to everything else that chooses rows
    /// and their order, each in its own text: the list's name, its filters, its
    /// order. 401 without a caller, 500 where the host gave no key.
    pub fn of(request: &Request, parts: &[&str]) -> Result<Self, Problem> {
        let customer = request.caller()?.customer_id.as_str();
        let parts: Vec<_> = std::iter::once(customer)
            .chain(parts.iter().copied())
            .collect();
        Ok(Binding::new(Keys::of_host()?, &parts))
    }

    /// Binds to these texts, with these keys.
    pub fn new(keys: Keys, parts: &[&str]) -> Self {
        let mut scope = Vec::new();
        for part in parts {
            scope.extend_from_slice(&(part.len() as u64).to_le_bytes());
            scope.extend_from_slice(part.as_bytes());
        }
        Binding { keys, scope }
    }

    /// A cursor that holds these keys of a row, for a client to hand back. They
    /// may not contain NUL characters.
    pub fn encode(&self, row: &[&str]) -> String {
        let row = row.join("\0");
        let mut bytes = vec![VERSION];
        let newest = self.keys.0.first();
        if let Some(mac) = newest.and_then(|key| self.mac(key, row.as_bytes())) {
            let tag = mac.finalize().into_bytes();
            bytes.extend(tag.iter().take(TAG_BYTES));
        }
        bytes.extend_from_slice(row.as_bytes());
        base64url::encode(&bytes)
    }

    /// The keys of the row in a cursor. 400 where it is not one of this list with
    /// this filter and this customer, or holds another number of keys.
    pub fn decode<const N: usize>(&self, token: &str) -> Result<[String; N], Problem> {
        self.read(token)
            .and_then(|row| row.try_into().ok())
            .ok_or_else(refused)
    }

    fn read(&self, token: &str) -> Option<Vec<String>> {
        let bytes = (token.len() <= LENGTH_MAX).then(|| base64url::decode(token))??;
        let (version, rest) = bytes.split_first()?;
        let (tag, row) = rest.split_at_checked(TAG_BYTES)?;
        if *version != VERSION || !self.keys.0.iter().any(|key| self.is_signed(key, tag, row)) {
            return None;
        }
        let row = std::str::from_utf8(row).ok()?;
        Some(row.split('\0').map(String::from).collect())
    }

    /// Takes the same time whatever byte of the tag is wrong.
    fn is_signed(&self, key: &[u8], tag: &[u8], row: &[u8]) -> bool {
        self.mac(key, row)
            .is_some_and(|mac| mac.verify_truncated_left(tag).is_ok())
    }

    fn mac(&self, key: &[u8], row: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(&[VERSION]);
        mac.update(&(self.scope.len() as u64).to_le_bytes());
        mac.update(&self.scope);
        mac.update(row);
        Some(mac)
    }
}

/// 400 for a cursor that cannot be used.
///
/// ```
/// assert_eq!(hearth_plugin::cursor::refused().status(), 400);
/// ```
pub fn refused() -> Problem {
    let detail = "the cursor is invalid for this list and filter; start again without one".into();
    let location = Location::Parameter("cursor".into());
    Problem::invalid_query(vec![FieldError {
        location,
        code: "invalid_cursor",
        detail,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(versions: &[u8]) -> Keys {
        Keys(versions.iter().map(|version| [*version; 32]).collect())
    }

    #[test]
    fn the_signature_is_hmac_sha256_over_version_scope_and_row() {
        let binding = Binding::new(keys(&[7]), &["a"]);
        let bytes = base64url::decode(&binding.encode(&["x", "y"])).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(b"\x02\x09\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0ax\0y");
        assert_eq!(
            bytes[..17],
            [&[2], &mac.finalize().into_bytes()[..16]].concat()
        );
        assert_eq!(&bytes[17..], b"x\0y");
    }

    #[test]
    fn another_customer_or_filter_refuses_the_cursor() {
        let binding = |parts: &[&str]| Binding::new(keys(&[1]), parts);
        let token = binding(&["acme", "open"]).encode(&["1", "2"]);
        assert!(binding(&["acme", "open"]).decode::<2>(&token).is_ok());
        for parts in [["acm", "eopen"], ["other", "open"], ["acme", "new"]] {
            let refusal = binding(&parts).decode::<2>(&token).unwrap_err();
            assert_eq!(refusal.status(), 400);
        }
        assert!(binding(&["acme", "open"]).decode::<1>(&token).is_err());
    }

    #[test]
    fn any_changed_bit_refuses_the_cursor() {
        let binding = Binding::new(keys(&[1]), &["acme"]);
        let bytes = base64url::decode(&binding.encode(&["tkt_1"])).unwrap();
        for index in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[index / 8] ^= 1 << (index % 8);
            let token = base64url::encode(&changed);
            assert!(binding.decode::<1>(&token).is_err(), "bit {index}");
        }
    }

    #[test]
    fn rotation_signs_with_the_newest_key_and_believes_older_ones() {
        let binding = |versions: &[u8]| Binding::new(keys(versions), &["acme"]);
        let before = binding(&[1]).encode(&["x"]);
        let after = binding(&[2, 1]).encode(&["x"]);
        assert!(binding(&[2, 1]).decode::<1>(&before).is_ok());
        assert!(binding(&[2]).decode::<1>(&after).is_ok());
        assert!(binding(&[2]).decode::<1>(&before).is_err());
        assert!(binding(&[1]).decode::<1>(&after).is_err());
    }

    #[test]
    fn damaged_cursors_are_refused() {
        let binding = Binding::new(keys(&[1]), &["acme"]);
        let token = binding.encode(&["1"]);
        let (padded, long) = (format!("{token}="), "A".repeat(2000));
        for damaged in ["", "!", "AQ", "Ag", &token[1..], &padded, &long] {
            assert!(binding.decode::<1>(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn keys_that_are_no_keys_are_refused_and_never_shown() {
        let key = base64url::encode(&[9; 32]);
        assert_eq!(Keys::parse(&key), Some(keys(&[9])));
        assert_eq!(Keys::parse(&format!("{key},{key}")), Some(keys(&[9, 9])));
        for wrong in ["", ",", "AA", &format!("{key},"), &format!("{key},AA")] {
            assert_eq!(Keys::parse(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{:?}", keys(&[9])), "Keys(hidden)");
    }
}
