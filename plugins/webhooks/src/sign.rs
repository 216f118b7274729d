//! Signatures by Standard Webhooks (version 1.0.0 of the specification,
//! standardwebhooks.com): `v1` with a secret that both sides have (HMAC-SHA256),
//! `v1a` with a key pair (ed25519), of which the receiver has the public half.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hearth_plugin::{Problem, random};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a symmetric secret: from 192 to 512 bits, as the specification has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of an ed25519 key, private or public.
const ED25519_BYTES: usize = 32;

/// How an endpoint's deliveries are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    V1,
    V1a,
}

impl Scheme {
    /// The names as clients give them.
    pub const NAMES: [&str; 2] = ["v1", "v1a"];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "v1" => Some(Scheme::V1),
            "v1a" => Some(Scheme::V1a),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Scheme::V1 => "v1",
            Scheme::V1a => "v1a",
        }
    }
}

/// What signs.
pub enum Key {
    Secret(Vec<u8>),
    Pair(Box<SigningKey>),
}

impl Key {
    /// A new one, which nobody can guess.
    pub fn generate(scheme: Scheme) -> Result<Self, Problem> {
        let bytes: [u8; ED25519_BYTES] = random::bytes()?;
        Key::from_bytes(scheme, &bytes).ok_or_else(Problem::internal)
    }

    /// The key that a client brings along: `whsec_` or `whsk_` and base64.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, encoded) = match text.strip_prefix("whsec_") {
            Some(encoded) => (Scheme::V1, encoded),
            None => (Scheme::V1a, text.strip_prefix("whsk_")?),
        };
        Key::from_bytes(scheme, &STANDARD.decode(encoded).ok()?)
    }

    /// The key of these bytes. A private key may have its public half behind it,
    /// which then must be the right one.
    pub fn from_bytes(scheme: Scheme, bytes: &[u8]) -> Option<Self> {
        if scheme == Scheme::V1 {
            return SECRET_BYTES
                .contains(&bytes.len())
                .then(|| Key::Secret(bytes.to_vec()));
        }
        let (private, public) = bytes.split_first_chunk::<ED25519_BYTES>()?;
        let key = SigningKey::from_bytes(private);
        let matches = public.is_empty() || public == key.verifying_key().as_bytes();
        matches.then(|| Key::Pair(Box::new(key)))
    }

    /// What is stored of it, sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Key::Secret(bytes) => bytes.clone(),
            Key::Pair(key) => key.to_bytes().to_vec(),
        }
    }

    pub fn scheme(&self) -> Scheme {
        match self {
            Key::Secret(_) => Scheme::V1,
            Key::Pair(_) => Scheme::V1a,
        }
    }

    /// What the receiver verifies with: the secret, or the public key.
    pub fn verifier(&self) -> String {
        match self {
            Key::Secret(bytes) => format!("whsec_{}", STANDARD.encode(bytes)),
            Key::Pair(key) => format!("whpk_{}", STANDARD.encode(key.verifying_key())),
        }
    }

    fn sign(&self, content: &[u8]) -> Option<String> {
        let signature = match self {
            Key::Secret(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
                mac.update(content);
                STANDARD.encode(mac.finalize().into_bytes())
            }
            Key::Pair(key) => STANDARD.encode(key.sign(content).to_bytes()),
        };
        Some([self.scheme().name(), ",", &signature].concat())
    }
}

/// The value of `webhook-signature`: one signature of each key, so that a receiver
/// with either accepts it. The time is in seconds since 1970.
pub fn signatures(keys: &[Key], id: &str, timestamp: i64, body: &str) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let signed = keys.iter().filter_map(|key| key.sign(content.as_bytes()));
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Verifier};

    use super::*;

    #[test]
    fn v1_is_the_vector_of_the_specification() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = r#"{"test": 2432232314}"#;
        let signed = signatures(&[key], id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn v1a_verifies_with_the_public_key_alone() {
        let key = Key::generate(Scheme::V1a).unwrap();
        let public = key.verifier();
        let public = STANDARD
            .decode(public.strip_prefix("whpk_").unwrap())
            .unwrap();
        let public: [u8; 32] = public.try_into().unwrap();
        let signed = signatures(&[key], "msg_1", 1, "{}");
        let signature = STANDARD
            .decode(signed.strip_prefix("v1a,").unwrap())
            .unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        let verifier = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
        verifier.verify(b"msg_1.1.{}", &signature).unwrap();
        assert!(verifier.verify(b"msg_1.2.{}", &signature).is_err());
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_private_key_has_the_public_key_of_the_rfc() {
        let private = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11,
            0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed,
            0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let key = Key::from_bytes(Scheme::V1a, &private).unwrap();
        assert_eq!(
            key.verifier(),
            "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
        );
        let Key::Pair(pair) = &key else {
            panic!("it is a pair")
        };
        let both = [private, pair.verifying_key().to_bytes()].concat();
        assert!(Key::from_bytes(Scheme::V1a, &both).is_some());
        let mut wrong = both;
        wrong[40] ^= 1;
        assert!(Key::from_bytes(Scheme::V1a, &wrong).is_none());
    }

    #[test]
    fn while_a_rotation_lasts_both_keys_sign() {
        let keys =
            [Scheme::V1, Scheme::V1a, Scheme::V1].map(|scheme| Key::generate(scheme).unwrap());
        let signed = signatures(&keys, "evt_1", 1, "{}");
        let schemes: Vec<_> = signed
            .split(' ')
            .map(|one| one.split_once(',').unwrap().0)
            .collect();
        assert_eq!(schemes, ["v1", "v1a", "v1"]);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let short = STANDARD.encode([1; 23]);
        let long = STANDARD.encode([1; 65]);
        for wrong in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_!!!!",
            &format!("whsec_{short}"),
            &format!("whsec_{long}"),
            &format!("whsk_{short}"),
            &format!("whpk_{}", STANDARD.encode([1; 32])),
        ] {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
    }
}
