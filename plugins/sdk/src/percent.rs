//! Percent-encoding, as URLs use it (RFC 3986, section 2.1).

/// Undoes percent-encoding. `None` where an escape is broken, where the result
/// is not UTF-8, and where it holds a NUL character, which Postgres cannot store.
///
/// ```
/// use hearth_plugin::percent::decode;
/// assert_eq!(decode("a%2Fb").as_deref(), Some("a/b"));
/// assert_eq!(decode("%zz"), None);
/// assert_eq!(decode("a%00"), None);
/// ```
pub fn decode(text: &str) -> Option<String> {
    decode_bytes(text.bytes())
}

/// The same for a part of a query string, where `+` means a space.
///
/// ```
/// assert_eq!(hearth_plugin::percent::decode_query("a+b%2B").as_deref(), Some("a b+"));
/// ```
pub fn decode_query(text: &str) -> Option<String> {
    decode_bytes(
        text.bytes()
            .map(|byte| if byte == b'+' { b' ' } else { byte }),
    )
}

fn decode_bytes(mut bytes: impl Iterator<Item = u8>) -> Option<String> {
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            other => other,
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes everything but the unreserved characters, for a path segment or a
/// value of a query.
///
/// ```
/// assert_eq!(hearth_plugin::percent::encode("a b/ü"), "a%20b%2F%C3%BC");
/// ```
pub fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
            continue;
        }
        encoded.push('%');
        for nibble in [byte >> 4, byte & 15] {
            encoded.extend(
                DIGITS
                    .get(usize::from(nibble))
                    .map(|digit| char::from(*digit)),
            );
        }
    }
    encoded
}
