//! CORS: requests of browsers from other origins (the Fetch standard), section
//! `[cors]`. Disabled until an origin is configured.
//!
//! The host answers a preflight request itself, without a key, as browsers send none. A
//! request from an origin that is not configured gets the same answers without the CORS
//! headers, and the browser hides them from the page.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{Mistakes, Section};

/// Section `[cors]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Origins as a browser sends them: scheme, host, and the port where it is not
    /// the scheme's own. `*` is every origin, and then there are no credentials.
    pub origins: Vec<String>,
    /// Whether a page may send the browser's own credentials.
    pub credentials: bool,
    pub methods: Vec<String>,
    /// Headers that a page may send.
    pub headers: Vec<String>,
    /// Headers that a page may read.
    pub exposed_headers: Vec<String>,
    /// Seconds for which a browser remembers a preflight.
    pub max_age_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            origins: Vec::new(),
            credentials: false,
            methods: own(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            headers: own(&[
                "authorization",
                "content-type",
                "idempotency-key",
                "if-match",
                "if-none-match",
                "last-event-id",
                "x-api-key",
                "x-request-id",
            ]),
            exposed_headers: own(&[
                "etag",
                "hearth-plugin",
                "location",
                "ratelimit",
                "ratelimit-policy",
                "retry-after",
                "x-request-id",
            ]),
            max_age_s: 600,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            max_age_s in 0..=86_400,
        }
        for origin in &self.origins {
            if origin != "*" && !is_origin(origin) {
                let text = "expected an origin such as \"https://app.example.com\" or \"*\", found";
                mistakes.note("origins", format!("{text} {origin:?}"));
            }
        }
        if self.credentials && self.origins.iter().any(|origin| origin == "*") {
            let text = "every origin (`*`) cannot be allowed with credentials";
            mistakes.note("credentials", text);
        }
        let lists = [
            ("methods", &self.methods),
            ("headers", &self.headers),
            ("exposed_headers", &self.exposed_headers),
        ];
        for (key, list) in lists {
            let is_no_name = |name: &&String| HeaderName::from_bytes(name.as_bytes()).is_err();
            if let Some(bad) = list.iter().find(is_no_name) {
                let text = "expected the names of HTTP methods or headers, found";
                mistakes.note(key, format!("{text} {bad:?}"));
            }
        }
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    let bare = uri.scheme_str().zip(uri.authority());
    bare.is_some_and(|(scheme, authority)| {
        text == format!("{scheme}://{authority}") && text == text.to_ascii_lowercase()
    })
}

/// The headers of answers, made once.
pub struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
    credentials: bool,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    /// Nothing where no origin is named.
    pub fn new(config: &Config) -> Option<Cors> {
        let list = |names: &[String]| HeaderValue::from_str(&names.join(", "));
        let origins = config.origins.iter();
        let cors = Cors {
            origins: origins
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect(),
            any: config.origins.iter().any(|origin| origin == "*"),
            credentials: config.credentials,
            methods: list(&config.methods).ok()?,
            headers: list(&config.headers).ok()?,
            exposed: list(&config.exposed_headers).ok()?,
            max_age: HeaderValue::from(config.max_age_s),
        };
        (!cors.origins.is_empty()).then_some(cors)
    }

    /// The answer to a preflight, where the request is one.
    pub fn preflight(&self, method: &Method, asked: &HeaderMap) -> Option<Response<Full<Bytes>>> {
        let is_preflight = *method == Method::OPTIONS
            && asked.contains_key(ORIGIN)
            && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed(asked).is_some() {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Some(answer)
    }

    /// What every answer to such a request carries, refusals included: a page
    /// shall read what was wrong. What a plugin says of origins is dropped.
    pub fn apply(&self, allowed: Option<&HeaderValue>, answer: &mut HeaderMap) {
        answer.append(VARY, HeaderValue::from_static("origin"));
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ] {
            answer.remove(name);
        }
        let Some(origin) = allowed else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    /// The origin that the answer may name, where the one that asks is allowed.
    pub fn allowed(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = asked.get(ORIGIN)?;
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.contains(origin).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "a.example",
            "https://a.example/",
            "https://A.example",
            "null",
            "https://",
            "",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
