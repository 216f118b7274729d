//! The custom headers of an endpoint, which are sent in addition to those of the
//! signature. Their values may be secrets, so they are encrypted and never shown.

use std::collections::BTreeMap;

use hearth_plugin::prelude::*;
use hearth_plugin::problem::{FieldError, Location};
use hearth_plugin::seal::Keys;

/// Headers of an endpoint at most.
const COUNT_MAX: usize = 20;
/// Characters of a name and of a value at most.
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 1024;
const TOO_MANY: &str = "an endpoint may have at most 20 headers";

/// Headers that a delivery sets, or that name the client and proxies of a request.
/// Headers of the connection are refused by the host.
const RESERVED: [&str; 6] = [
    "accept-encoding",
    "cookie",
    "date",
    "forwarded",
    "user-agent",
    "via",
];
/// Beginnings of such.
const RESERVED_PREFIXES: [&str; 4] = ["content-", "webhook-", "proxy-", "sec-"];

/// Names in lower case, and values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(pub BTreeMap<String, String>);

/// What a client says of an endpoint's headers.
pub struct Patch(Change<Vec<(String, Option<String>)>>);

impl Patch {
    /// Whether it says anything of them that a delivery would carry.
    pub fn sets(&self) -> bool {
        matches!(self.0, Change::Set(_))
    }

    /// Reads `headers`: a name with null goes, the others become what is given.
    pub fn read(fields: &mut Fields) -> Self {
        let members = match fields.object("headers").change() {
            Change::Keep => return Patch(Change::Keep),
            Change::Clear => return Patch(Change::Clear),
            Change::Set(members) => members,
        };
        let mut headers = Vec::with_capacity(members.len());
        for (name, value) in members {
            match read(&name, &value) {
                Ok(header) => headers.push(header),
                Err(detail) => {
                    let detail = [&name, ": ", detail].concat();
                    fields.refuse("headers", "not_allowed", detail);
                }
            }
        }
        if headers.len() > COUNT_MAX {
            fields.refuse("headers", "too_long", TOO_MANY);
        }
        Patch(Change::Set(headers))
    }
}

impl Headers {
    /// These with a patch applied; 422 where they are too many then.
    pub fn patched(mut self, patch: &Patch) -> Result<Self, Problem> {
        let headers = match &patch.0 {
            Change::Keep => return Ok(self),
            Change::Clear => return Ok(Headers::default()),
            Change::Set(headers) => headers,
        };
        for (name, value) in headers {
            match value {
                None => drop(self.0.remove(name)),
                Some(value) => drop(self.0.insert(name.clone(), value.clone())),
            }
        }
        if self.0.len() > COUNT_MAX {
            let error = FieldError {
                location: Location::Pointer("/headers".into()),
                code: "too_long",
                detail: TOO_MANY.into(),
            };
            return Err(Problem::invalid_fields(vec![error]));
        }
        Ok(self)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub fn seal(&self, keys: &Keys, customer: &str, endpoint: &str) -> Result<Vec<u8>, Problem> {
        let members = self.0.iter();
        let members: Map<String, Value> = members
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let plain = Value::Object(members).to_string();
        keys.seal(&context(customer, endpoint), plain.as_bytes())
    }

    /// `None` where no key opens them.
    pub fn open(keys: &Keys, customer: &str, endpoint: &str, sealed: &[u8]) -> Option<Self> {
        let opened = keys.open(&context(customer, endpoint), sealed)?;
        let text = std::str::from_utf8(&opened.plain).ok()?;
        let Value::Object(members) = Json::parse(text)?.0 else {
            return None;
        };
        let header = |(name, value): (String, Value)| Some((name, value.as_str()?.to_string()));
        members
            .into_iter()
            .map(header)
            .collect::<Option<_>>()
            .map(Headers)
    }
}

/// What the headers of an endpoint are sealed for.
pub fn context<'c>(customer: &'c str, endpoint: &'c str) -> [&'c str; 3] {
    ["headers", customer, endpoint]
}

/// A name and its value, which is none where it shall go. The rest is judged by the
/// host, with the whole request.
fn read(name: &str, value: &Value) -> Result<(String, Option<String>), &'static str> {
    let lower = name.to_ascii_lowercase();
    if !(1..=NAME_MAX).contains(&name.len()) {
        return Err("the name of a header must have 1 to 64 characters");
    }
    let reserved = |prefix: &&str| lower.starts_with(*prefix);
    if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(reserved) {
        return Err("this header is reserved: the delivery sets it");
    }
    let text = match value {
        Value::Null => return Ok((lower, None)),
        Value::String(text) => text,
        _ => return Err("the value must be text"),
    };
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.len() > VALUE_MAX || !text.bytes().all(visible) || text.trim() != text {
        return Err("the value must be at most 1,024 visible ASCII characters");
    }
    Ok((lower, Some(text.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(before: &Headers, body: &str) -> Result<Headers, Problem> {
        let mut fields = Fields::of(Json::parse(body).unwrap().0)?;
        let patch = Patch::read(&mut fields);
        fields.finish()?;
        before.clone().patched(&patch)
    }

    #[test]
    fn a_patch_adds_replaces_and_removes() {
        let first = patched(
            &Headers::default(),
            r#"{"headers": {"Authorization": "Bearer x", "X-A": "1"}}"#,
        );
        let first = first.unwrap();
        assert_eq!(first.names(), ["authorization", "x-a"]);
        let second = patched(&first, r#"{"headers": {"x-A": null, "X-B": "2"}}"#).unwrap();
        assert_eq!(second.names(), ["authorization", "x-b"]);
        assert_eq!(patched(&second, "{}").unwrap(), second);
        assert_eq!(
            patched(&second, r#"{"headers": null}"#).unwrap(),
            Headers::default()
        );
    }

    #[test]
    fn headers_of_the_delivery_and_broken_ones_are_refused() {
        for (name, value) in [
            ("Webhook-Id", json!("x")),
            ("content-type", json!("x")),
            ("Cookie", json!("x")),
            ("", json!("x")),
            (&*"x".repeat(65), json!("x")),
            ("x-a", json!(1)),
            ("x-a", json!("a\r\nb: c")),
            ("x-a", json!(" a")),
            ("x-a", json!("ä")),
            ("x-a", json!("a".repeat(1025))),
        ] {
            let body = json!({"headers": {name: value}}).to_string();
            let problem = patched(&Headers::default(), &body).unwrap_err();
            assert_eq!(problem.status(), 422, "{body}");
        }
        let many: Map<String, Value> = (0..21).map(|n| (format!("x-{n}"), json!("1"))).collect();
        let body = json!({"headers": many}).to_string();
        assert!(patched(&Headers::default(), &body).is_err());
        let twenty = (0..20).map(|n| (format!("y-{n}"), "1".to_string()));
        let twenty = Headers(twenty.collect());
        assert!(patched(&twenty, r#"{"headers": {"x": "1"}}"#).is_err());
        assert!(patched(&twenty, r#"{"headers": {"x": "1", "y-0": null}}"#).is_ok());
    }

    #[test]
    fn sealed_they_open_for_their_endpoint_alone() {
        let keys = Keys::parse(&"A".repeat(43)).unwrap();
        let headers = Headers(BTreeMap::from([("x-a".to_string(), "hunter2".to_string())]));
        let sealed = headers.seal(&keys, "acme", "ep_1").unwrap();
        assert_eq!(Headers::open(&keys, "acme", "ep_1", &sealed), Some(headers));
        assert_eq!(Headers::open(&keys, "acme", "ep_2", &sealed), None);
    }
}
