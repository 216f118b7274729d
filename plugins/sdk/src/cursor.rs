//! Opaque cursors for lists.
//!
//! A cursor holds the sort key of the last row that was answered, and a hash of
//! the customer and the filter it belongs to, so that it is refused with another
//! filter. It gives no access: whatever it says, row-level security answers the
//! caller's rows only.
//!
//! ```
//! use hearth_plugin::cursor::Binding;
//! let binding = Binding::new(&["acme", "status=open"]);
//! let token = binding.encode(&["2026-11-23T07:30:00Z", "tkt_1"]);
//! let [time, id] = binding.decode(&token).unwrap();
//! assert_eq!((time.as_str(), id.as_str()), ("2026-11-23T07:30:00Z", "tkt_1"));
//! assert!(Binding::new(&["acme", "status=new"]).decode::<2>(&token).is_err());
//! ```

use crate::base64url;
use crate::problem::{FieldError, Place, Problem};

const VERSION: u8 = 1;
/// A cursor's length in characters at most.
const LENGTH_MAX: usize = 1024;

/// What cursors of one list belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding(u64);

impl Binding {
    /// Binds to the customer and to everything else that chooses rows and their
    /// order, each in its own text.
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Fnv::new();
        for part in parts {
            hash.write(&part.len().to_le_bytes());
            hash.write(part.as_bytes());
        }
        Binding(hash.0)
    }

    /// A cursor that holds these keys, for a client to hand back.
    pub fn encode(self, keys: &[&str]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.0.to_le_bytes());
        bytes.extend_from_slice(keys.join("\0").as_bytes());
        base64url::encode(&bytes)
    }

    /// The keys of a cursor. 400 where it is not one of this list with this
    /// filter and this customer, or has another number of keys.
    pub fn decode<const N: usize>(self, token: &str) -> Result<[String; N], Problem> {
        self.read(token)
            .and_then(|keys| keys.try_into().ok())
            .ok_or_else(refused)
    }

    fn read(self, token: &str) -> Option<Vec<String>> {
        let bytes = (token.len() <= LENGTH_MAX).then(|| base64url::decode(token))??;
        let (version, rest) = bytes.split_first()?;
        let (hash, keys) = rest.split_first_chunk()?;
        if *version != VERSION || u64::from_le_bytes(*hash) != self.0 {
            return None;
        }
        let keys = std::str::from_utf8(keys).ok()?;
        Some(keys.split('\0').map(String::from).collect())
    }
}

/// 400 for a cursor that cannot be used.
///
/// ```
/// assert_eq!(hearth_plugin::cursor::refused().status(), 400);
/// ```
pub fn refused() -> Problem {
    let detail = "it is no cursor of this list with this filter; begin without one".into();
    let place = Place::Parameter("cursor".into());
    Problem::invalid_query(vec![FieldError {
        place,
        code: "invalid_cursor",
        detail,
    }])
}

/// FNV-1a with 64 bits: the same on every host and in every version, which the
/// hash of std's maps does not promise.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::new();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn another_customer_or_filter_refuses_the_cursor() {
        let token = Binding::new(&["acme", "open"]).encode(&["1", "2"]);
        assert!(Binding::new(&["acme", "open"]).decode::<2>(&token).is_ok());
        for parts in [["acm", "eopen"], ["other", "open"], ["acme", "new"]] {
            let refusal = Binding::new(&parts).decode::<2>(&token).unwrap_err();
            assert_eq!(refusal.status(), 400);
        }
        assert!(Binding::new(&["acme", "open"]).decode::<1>(&token).is_err());
    }

    #[test]
    fn damaged_cursors_are_refused() {
        let binding = Binding::new(&["acme"]);
        let token = binding.encode(&["1"]);
        for damaged in [
            "",
            "!",
            "AQ",
            &token[1..],
            &format!("{token}="),
            &"A".repeat(2000),
        ] {
            assert!(binding.decode::<1>(damaged).is_err(), "{damaged}");
        }
    }
}
