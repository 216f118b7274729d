//! JSON: as a column or parameter of a statement, and as the body of a request.
//! Numbers keep every digit wherever they pass through.

mod read;

use std::collections::BTreeMap;

pub use serde_json::value::RawValue;
pub use serde_json::{Map, Value, json};

use crate::problem::Problem;

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
/// `text/plain`, what `curl -d` sends by itself, and anything that ends in `+json`
/// are read as JSON); 400 where it
/// is empty or not valid JSON, with the line and column. So it is where an object has a
/// name twice (RFC 7493, section 2.3), is nested more than 127 levels deep, or has a
/// number past what a double reaches.
///
/// ```
/// use hearth_plugin::json::parse_body;
/// assert!(parse_body(Some("application/json"), b"{}").is_ok());
/// assert_eq!(parse_body(Some("image/png"), b"{}").unwrap_err().status(), 415);
/// assert_eq!(parse_body(None, b"{").unwrap_err().status(), 400);
/// assert_eq!(parse_body(None, br#"{"a": 1, "a": 2}"#).unwrap_err().status(), 400);
/// ```
pub fn parse_body(content_type: Option<&str>, body: &[u8]) -> Result<Value, Problem> {
    if !content_type.is_none_or(is_json) {
        let detail = "send the body as application/json";
        return Err(Problem::new(415, "unsupported-media-type", "Not JSON").detail(detail));
    }
    let body = without_mark(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(invalid(
            "the body is empty; a JSON object is expected".into(),
        ));
    }
    read::read(body).map_err(|fault| fault.problem(body))
}

/// A member of the JSON object that a text is, byte for byte as it is written there:
/// what shall be passed on as somebody sent it. `None` where there is none.
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

/// A byte order mark is passed over (RFC 8259, section 8.1).
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn invalid(detail: String) -> Problem {
    Problem::new(400, "invalid-json", "Invalid JSON").detail(detail)
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    matches!(
        media_type.as_str(),
        "" | "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded"
    ) || media_type.ends_with("+json")
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
