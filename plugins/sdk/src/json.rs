//! JSON: as a column or parameter of a statement, and as the body of a request.
//! Numbers keep every digit wherever they pass through.

mod merge;
mod read;
mod refusal;

use std::collections::BTreeMap;

pub use merge::merge;
pub use serde_json::value::RawValue;
pub use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// What some editors put in front of a text; it may be overlooked (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A JSON value (`json` or `jsonb` in Postgres).
///
/// ```
/// use hearth_plugin::Json;
/// let json = Json::parse(r#"{"a": 1}"#).unwrap();
/// assert_eq!(json.to_string(), r#"{"a":1}"#);
/// let long = Json::parse("[18446744073709551616, 1.50]").unwrap();
/// assert_eq!(long.to_string(), "[18446744073709551616,1.50]");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json(pub Value);

impl Json {
    /// Reads a JSON text; `None` where it is not valid, or one that [`parse_body`]
    /// refuses.
    pub fn parse(text: &str) -> Option<Self> {
        read::read(text.as_bytes()).ok().map(Json)
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

impl serde::Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// In a message or an item, as it was written there.
impl<'de> serde::Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Box<RawValue> as serde::Deserialize>::deserialize(deserializer)?;
        let refused = || serde::de::Error::custom("this is JSON that is refused");
        Json::parse(text.get()).ok_or_else(refused)
    }
}

/// Reads a body as JSON. 415 where the client names another content type (none,
/// `text/plain`, what `curl -d` sends by itself, and anything that ends in `+json` but a
/// JSON Patch are read as JSON), or sends a form; 400 where it is empty, not valid JSON,
/// or beyond what is read (RFC 8259, section 9), with the line and column: where an object
/// has a name twice (RFC 7493, section 2.3), it is nested more than 127 levels deep, or a
/// number is past what a double reaches.
///
/// ```
/// use hearth_plugin::json::parse_body;
/// assert!(parse_body(Some("application/json"), b"{}").is_ok());
/// assert_eq!(parse_body(Some("image/png"), b"{}").unwrap_err().status(), 415);
/// assert_eq!(parse_body(None, b"{").unwrap_err().status(), 400);
/// assert_eq!(parse_body(None, br#"{"a": 1, "a": 2}"#).unwrap_err().status(), 400);
/// ```
pub fn parse_body(content_type: Option<&str>, body: &[u8]) -> Result<Value, Problem> {
    let media_type = media_type(content_type);
    if !is_json(&media_type) {
        return Err(refusal::other_type(&media_type));
    }
    let body = without_mark(body);
    if is_blank(body) {
        return Err(refusal::empty());
    }
    read::read(body).map_err(|fault| {
        let begins = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
        match refusal::is_form(&media_type) && !begins {
            true => refusal::other_type(&media_type),
            false => refusal::invalid(&fault, body),
        }
    })
}

/// A member of the JSON object in a text, byte for byte as it is written there: to pass
/// it on unchanged. `None` if there is none.
///
/// ```
/// use hearth_plugin::json::member;
/// let body = br#"{"payload": {"b": 1.0, "a" : 2}}"#;
/// assert_eq!(member(body, "payload").unwrap().get(), r#"{"b": 1.0, "a" : 2}"#);
/// ```
pub fn member<'t>(text: &'t [u8], name: &str) -> Option<&'t RawValue> {
    let mut members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(without_mark(text)).ok()?;
    members.remove(name)
}

/// Whether an object of the JSON text has a name twice, for which [`Json::parse`] does not
/// read it.
///
/// ```
/// use hearth_plugin::json::has_name_twice;
/// assert!(has_name_twice(r#"[{"a": 1, "a": 1}]"#));
/// assert!(!has_name_twice(r#"[{"a": 1"#));
/// ```
pub fn has_name_twice(text: &str) -> bool {
    read::read(text.as_bytes()).is_err_and(|fault| fault.reason == read::Reason::NameTwice)
}

/// Whether there is nothing in a body.
pub(crate) fn is_blank(body: &[u8]) -> bool {
    without_mark(body).iter().all(u8::is_ascii_whitespace)
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Without its parameters; nothing where the client names none.
fn media_type(content_type: Option<&str>) -> String {
    let media_type = content_type.unwrap_or_default().split(';').next();
    media_type.unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    match media_type {
        "" | "application/json" | "text/json" | "text/plain" => true,
        // A list of operations, and no merge patch.
        "application/json-patch+json" => false,
        other => refusal::is_form(other) || other.ends_with("+json"),
    }
}

/// Whether a NUL character is anywhere in the value, in a name or in a text.
/// Postgres can store it neither in `text` nor in `jsonb`.
///
/// ```
/// use hearth_plugin::{Json, json::has_nul};
/// assert!(has_nul(&Json::parse(r#"{"a": ["\u0000"]}"#).unwrap().0));
/// ```
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| name.contains('\0') || has_nul(member)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content_type: &str, body: &str) -> (u16, String) {
        let problem = parse_body(Some(content_type), body.as_bytes()).unwrap_err();
        (problem.status(), format!("{problem:?}"))
    }

    #[test]
    fn json_is_read_under_whatever_type_clients_send_it() {
        for content_type in [
            "application/json; charset=utf-8",
            "text/plain",
            "application/merge-patch+json",
            "application/x-www-form-urlencoded",
        ] {
            for body in ["{}", " [1]", "\u{feff}{}"] {
                let read = parse_body(Some(content_type), body.as_bytes());
                assert!(read.is_ok(), "{content_type} {body}");
            }
        }
    }

    #[test]
    fn form_is_415_and_told_what_is_wanted_and_broken_json_of_a_form_is_400() {
        let form = "application/x-www-form-urlencoded";
        for body in ["subject=s&description=d", "a", "%7B%7D"] {
            let (status, told) = refused(form, body);
            assert_eq!(status, 415, "{body}");
            assert!(told.contains("a form; send JSON, with Content-Type: application/json"));
        }
        assert_eq!(refused(form, "{\"a\": }").0, 400);
        assert_eq!(refused(form, "").0, 400);
        let (status, told) = refused("application/json-patch+json", "[]");
        assert!(
            status == 415 && told.contains("application/json-patch+json"),
            "{told}"
        );
    }

    #[test]
    fn valid_json_beyond_a_limit_is_not_called_invalid() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse_body(None, nested(127).as_bytes()).is_ok());
        let (status, told) = refused("application/json", &nested(128));
        assert!(
            status == 400 && told.contains("at most 127 levels are allowed"),
            "{told}"
        );
        let (status, told) = refused("application/json", "{\"n\": 1e400}");
        assert!(status == 400 && told.contains("out of range"), "{told}");
        for told in [told, refused("application/json", &nested(128)).1] {
            assert!(!told.contains("not valid"), "{told}");
        }
    }
}
