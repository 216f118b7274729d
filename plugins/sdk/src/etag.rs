//! Entity tags made of row versions, and the condition `If-Match` (RFC 9110,
//! sections 8.8.3 and 13.1.1).

use crate::problem::Problem;
use crate::request::Request;

/// The strong entity tag of a version of a row.
///
/// ```
/// assert_eq!(hearth_plugin::etag::of_version(7), "\"7\"");
/// ```
pub fn of_version(version: i64) -> String {
    format!("\"{version}\"")
}

impl Request {
    /// 412 where the client names versions (`If-Match`) and the thing has another.
    /// Ask under the lock of the row: only then does the answer still hold when
    /// the change commits. Weak tags never match, as the RFC wants it here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hearth_plugin::{Context, Request, context::Deadline, etag};
    /// # let deadline = Deadline::after(Duration::from_secs(1));
    /// # let context = Context { request_id: "r".into(), caller: None, deadline, mount: "/m".into() };
    /// let headers = vec![("if-match".to_string(), b"\"1\", \"2\"".to_vec())];
    /// let request = Request::new("PATCH", "/m/notes/1", context).with_headers(headers);
    /// assert!(request.check_if_match(&etag::of_version(2)).is_ok());
    /// assert_eq!(request.check_if_match(&etag::of_version(3)).unwrap_err().status(), 412);
    /// ```
    pub fn check_if_match(&self, etag: &str) -> Result<(), Problem> {
        let Some(wanted) = self.header("if-match") else {
            return Ok(());
        };
        let matches = |tag: &str| tag == "*" || tag == etag;
        if wanted.split(',').map(str::trim).any(matches) {
            return Ok(());
        }
        let detail = "it has changed since it was read; read it again";
        Err(Problem::new(412, "version-mismatch", "Precondition failed").detail(detail))
    }
}
