//! A message's body as SQS can carry it: a text that is not empty, of the
//! characters of XML. Any other goes as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The body, and whether it is base64.
pub(super) fn written(body: &[u8]) -> (String, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if !text.is_empty() && text.chars().all(is_carried) => (text.to_owned(), false),
        // An empty body is an empty base64, which SQS would not take either.
        _ if body.is_empty() => ("=".to_owned(), true),
        _ => (STANDARD.encode(body), true),
    }
}

/// The other way round; `None` for what was not written so.
pub(super) fn read(text: &str, base64: bool) -> Option<Vec<u8>> {
    match base64 {
        false => Some(text.as_bytes().to_vec()),
        true if text == "=" => Some(Vec::new()),
        true => STANDARD.decode(text).ok(),
    }
}

/// Source: SQS, `SendMessage`, after XML 1.0.
fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_body_comes_back_as_it_was() {
        let bodies: [&[u8]; 7] = [
            b"",
            b"=",
            b"{\"a\":1}\n",
            "é\u{fffd}\u{10ffff}".as_bytes(),
            b"\0",
            b"\xff\xfe",
            "\u{ffff}".as_bytes(),
        ];
        for body in bodies {
            let (text, base64) = written(body);
            assert!(!text.is_empty() && text.chars().all(is_carried), "{body:?}");
            assert_eq!(read(&text, base64).as_deref(), Some(body));
        }
        assert!(!written(b"plain").1);
    }

    #[test]
    fn what_is_no_base64_is_no_body() {
        assert_eq!(read("é", true), None);
    }
}
