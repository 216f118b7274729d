//! What a key looks like, and its HMACs.
//!
//! `hk_`, 43 random letters and digits (256 bits), and 8 that are an HMAC of
//! the others. By the last, a made-up key is refused without asking Postgres:
//! who floods a host with guesses costs it two hashes each.

use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use rand::distr::Alphanumeric;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use hearth_base::secret::RootSecret;

const MARK: &str = "hk_";
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 8;
/// What `list` shows of a key: `hk_` and 8 of its 43 random characters.
const PREFIX_BYTES: usize = MARK.len() + 8;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The HMAC under which a key is stored.
pub(super) type Digest = [u8; 32];

/// A text that has the form of a key.
pub(super) struct Presented<'a> {
    whole: &'a str,
    /// All but the check.
    body: &'a str,
    check: &'a str,
}

impl<'a> Presented<'a> {
    pub(super) fn read(whole: &'a str) -> Option<Presented<'a>> {
        let rest = whole.strip_prefix(MARK)?;
        let well_formed = rest.len() == RANDOM_CHARS + CHECK_CHARS
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !well_formed {
            return None;
        }
        let (body, check) = whole.split_at_checked(MARK.len() + RANDOM_CHARS)?;
        Some(Presented { whole, body, check })
    }
}

/// The keyed hashes of every version of the root secret, newest first.
pub(super) struct Digests {
    newest: Version,
    older: Vec<Version>,
}

struct Version {
    number: u32,
    store: Hmac<Sha256>,
    check: Hmac<Sha256>,
}

impl Digests {
    pub(super) fn derive(secret: &RootSecret) -> Digests {
        let newest = Version::new(
            secret.newest_version(),
            secret.derive("api-key"),
            secret.derive("api-key-check"),
        );
        let stores = secret.derive_all("api-key").into_iter();
        let checks = secret.derive_all("api-key-check").into_iter();
        let older = stores
            .zip(checks)
            .skip(1)
            .map(|((number, store), (_, check))| Version::new(number, store, check))
            .collect();
        Digests { newest, older }
    }

    pub(super) fn newest_version(&self) -> i32 {
        i32::try_from(self.newest.number).unwrap_or(i32::MAX)
    }

    pub(super) fn newest(&self, key: &Presented<'_>) -> Digest {
        self.newest.digest(key)
    }

    /// What the key may be stored under.
    pub(super) fn all(&self, key: &Presented<'_>) -> Vec<Vec<u8>> {
        self.versions()
            .map(|version| version.digest(key).to_vec())
            .collect()
    }

    /// Whether a host of this fleet made the key, now or under an older secret.
    pub(super) fn is_ours(&self, key: &Presented<'_>) -> bool {
        self.versions().any(|version| {
            version
                .check_of(key.body)
                .as_bytes()
                .ct_eq(key.check.as_bytes())
                .into()
        })
    }

    /// A fresh key.
    pub(super) fn make(&self) -> Zeroizing<String> {
        let random = rand::rng().sample_iter(Alphanumeric).take(RANDOM_CHARS);
        let mut text = Zeroizing::new(String::with_capacity(
            MARK.len() + RANDOM_CHARS + CHECK_CHARS,
        ));
        text.push_str(MARK);
        text.extend(random.map(char::from));
        let check = self.newest.check_of(&text);
        text.push_str(&check);
        text
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl Version {
    fn new(number: u32, store: [u8; 32], check: [u8; 32]) -> Version {
        Version {
            number,
            store: keyed(&store),
            check: keyed(&check),
        }
    }

    fn digest(&self, key: &Presented<'_>) -> Digest {
        self.store
            .clone()
            .chain_update(key.whole)
            .finalize()
            .into_bytes()
            .into()
    }

    /// 62 does not divide 256, which makes some characters likelier. That costs
    /// the check a fraction of its 47 bits, and the key nothing.
    fn check_of(&self, body: &str) -> String {
        let bytes = self
            .check
            .clone()
            .chain_update(body)
            .finalize()
            .into_bytes();
        let letters = bytes.iter().take(CHECK_CHARS);
        letters
            .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
            .map(|letter| char::from(*letter))
            .collect()
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"))
}

/// The visible beginning of a key.
pub(super) fn prefix(key: &str) -> &str {
    key.get(..PREFIX_BYTES).unwrap_or(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests() -> (tempfile::TempDir, std::path::PathBuf, Digests) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let digests = Digests::derive(&RootSecret::open(&file).unwrap());
        (folder, file, digests)
    }

    #[test]
    fn made_key_is_ours_and_a_changed_one_is_not() {
        let (_folder, _, digests) = digests();
        let key = digests.make();
        assert!(digests.is_ours(&Presented::read(&key).unwrap()));
        for at in MARK.len()..key.len() {
            let other = if key.as_bytes()[at] == b'x' { "y" } else { "x" };
            let mut changed = key.to_string();
            changed.replace_range(at..=at, other);
            assert!(
                !digests.is_ours(&Presented::read(&changed).unwrap()),
                "{at}"
            );
        }
    }

    #[test]
    fn key_outlives_a_rotation_of_the_secret_and_not_its_deletion() {
        let (_folder, file, old) = digests();
        let key = old.make();
        let both = Digests::derive(&RootSecret::rotate(&file).unwrap());
        let presented = Presented::read(&key).unwrap();
        assert!(both.is_ours(&presented));
        assert!(
            both.all(&presented)
                .contains(&old.newest(&presented).to_vec())
        );
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.lines().next().unwrap()).unwrap();
        assert!(!Digests::derive(&RootSecret::open(&file).unwrap()).is_ours(&presented));
    }

    #[test]
    fn other_texts_have_not_the_form_of_a_key() {
        let long = format!("hk_{}", "a".repeat(1_000_000));
        let letters = format!("hk_{}", "é".repeat(25)) + "a";
        for text in ["", "hk_", "secret", &long, &letters, &"a".repeat(54)] {
            assert!(Presented::read(text).is_none());
        }
    }
}
