//! Takes secrets out of text on its way to a log.
//!
//! Two kinds go: the ones that the host knows by value, and whatever has the
//! form of a secret. The scan is linear in the text, since guests write it.
//!
//! ```
//! use hearth_base::telemetry::Redactor;
//!
//! let redactor = Redactor::new(["correct horse"]);
//! let text = "correct horse at postgres://app:pw@db/app";
//! assert_eq!(redactor.redact(text), "[redacted] at postgres://app:[redacted]@db/app");
//! ```

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are no secrets, and taking them out would garble everything.
const KNOWN_BYTES_MIN: usize = 6;
/// Bytes behind `://` in which a password is looked for. A limit, so that a text
/// of nothing but `://` costs no more than another.
const URL_BYTES_MAX: usize = 1_024;

/// Prefixes that a secret starts with, and how many more characters make one.
const PREFIXES: [(&str, usize); 6] = [
    ("hk_", 16),
    ("whsec_", 8),
    ("whsk_", 8),
    ("AKIA", 16),
    ("ASIA", 16),
    ("eyJ", 32),
];
/// Names in front of a secret: `password=...`, `"password": "..."`.
const NAMES: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "aws_secret_access_key",
    "aws_session_token",
    "secret_access_key",
    "api_key",
    "x-api-key",
    "client_secret",
];

/// Cloning shares the known secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret within another leaves no rest.
    known: Arc<[String]>,
}

impl Redactor {
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self::default().with(secrets)
    }

    /// A redactor that knows these secrets too.
    pub fn with<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) -> Self {
        let mut known = self.known.to_vec();
        for secret in secrets {
            let secret = secret.as_ref();
            if secret.len() >= KNOWN_BYTES_MIN {
                known.push(secret.to_owned());
                // In a line of JSON a quotation mark or line end looks different.
                known.extend(json_form(secret));
            }
        }
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        Self {
            known: known.into(),
        }
    }

    /// Bytes of the longest secret that is known by value.
    pub fn longest_bytes(&self) -> usize {
        self.known.first().map_or(0, String::len)
    }

    /// The text without secrets; the text itself where there are none.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.known.iter() {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
            }
        }
        let ranges = look_alikes(&text);
        if ranges.is_empty() {
            return text;
        }
        Cow::Owned(without(&text, &ranges))
    }
}

fn json_form(secret: &str) -> Option<String> {
    let quoted = serde_json::to_string(secret).ok()?;
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    (inner != secret).then(|| inner.to_owned())
}

fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        kept.push_str(text.get(end..range.start).unwrap_or(""));
        kept.push_str(REDACTED);
        end = range.end;
    }
    kept.push_str(text.get(end..).unwrap_or(""));
    kept
}

/// Where something stands that looks like a secret, in order.
fn look_alikes(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    let mut before = ' ';
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(found) = secret_at(rest, before).filter(|found| !found.is_empty()) {
            at += found.end;
            before = ' ';
            ranges.push(at - found.len()..at);
        } else if let Some(c) = rest.chars().next() {
            before = c;
            at += c.len_utf8();
        }
    }
    ranges
}

/// The secret that begins, or whose name begins, at the start of `rest`.
fn secret_at(rest: &str, before: char) -> Option<Range<usize>> {
    if rest.starts_with("://") {
        return url_password(rest);
    }
    // Most characters begin no name and no prefix, or stand within a word.
    let first = rest.bytes().next()?;
    if before.is_ascii_alphanumeric() || !b"hweApbsxcPBSXCaW".contains(&first) {
        return None;
    }
    prefixed(rest)
        .or_else(|| bearer(rest))
        .or_else(|| named(rest))
}

fn prefixed(rest: &str) -> Option<Range<usize>> {
    PREFIXES.iter().find_map(|(prefix, min)| {
        let token = token_bytes(rest.strip_prefix(prefix)?);
        (token >= *min).then(|| 0..prefix.len() + token)
    })
}

fn bearer(rest: &str) -> Option<Range<usize>> {
    const SCHEME: &str = "bearer ";
    let scheme = rest.get(..SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let token = token_bytes(rest.get(SCHEME.len()..)?);
    (token >= 8).then(|| SCHEME.len()..SCHEME.len() + token)
}

fn named(rest: &str) -> Option<Range<usize>> {
    let name = NAMES.iter().find(|name| {
        let start = rest.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    })?;
    let after = rest.get(name.len()..)?;
    // A quotation mark may close the name, and one may open the value.
    let value = after.trim_start_matches(['"', '\'', '\\']);
    let value = value.trim_start_matches(' ').strip_prefix([':', '='])?;
    let value = value
        .trim_start_matches(' ')
        .trim_start_matches(['\\', '"', '\'']);
    let start = rest.len() - value.len();
    let ends = |c: char| c.is_whitespace() || "\"'\\,;&}".contains(c);
    let bytes = value.find(ends).unwrap_or(value.len());
    Some(start..start + bytes)
}

/// The password of `://user:password@host`.
fn url_password(rest: &str) -> Option<Range<usize>> {
    let mut authority = rest.get("://".len()..)?;
    let ends = |c: char| c.is_whitespace() || "\"'<>".contains(c);
    let far = authority
        .bytes()
        .take(URL_BYTES_MAX)
        .position(|b| ends(char::from(b)));
    let mut end = far.unwrap_or(authority.len().min(URL_BYTES_MAX));
    while !authority.is_char_boundary(end) {
        end -= 1;
    }
    authority = authority.get(..end)?;
    let user_end = authority.find(':')?;
    let host = authority.rfind('@').filter(|host| *host > user_end)?;
    let start = "://".len();
    Some(start + user_end + 1..start + host)
}

fn token_bytes(text: &str) -> usize {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"._~+/=-".contains(b);
    text.bytes().take_while(token).count()
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    fn redact(text: &str) -> String {
        Redactor::default().redact(text).into_owned()
    }

    #[test]
    fn look_alikes_are_taken_out() {
        for (text, expected) in [
            ("key hk_0123456789abcdefgh.", "key [redacted]"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8I end", "[redacted] end"),
            ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
            (
                "Authorization: Bearer abcdef.123456",
                "Authorization: Bearer [redacted]",
            ),
            (
                "postgres://app:p:w@db:5432/x",
                "postgres://app:[redacted]@db:5432/x",
            ),
            (
                "host=db password=hunter2 user=x",
                "host=db password=[redacted] user=x",
            ),
            (
                r#"{"password": "hunter2", "a":1}"#,
                r#"{"password": "[redacted]", "a":1}"#,
            ),
            (
                r#"{\"api_key\":\"hunter2\"}"#,
                r#"{\"api_key\":\"[redacted]\"}"#,
            ),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "GET http://127.0.0.1:8080/support/tickets?q=a",
            "the password was wrong",
            "milk_0123456789abcdefgh",
            "grüße: 12:30 @ noon",
            "bearer of bad news",
            "",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_secret_within_another_leaves_no_rest() {
        let redactor = Redactor::new(["secret-one", "secret-one-longer"]);
        assert_eq!(redactor.redact("secret-one-longer"), "[redacted]");
    }

    #[test]
    fn a_secret_is_found_in_its_json_form() {
        let redactor = Redactor::new(["quo\"ted\nsecret"]);
        assert_eq!(
            redactor.redact(r#"{"m":"quo\"ted\nsecret"}"#),
            r#"{"m":"[redacted]"}"#
        );
    }
}
