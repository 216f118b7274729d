//! Base64 for URLs without padding (RFC 4648, section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes bytes.
///
/// ```
/// assert_eq!(hearth_plugin::base64url::encode(b"\xff\xfe"), "__4");
/// ```
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a text; `None` where it is not exactly what `encode` writes.
///
/// ```
/// use hearth_plugin::base64url::decode;
/// assert_eq!(decode("__4"), Some(vec![0xff, 0xfe]));
/// assert_eq!(decode("__5"), None);
/// assert_eq!(decode("a="), None);
/// ```
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
