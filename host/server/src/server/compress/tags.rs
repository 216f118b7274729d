//! Entity tags of answers that are compressed (RFC 9110, section 8.8.3.3).
//!
//! A strong tag names bytes, so an encoded answer needs another one, and it has to stay
//! strong: `If-Match` takes no weak one. So the coding is added to the tag, as Jetty adds
//! it: `"7"` is sent as `"7--gzip"`. In the conditions that come back it is taken off
//! again before anybody judges them, for the version is the same in every coding.

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::super::Answer;
use super::accept::{CODINGS, Coding};

/// Between a tag and its coding.
const MARK: &str = "--";

/// The tag of the same version in a coding; none where it is weak, and names no bytes.
pub(super) fn coded(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opened = tag.as_bytes().strip_suffix(b"\"")?;
    let is_strong = opened.starts_with(b"\"");
    let text = [opened, MARK.as_bytes(), coding.name().as_bytes(), b"\""].concat();
    HeaderValue::from_bytes(&text).ok().filter(|_| is_strong)
}

/// What a request says of answers that it got compressed.
pub struct CodedTags {
    coding: Option<Coding>,
    /// The lines of `If-None-Match`, as they came.
    known: Vec<HeaderValue>,
}

impl CodedTags {
    /// Takes the codings off the tags of a request that gets its answer in `coding`.
    /// `If-None-Match` keeps those of other codings: what the client has is encoded in a
    /// way that it takes no more.
    pub fn take(headers: &mut HeaderMap, coding: Option<Coding>) -> CodedTags {
        let known = headers.get_all(IF_NONE_MATCH).iter().cloned().collect();
        strip(headers, &IF_MATCH, &CODINGS);
        strip(headers, &IF_NONE_MATCH, coding.as_slice());
        CodedTags { coding, known }
    }

    /// A 304 names the tag that the client has (RFC 9110, section 15.4.5), or a cache
    /// finds nothing that it could use again.
    pub fn restore(&self, answer: &mut Answer) {
        let own = answer.headers().get(ETAG);
        let (Some(coding), Some(own)) = (self.coding, own) else {
            return;
        };
        if answer.status() != StatusCode::NOT_MODIFIED {
            return;
        }
        if let Some(tag) = coded(own, coding).filter(|tag| self.names(tag)) {
            let headers = answer.headers_mut();
            headers.insert(ETAG, tag);
            headers.append(VARY, HeaderValue::from_static("accept-encoding"));
        }
    }

    fn names(&self, tag: &HeaderValue) -> bool {
        let tag = tag.as_bytes();
        let holds = |line: &HeaderValue| line.as_bytes().windows(tag.len()).any(|part| part == tag);
        self.known.iter().any(holds)
    }
}

fn strip(headers: &mut HeaderMap, name: &HeaderName, codings: &[Coding]) {
    if !headers.contains_key(name) {
        return;
    }
    for (_, line) in headers.iter_mut().filter(|(own, _)| *own == name) {
        if let Ok(stripped) = HeaderValue::from_bytes(&stripped(line.as_bytes(), codings)) {
            *line = stripped;
        }
    }
}

/// Of a list of tags, what lies in quotes is every other part between them.
fn stripped(line: &[u8], codings: &[Coding]) -> Vec<u8> {
    let parts = line.split(|byte| *byte == b'"').enumerate();
    let parts = parts.map(|(place, part)| match place % 2 {
        0 => part,
        _ => bare(part, codings),
    });
    parts.collect::<Vec<_>>().join(&b'"')
}

fn bare<'t>(tag: &'t [u8], codings: &[Coding]) -> &'t [u8] {
    let without = |coding: &Coding| {
        let marked = tag.strip_suffix(coding.name().as_bytes())?;
        marked.strip_suffix(MARK.as_bytes())
    };
    codings.iter().find_map(without).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_of_each_coding_is_its_own_and_strong() {
        let tag = HeaderValue::from_static("\"7\"");
        let all = CODINGS.map(|coding| coded(&tag, coding).unwrap());
        assert_eq!(all, ["\"7--zstd\"", "\"7--br\"", "\"7--gzip\""]);
        for odd in ["W/\"7\"", "7", "", "\""] {
            let tag = HeaderValue::from_static(odd);
            assert_eq!(coded(&tag, Coding::Gzip), None, "{odd}");
        }
    }

    #[test]
    fn lists_lose_the_codings_of_their_tags_and_nothing_else() {
        for (line, expected) in [
            ("\"7--gzip\"", "\"7\""),
            ("W/\"7--br\" , \"a,--gzip b\"", "W/\"7\" , \"a,--gzip b\""),
            ("\"--zstd\", \"7--deflate\"", "\"\", \"7--deflate\""),
            ("*", "*"),
            ("no tag--gzip", "no tag--gzip"),
            ("\"7--gzip--gzip\"", "\"7--gzip\""),
        ] {
            let stripped = stripped(line.as_bytes(), &CODINGS);
            assert_eq!(String::from_utf8(stripped).unwrap(), expected, "{line}");
        }
    }
}
