//! A request with an idempotency key, and what makes it the same request again.

use std::time::Duration;

use hearth_base::telemetry::TraceScope;
use http::HeaderValue;
use http::request::Parts;
use sha2::{Digest, Sha256};

/// A request as its key sees it.
pub struct KeyedRequest<'a> {
    pub customer: Option<&'a str>,
    /// The scopes of the API key. A key with other scopes does not get an answer that
    /// may depend on these.
    pub scopes: &'a [String],
    pub plugin: &'a str,
    pub parts: &'a Parts,
    pub body: &'a [u8],
    /// What the plugin has to answer.
    pub wall_max: Duration,
    pub trace: &'a TraceScope,
}

impl KeyedRequest<'_> {
    /// Scopes as a set: sorted and without duplicates.
    pub(super) fn scope_set(&self) -> Vec<String> {
        let mut set = self.scopes.to_vec();
        set.sort_unstable();
        set.dedup();
        set
    }

    /// What was asked. Each part is preceded by its length, so that no two requests
    /// read the same.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let uri = &self.parts.uri;
        // The guest sees all of them, should there be several.
        let content_types = self.parts.headers.get_all(http::header::CONTENT_TYPE);
        let parts = [
            self.parts.method.as_str().as_bytes(),
            uri.path().as_bytes(),
            uri.query().unwrap_or_default().as_bytes(),
            self.body,
        ];
        let mut hash = Sha256::new();
        for part in parts
            .into_iter()
            .chain(content_types.iter().map(HeaderValue::as_bytes))
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, target: &str) -> Parts {
        let request = http::Request::builder().method(method).uri(target);
        request.body(()).unwrap().into_parts().0
    }

    fn request<'a>(parts: &'a Parts, body: &'a [u8], trace: &'a TraceScope) -> KeyedRequest<'a> {
        KeyedRequest {
            customer: None,
            scopes: &[],
            plugin: "p",
            parts,
            body,
            wall_max: Duration::ZERO,
            trace,
        }
    }

    fn of(parts: &Parts, body: &[u8]) -> [u8; 32] {
        request(parts, body, &TraceScope::default()).fingerprint()
    }

    #[test]
    fn whatever_differs_makes_another_fingerprint() {
        let one = of(&parts("POST", "/a?b"), b"c");
        assert_eq!(one, of(&parts("POST", "/a?b"), b"c"));
        for (method, target, body) in [
            ("PATCH", "/a?b", "c"),
            ("POST", "/ab", "c"),
            ("POST", "/a?bc", ""),
            ("POST", "/a?b", "cd"),
        ] {
            assert_ne!(one, of(&parts(method, target), body.as_bytes()), "{target}");
        }
    }

    #[test]
    fn content_types_are_part_of_it_each_by_itself() {
        let typed = |types: &[&'static str]| {
            let mut parts = parts("POST", "/");
            for one in types {
                let one = HeaderValue::from_static(one);
                parts.headers.append(http::header::CONTENT_TYPE, one);
            }
            of(&parts, b"")
        };
        let all = [&[][..], &["a"], &["a", "b"], &["b", "a"], &["ab"]].map(typed);
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn scopes_are_a_set() {
        let parts = parts("POST", "/");
        let scopes = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            KeyedRequest {
                scopes: &all,
                ..request(&parts, b"", &TraceScope::default())
            }
            .scope_set()
        };
        assert_eq!(scopes(&["b", "a", "b"]), scopes(&["a", "b"]));
        assert_ne!(scopes(&["a"]), scopes(&["a", "b"]));
    }
}
