//! Answers that are the same for every client, with a strong entity tag.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

/// How many bytes of the hash are enough to distinguish bodies.
const TAG_BYTES: usize = 16;

/// A body that is known before anyone asks.
pub struct Fixed {
    body: Bytes,
    tag: String,
    headers: HeaderMap,
}

impl Fixed {
    pub fn new(content_type: &'static str, body: Bytes) -> Fixed {
        let hash = Sha256::digest(&body);
        let tag = format!(
            "\"{}\"",
            hex::encode(hash.get(..TAG_BYTES).unwrap_or_default())
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Kept by whoever likes to, and asked about each time: it changes with a swap.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        Fixed { body, tag, headers }
    }

    /// With one more header.
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Fixed {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// With more headers, whose names are in lower case.
    pub fn with_all(self, headers: &[(&'static str, &'static str)]) -> Fixed {
        headers.iter().fold(self, |file, (name, value)| {
            file.with(HeaderName::from_static(name), value)
        })
    }

    /// The body, or 304 without it for a client that has it (RFC 9110, 13.1.2).
    pub fn answer(&self, request: &HeaderMap) -> Response<Full<Bytes>> {
        let has_it = self.is_known(request);
        let body = if has_it {
            Bytes::new()
        } else {
            self.body.clone()
        };
        let mut answer = Response::new(Full::new(body));
        answer.headers_mut().extend(self.headers.clone());
        if has_it {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer.headers_mut().remove(CONTENT_TYPE);
            answer.headers_mut().remove(CONTENT_ENCODING);
        }
        answer
    }

    /// If-None-Match compares weakly (RFC 9110, 8.8.3.2): `W/` is passed over.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let lists = request.get_all(IF_NONE_MATCH).iter();
        let mut tags = lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
    }
}
