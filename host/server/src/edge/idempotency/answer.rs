//! An answer as it is kept: encrypted, for it may hold a secret that is shown
//! once, such as the key of a new webhook endpoint.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use uuid::Uuid;

use hearth_base::secret::RootSecret;
use hearth_runtime::plugin::instance::Response;

const PURPOSE: &str = "idempotency-answer";
const NONCE_BYTES: usize = 12;

/// The keys of all versions of the root secret, newest first.
pub(super) struct Seal(Vec<ChaCha20Poly1305>);

impl Seal {
    pub(super) fn new(secret: &RootSecret) -> Seal {
        let keys = secret.derive_all(PURPOSE);
        let ciphers = keys
            .iter()
            .map(|(_, key)| ChaCha20Poly1305::new(key.into()));
        Seal(ciphers.collect())
    }

    /// `None` where it is larger than what is kept. The claim is sealed with it,
    /// so that no answer can be moved to another key.
    pub(super) fn close(
        &self,
        claim: Uuid,
        answer: &Response,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let plain = write(answer)?;
        if plain.len() > bytes_max {
            return None;
        }
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: &plain,
            aad: claim.as_bytes(),
        };
        let sealed = self
            .0
            .first()?
            .encrypt(Nonce::from_slice(&nonce), payload)
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    pub(super) fn open(&self, claim: Uuid, sealed: &[u8]) -> Option<Response> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let open = |cipher: &ChaCha20Poly1305| {
            let payload = Payload {
                msg: sealed,
                aad: claim.as_bytes(),
            };
            cipher.decrypt(Nonce::from_slice(nonce), payload).ok()
        };
        read(&self.0.iter().find_map(open)?)
    }
}

/// Status, number of headers, each part of them with its length in front, body.
fn write(answer: &Response) -> Option<Vec<u8>> {
    let mut bytes = answer.status.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(answer.headers.len()).ok()?.to_be_bytes());
    for (name, value) in &answer.headers {
        for part in [name.as_bytes(), value] {
            bytes.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
            bytes.extend(part);
        }
    }
    bytes.extend(&answer.body);
    Some(bytes)
}

fn read(bytes: &[u8]) -> Option<Response> {
    let (status, rest) = bytes.split_first_chunk()?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut headers = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (name, after) = part(rest)?;
        let (value, after) = part(after)?;
        headers.push((String::from_utf8(name.to_vec()).ok()?, value.to_vec()));
        rest = after;
    }
    Some(Response {
        status: u16::from_be_bytes(*status),
        headers,
        body: rest.to_vec(),
    })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let dir = tempfile::tempdir().unwrap();
        Seal::new(&RootSecret::open(&dir.path().join("secret")).unwrap())
    }

    fn answer() -> Response {
        Response {
            status: 201,
            headers: vec![
                ("location".into(), b"/a".to_vec()),
                ("x".into(), vec![0xff]),
            ],
            body: b"body".to_vec(),
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let (seal, claim) = (seal(), Uuid::new_v4());
        let sealed = seal.close(claim, &answer(), 1_000).unwrap();
        let opened = seal.open(claim, &sealed).unwrap();
        assert_eq!(
            (opened.status, &opened.headers, &opened.body),
            (201, &answer().headers, &answer().body)
        );
        assert!(!sealed.windows(4).any(|part| part == b"body"));
    }

    #[test]
    fn an_answer_opens_for_its_own_claim_alone_and_only_whole() {
        let (seal, claim) = (seal(), Uuid::new_v4());
        let mut sealed = seal.close(claim, &answer(), 1_000).unwrap();
        assert!(seal.open(Uuid::new_v4(), &sealed).is_none());
        sealed.pop();
        assert!(seal.open(claim, &sealed).is_none());
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        assert_eq!(seal().close(Uuid::new_v4(), &answer(), 10), None);
    }
}
