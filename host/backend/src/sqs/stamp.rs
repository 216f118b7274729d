//! What the host says of a message that it puts into SQS, in the attribute
//! [`ATTRIBUTE`]: its id, its sender, the sender's customer, and the attributes that
//! the sender gave it.
//!
//! Whoever may write into the queue could write that, too. So it carries a MAC over
//! the queue, the stamp and the body, with a key that derives from the root secret.
//! Without a MAC that holds a message is nobody's, and no consumer sees it. A message
//! that somebody copied in the same queue does hold: consumers know it by its id, as
//! they know one that SQS delivers twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use hearth_base::secret::RootSecret;

/// The one attribute that is used of SQS's ten.
pub(super) const ATTRIBUTE: &str = "hearth";

/// What is stamped on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageStamp {
    pub id: String,
    pub plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Deliveries that counted before this copy.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub sent_at: u64,
    pub base64: bool,
    pub attributes: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The keys, newest first.
pub(super) struct Stamps {
    keys: Vec<(u32, [u8; 32])>,
}

impl Stamps {
    pub fn new(secret: &RootSecret) -> Stamps {
        Stamps {
            keys: secret.derive_all("queue/stamp"),
        }
    }

    /// The attribute's value: the version of the key, the MAC, and the stamp as JSON.
    pub fn write(&self, queue: &str, stamp: &MessageStamp, body: &str) -> String {
        let json = serde_json::to_string(stamp).unwrap_or_default();
        let (version, mac) = match self.keys.first() {
            Some((version, key)) => (*version, mac(key, queue, &json, body)),
            None => (0, None),
        };
        let mac = mac.map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        format!("{version}.{}.{json}", mac.unwrap_or_default())
    }

    /// The stamp, where its MAC holds for this queue and this body.
    pub fn read(&self, queue: &str, value: &str, body: &str) -> Option<MessageStamp> {
        let mut parts = value.splitn(3, '.');
        let (version, sum, json) = (parts.next()?, parts.next()?, parts.next()?);
        let version: u32 = version.parse().ok()?;
        let (_, key) = self.keys.iter().find(|(number, _)| *number == version)?;
        let sum = URL_SAFE_NO_PAD.decode(sum).ok()?;
        mac(key, queue, json, body)?.verify_slice(&sum).ok()?;
        serde_json::from_str(json).ok()
    }
}

/// Each part but the last is preceded by its length, so that no two read the same.
fn mac(key: &[u8; 32], queue: &str, json: &str, body: &str) -> Option<Hmac<Sha256>> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [queue, json] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(body.as_bytes());
    Some(mac)
}

impl MessageStamp {
    pub fn customer(&self) -> Option<Arc<str>> {
        self.customer.as_deref().map(Arc::from)
    }

    pub fn sent_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.sent_at.min(MILLIS_MAX))
    }
}

/// More would be no time that the machine can tell.
const MILLIS_MAX: u64 = 1 << 52;

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> MessageStamp {
        MessageStamp {
            id: "msg_1".into(),
            plugin: "tickets".into(),
            customer: Some("acme".into()),
            group: None,
            attempts: 2,
            sent_at: 1_700_000_000_000,
            base64: false,
            attributes: vec![("a.b".into(), "c.d".into())],
            traceparent: Some("00-1-2-01".into()),
        }
    }

    fn stamps() -> (tempfile::TempDir, RootSecret) {
        let folder = tempfile::tempdir().unwrap();
        let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
        (folder, secret)
    }

    #[test]
    fn stamp_holds_for_its_queue_and_body_and_no_other() {
        let (_folder, secret) = stamps();
        let stamps = Stamps::new(&secret);
        let value = stamps.write("q", &stamp(), "body");
        assert_eq!(stamps.read("q", &value, "body"), Some(stamp()));
        assert_eq!(stamps.read("r", &value, "body"), None);
        assert_eq!(stamps.read("q", &value, "bodies"), None);
        let forged = value.replace("acme", "evil");
        assert_eq!(stamps.read("q", &forged, "body"), None);
        for value in ["", "1", "1..", "1..{}", "x.y.z", "99.AA.{}"] {
            assert_eq!(stamps.read("q", value, "body"), None, "{value}");
        }
    }

    #[test]
    fn stamp_of_an_older_root_secret_holds_and_of_another_fleet_does_not() {
        let (folder, secret) = stamps();
        let value = Stamps::new(&secret).write("q", &stamp(), "body");
        let rotated = RootSecret::rotate(&folder.path().join("secret")).unwrap();
        assert_eq!(
            Stamps::new(&rotated).read("q", &value, "body"),
            Some(stamp())
        );
        let (_other_folder, other) = stamps();
        assert_eq!(Stamps::new(&other).read("q", &value, "body"), None);
    }
}
