//! ETags and conditional requests (RFC 9110, sections 8.8.3 and 13).
//!
//! The plugin's own ETag wins. Only where a GET is answered with 200 and has none
//! does the host make one, of the body. `If-Match` on a request that changes
//! something is the plugin's to judge, since only its transaction can: it reaches
//! the plugin as it is, and nothing here looks at it.
//!
//! ```
//! use bytes::Bytes;
//! use hearth_server::edge::conditional::Conditions;
//! use http::{HeaderMap, Method, Response, StatusCode};
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let asked = |etag: &str| {
//!     let mut headers = HeaderMap::new();
//!     headers.insert("if-none-match", etag.parse().unwrap());
//!     Conditions::of(&Method::GET, &headers)
//! };
//! let answer = || Response::new(http_body_util::Full::new(Bytes::from("hello")));
//! let first = asked("\"other\"").apply(answer()).await.unwrap();
//! let etag = first.headers()["etag"].to_str().unwrap().to_owned();
//! let second = asked(&etag).apply(answer()).await.unwrap();
//! assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
//! # });
//! ```

use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, CONTENT_LOCATION, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// What a request that reads says about the answer it wants.
pub struct Conditions {
    reads: bool,
    head: bool,
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Conditions {
    pub fn of(method: &Method, headers: &HeaderMap) -> Conditions {
        let head = method == Method::HEAD;
        Conditions {
            reads: head || method == Method::GET,
            head,
            if_match: Tags::of(headers, &IF_MATCH),
            if_none_match: Tags::of(headers, &IF_NONE_MATCH),
        }
    }

    /// The answer as these conditions want it: whole, 304, or 412 as a problem.
    ///
    /// # Errors
    /// The client's: it wants another version than there is.
    pub async fn apply(
        &self,
        answer: Response<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        if !self.reads {
            return Ok(answer);
        }
        let (mut parts, body) = answer.into_parts();
        let body = whole(body).await;
        if parts.status == StatusCode::OK {
            tag(&mut parts, &body);
            let own = parts.headers.get(ETAG).and_then(Tag::read);
            self.judge(own.as_ref())?;
            if self.is_unchanged(own.as_ref()) {
                return Ok(not_modified(parts));
            }
        }
        Ok(match self.head {
            true => headless(parts, &body),
            false => Response::from_parts(parts, Full::new(body)),
        })
    }

    /// `If-Match` comes first (section 13.2.2) and compares strongly.
    fn judge(&self, own: Option<&Tag>) -> Result<(), Problem> {
        let holds = match &self.if_match {
            None | Some(Tags::Any) => true,
            Some(Tags::These(tags)) => {
                own.is_some_and(|own| tags.iter().any(|tag| tag.is_strongly(own)))
            }
        };
        match holds {
            true => Ok(()),
            false => Err(Problem::precondition_failed()),
        }
    }

    fn is_unchanged(&self, own: Option<&Tag>) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => {
                own.is_some_and(|own| tags.iter().any(|tag| tag.opaque == own.opaque))
            }
        }
    }
}

/// The body of an answer, which is in memory already.
pub async fn whole(body: Full<Bytes>) -> Bytes {
    match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(never) => match never {},
    }
}

/// An empty body shows nothing of what a GET would: a plugin that answers HEAD by
/// itself gets no ETag from the host.
fn tag(parts: &mut Parts, body: &Bytes) {
    if parts.headers.contains_key(ETAG) || body.is_empty() {
        return;
    }
    let digest = Sha256::digest(body);
    let half = digest.get(..16).unwrap_or_default();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", hex::encode(half))) {
        parts.headers.insert(ETAG, etag);
    }
}

/// 304 says what may have changed about the answer, and nothing of its body
/// (section 15.4.5).
fn not_modified(mut parts: Parts) -> Response<Full<Bytes>> {
    parts.status = StatusCode::NOT_MODIFIED;
    let of_the_body = |name: &HeaderName| {
        name.as_str().starts_with("content-") && name != CONTENT_LOCATION || name == LAST_MODIFIED
    };
    let gone: Vec<HeaderName> = parts
        .headers
        .keys()
        .filter(|name| of_the_body(name))
        .cloned()
        .collect();
    for name in gone {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Full::default())
}

/// The answer to HEAD: what a GET would say, without its body.
fn headless(mut parts: Parts, body: &Bytes) -> Response<Full<Bytes>> {
    if !body.is_empty() {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    Response::from_parts(parts, Full::default())
}

/// An entity tag (section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: Vec<u8>,
}

impl Tag {
    fn read(value: &HeaderValue) -> Option<Tag> {
        Tag::first(value.as_bytes()).map(|(tag, _)| tag)
    }

    /// The tag that a text begins with, and what follows it.
    fn first(text: &[u8]) -> Option<(Tag, &[u8])> {
        let (weak, rest) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let rest = rest.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = rest.split_at_checked(end)?;
        let opaque = opaque.to_vec();
        Some((Tag { weak, opaque }, rest.get(1..)?))
    }

    fn is_strongly(&self, other: &Tag) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }
}

/// What `If-Match` or `If-None-Match` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Tag>),
}

impl Tags {
    /// All lines of the header are one list. What is no tag matches nothing.
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        let mut tags = Vec::new();
        for line in lines {
            if line.as_bytes().trim_ascii() == b"*" {
                return Some(Tags::Any);
            }
            list(line.as_bytes(), &mut tags);
        }
        Some(Tags::These(tags))
    }
}

/// A tag may hold a comma, so a list is read tag by tag.
fn list(mut text: &[u8], tags: &mut Vec<Tag>) {
    loop {
        let separator = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
        let start = text.iter().position(|byte| !separator(byte));
        let Some((tag, rest)) = start
            .and_then(|start| text.get(start..))
            .and_then(Tag::first)
        else {
            return;
        };
        tags.push(tag);
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(lines: &[&str]) -> Option<Tags> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, line.parse().unwrap());
        }
        Tags::of(&headers, &IF_MATCH)
    }

    #[test]
    fn lists_are_read_whatever_they_hold() {
        let tag = |weak, opaque: &str| Tag {
            weak,
            opaque: opaque.into(),
        };
        assert_eq!(tags(&[]), None);
        assert_eq!(tags(&[" * "]), Some(Tags::Any));
        let wanted = vec![tag(false, "a,b"), tag(true, "c"), tag(false, "")];
        assert_eq!(
            tags(&["\"a,b\", W/\"c\"", " , \"\""]),
            Some(Tags::These(wanted))
        );
        assert_eq!(tags(&["no tag"]), Some(Tags::These(vec![])));
        assert_eq!(
            tags(&["\"open"]),
            Some(Tags::These(vec![])),
            "it never ends"
        );
    }
}
