//! Percent-encoding, as URLs use it (RFC 3986, section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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
    if !text.split('%').skip(1).all(begins_with_digits) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// The same for a part of a query string, where `+` means a space.
///
/// ```
/// assert_eq!(hearth_plugin::percent::decode_query("a+b%2B").as_deref(), Some("a b+"));
/// ```
pub fn decode_query(text: &str) -> Option<String> {
    decode(&text.replace('+', " "))
}

/// Whether what follows a percent sign makes an escape of it.
fn begins_with_digits(rest: &str) -> bool {
    let digits = rest.as_bytes().get(..2);
    digits.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
}

/// Encodes everything but the unreserved characters, for a path segment or a
/// value of a query.
///
/// ```
/// assert_eq!(hearth_plugin::percent::encode("a b/ü"), "a%20b%2F%C3%BC");
/// ```
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
