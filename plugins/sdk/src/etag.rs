//! Entity tags and the conditions of changes, `If-Match` and `If-None-Match` (RFC 9110,
//! sections 8.8.3, 13.1.1 and 13.1.2).
//!
//! What has a version has a tag of it. What has none has the tag that the host makes of
//! the body that GET shows: [`Response::etag`] makes the same.

use sha2::{Digest, Sha256};

use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;

/// Bytes of the digest of a body that are its tag, as the host has it.
const DIGEST_BYTES: usize = 16;

/// A tag that no client knows: of what another request made between the look that found
/// nothing and the write.
pub const UNKNOWN: &str = "";

/// The strong entity tag of a version of a row.
///
/// ```
/// assert_eq!(hearth_plugin::etag::of_version(7), "\"7\"");
/// ```
pub fn of_version(version: i64) -> String {
    format!("\"{version}\"")
}

impl Response {
    /// The tag under which a client gets this response to a GET: its own, or the one that
    /// the host makes of the body.
    ///
    /// ```
    /// use hearth_plugin::Response;
    /// let shown = Response::json(200, &1).unwrap();
    /// assert_eq!(shown.etag(), "\"6b86b273ff34fce19d6b804eff5a3f57\"");
    /// assert_eq!(shown.header("etag", "\"7\"").etag(), "\"7\"");
    /// ```
    pub fn etag(&self) -> String {
        if let Some(own) = self.get_header("etag") {
            return own.into();
        }
        let digest = Sha256::digest(self.bytes());
        let hex = digest.iter().take(DIGEST_BYTES);
        let hex: String = hex.map(|byte| format!("{byte:02x}")).collect();
        ["\"", &hex, "\""].concat()
    }
}

impl Request {
    /// 412 where the client wants the thing in another version than it has (`If-Match`), or
    /// not to be there (`If-None-Match: *`). `etag` is the thing's own; `None` where it is
    /// not there, which matches nothing, not even `*`. Ask under the lock of the row: only
    /// then does the answer still hold when the change commits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hearth_plugin::{Context, Request, context::Deadline, etag};
    /// # let deadline = Deadline::after(Duration::from_secs(1));
    /// # let context = Context { request_id: "r".into(), caller: None, deadline, mount: "/m".into() };
    /// let headers = vec![("if-match".to_string(), b"\"1\", \"2\"".to_vec())];
    /// let request = Request::new("PATCH", "/m/notes/1", context).with_headers(headers);
    /// assert!(request.check_preconditions(Some(&etag::of_version(2))).is_ok());
    /// let changed = request.check_preconditions(Some(&etag::of_version(3)));
    /// assert_eq!(changed.unwrap_err().status(), 412);
    /// assert_eq!(request.check_preconditions(None).unwrap_err().status(), 412);
    /// ```
    pub fn check_preconditions(&self, etag: Option<&str>) -> Result<(), Problem> {
        if self.names("if-match", |tag| matches_strongly(tag, etag)) == Some(false) {
            return Err(failed(match etag {
                Some(_) => "it has changed since it was read; read it again",
                None => "it was not found",
            }));
        }
        match self.names("if-none-match", |tag| matches_weakly(tag, etag)) {
            Some(true) => Err(failed("it already exists")),
            _ => Ok(()),
        }
    }

    /// Whether the request sets one of the two conditions.
    pub fn has_preconditions(&self) -> bool {
        let mut names = ["if-match", "if-none-match"].into_iter();
        names.any(|name| self.header_lines(name).next().is_some())
    }

    /// Whether a tag of a header is as it should be; `None` without that header. All lines
    /// of it are one list, and what is no tag is none of them.
    fn names(&self, header: &str, wanted: impl Fn(&str) -> bool) -> Option<bool> {
        let mut lines = self.header_lines(header).peekable();
        lines.peek()?;
        let names = |line: &[u8]| {
            let tags = std::str::from_utf8(line).unwrap_or_default().split(',');
            tags.map(str::trim).any(&wanted)
        };
        Some(lines.any(names))
    }
}

fn matches_strongly(tag: &str, etag: Option<&str>) -> bool {
    etag.is_some_and(|own| tag == "*" || (tag == own && !own.starts_with("W/")))
}

fn matches_weakly(tag: &str, etag: Option<&str>) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    etag.is_some_and(|own| tag == "*" || opaque(tag) == opaque(own))
}

fn failed(detail: &str) -> Problem {
    Problem::new(412, "version-mismatch", "Precondition failed").detail(detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::{Context, Deadline};

    fn status(lines: &[(&str, &[u8])], etag: Option<&str>) -> u16 {
        let deadline = Deadline::after(Duration::from_secs(1));
        let context = Context {
            request_id: "r".into(),
            caller: None,
            deadline,
            mount: "/m".into(),
        };
        let headers = lines
            .iter()
            .map(|(name, line)| (name.to_string(), line.to_vec()));
        let request = Request::new("PUT", "/m/a", context).with_headers(headers.collect());
        let judged = request.check_preconditions(etag);
        judged.map_or_else(|problem| problem.status(), |()| 200)
    }

    #[test]
    fn if_match_holds_for_what_is_there_in_a_version_that_it_names() {
        let there = Some("\"2\"");
        for (line, expected) in [
            (&b"\"2\""[..], 200),
            (b"\"1\" ,\"2\"", 200),
            (b"*", 200),
            (b"\"1\"", 412),
            (b"W/\"2\"", 412),
            (b"2", 412),
            (b"", 412),
            (b"\"\xff\"", 412),
        ] {
            assert_eq!(status(&[("if-match", line)], there), expected, "{line:?}");
            assert_eq!(status(&[("if-match", line)], None), 412, "{line:?}");
        }
        let two_lines = [("if-match", &b"\"1\""[..]), ("if-match", b"\"2\"")];
        assert_eq!(status(&two_lines, there), 200);
        assert_eq!(status(&[], None), 200);
    }

    #[test]
    fn if_none_match_holds_for_what_is_not_there_or_in_another_version() {
        for (line, expected) in [(&b"*"[..], 412), (b"W/\"2\"", 412), (b"\"1\"", 200)] {
            let lines = [("if-none-match", line)];
            assert_eq!(status(&lines, Some("\"2\"")), expected, "{line:?}");
            assert_eq!(status(&lines, None), 200, "{line:?}");
        }
    }
}
