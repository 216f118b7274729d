//! Encrypts secrets before they are stored, with keys that only the host and the plugin
//! have (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03).
//!
//! A sealed value belongs to a context, such as a customer and an endpoint: in another
//! context it cannot be decrypted. The host derives the keys for the plugin from the
//! fleet's root secret and provides them as the secret [`KEY_NAME`] of the interface
//! `config`: a plugin that seals needs the grant `config`. After a rotation of the root
//! secret the newest version encrypts, and values of older versions can be decrypted as
//! long as the root secret has them; [`Opened::is_stale`] says which values to encrypt
//! again before that.
//!
//! ```
//! use hearth_plugin::seal::Keys;
//! let keys = Keys::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
//! let sealed = keys.seal(&["acme", "ep_1"], b"hunter2")?;
//! assert_eq!(keys.open(&["acme", "ep_1"], &sealed).unwrap().plain, b"hunter2");
//! assert!(keys.open(&["acme", "ep_2"], &sealed).is_none());
//! # Ok::<(), hearth_plugin::Problem>(())
//! ```

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::problem::Problem;
use crate::{config, keys, random};

/// The name of the host's secret that holds the keys.
pub const KEY_NAME: &str = "hearth.seal_key";

/// The form of what is sealed: this byte, the nonce, the text, the tag.
const VERSION: u8 = 1;
/// Random nonces of this length never meet (section 2.1 of the draft).
const NONCE_BYTES: usize = 24;

/// The keys that seal, newest first. Printing them for debugging shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<keys::Key>);

/// What was sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    pub plain: Vec<u8>,
    /// Whether an older version of the key sealed it: seal it anew.
    pub is_stale: bool,
}

impl Keys {
    /// The keys that the host gave this plugin; 500 `no-seal-key` where it gave
    /// none, which a host does that is older than the plugin.
    pub fn of_host() -> Result<Self, Problem> {
        let missing = || {
            let detail = "the key for secrets is missing or invalid (hearth.seal_key)";
            Problem::new(500, "no-seal-key", "Internal error").detail(detail)
        };
        let text = config::secret(KEY_NAME).ok_or_else(missing)?;
        Keys::parse(&text).ok_or_else(missing)
    }

    /// Reads keys as the host writes them: base64 for URLs, separated by commas,
    /// the newest first, each of 32 bytes. `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        keys::parse(text).map(Keys)
    }

    /// Whether there are older versions: then something may be stale.
    pub fn has_older(&self) -> bool {
        self.0.len() > 1
    }

    /// Seals with the newest key, for a context in which alone it opens.
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> Result<Vec<u8>, Problem> {
        let nonce: [u8; NONCE_BYTES] = random::bytes()?;
        let key = self.0.first().ok_or_else(Problem::internal)?;
        let aad = associated(context);
        let payload = Payload {
            msg: plain,
            aad: &aad,
        };
        let cipher = XChaCha20Poly1305::new(key.into());
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Problem::internal())?;
        Ok([&[VERSION], &nonce[..], &sealed].concat())
    }

    /// Opens what one of the keys sealed for this context; `None` where none did,
    /// or where a bit of it changed.
    pub fn open(&self, context: &[&str], sealed: &[u8]) -> Option<Opened> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        let aad = associated(context);
        let open = |key: &keys::Key| {
            let payload = Payload {
                msg: sealed,
                aad: &aad,
            };
            let cipher = XChaCha20Poly1305::new(key.into());
            cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
        };
        let mut keys = self.0.iter().enumerate();
        let (index, plain) = keys.find_map(|(index, key)| Some((index, open(key)?)))?;
        (*version == VERSION).then_some(Opened {
            plain,
            is_stale: index > 0,
        })
    }

    /// What an older version sealed, sealed by the newest; `None` where there is
    /// nothing to do, or where nothing opens it.
    pub fn renewed(&self, context: &[&str], sealed: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        let stale = self.open(context, sealed).filter(|opened| opened.is_stale);
        stale
            .map(|opened| self.seal(context, &opened.plain))
            .transpose()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keys(hidden)")
    }
}

/// The version and the context, each part with its length in front.
fn associated(context: &[&str]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(versions: &[u8]) -> Keys {
        Keys(versions.iter().map(|version| [*version; 32]).collect())
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_alone() {
        let sealed = keys(&[1]).seal(&["acme", "ep_1"], b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(sealed.len(), 1 + 24 + 6 + 16);
        let opened = keys(&[1]).open(&["acme", "ep_1"], &sealed).unwrap();
        assert_eq!(
            (opened.plain.as_slice(), opened.is_stale),
            (&b"secret"[..], false)
        );
        for context in [["acm", "eep_1"], ["acme", "ep_2"], ["other", "ep_1"]] {
            assert!(keys(&[1]).open(&context, &sealed).is_none());
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same() {
        let seal = || keys(&[1]).seal(&[], b"secret").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let sealed = keys(&[1]).seal(&["a"], b"x").unwrap();
        for index in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[index / 8] ^= 1 << (index % 8);
            assert!(keys(&[1]).open(&["a"], &changed).is_none(), "bit {index}");
        }
        for length in 0..sealed.len() {
            assert!(keys(&[1]).open(&["a"], &sealed[..length]).is_none());
        }
    }

    #[test]
    fn rotation_seals_with_the_newest_and_tells_what_is_stale() {
        let before = keys(&[1]).seal(&["a"], b"x").unwrap();
        let after = keys(&[2, 1]).seal(&["a"], b"x").unwrap();
        assert!(keys(&[2, 1]).open(&["a"], &before).unwrap().is_stale);
        assert!(!keys(&[2, 1]).open(&["a"], &after).unwrap().is_stale);
        assert!(keys(&[2]).open(&["a"], &before).is_none());
        let renewed = keys(&[2, 1]).renewed(&["a"], &before).unwrap().unwrap();
        assert_eq!(keys(&[2]).open(&["a"], &renewed).unwrap().plain, b"x");
        assert_eq!(keys(&[2, 1]).renewed(&["a"], &renewed).unwrap(), None);
    }
}
