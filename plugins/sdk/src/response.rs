//! The response that a handler returns.

use serde::Serialize;

use crate::Answer;
use crate::problem::Problem;

/// Names in lower case, and values.
type Headers = Vec<(String, Vec<u8>)>;

/// One HTTP response.
///
/// ```
/// use hearth_plugin::Response;
/// let response = Response::json(200, &["a", "b"]).unwrap().header("etag", "\"1\"");
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.bytes(), br#"["a","b"]"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Answers a value as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
        Ok(Response::new(status).body("application/json", body))
    }

    /// 201 with the new thing's `Location` and the thing itself.
    pub fn created(location: &str, value: &impl Serialize) -> Answer {
        Ok(Response::json(201, value)?.header("location", location))
    }

    /// 204.
    pub fn no_content() -> Self {
        Response::new(204)
    }

    /// A response with that body.
    pub fn body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", content_type)
    }

    /// Adds a header. The name in lower case; the host refuses line breaks.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.as_bytes().to_vec()));
        self
    }

    /// Says to the host that the request changed nothing, though its status is one of
    /// success: its idempotency key stays free, as after a 4xx. Clients do not see it.
    ///
    /// ```
    /// use hearth_plugin::Response;
    /// let all_failed = Response::json(207, &["failed"]).unwrap().without_effect();
    /// assert_eq!(all_failed.get_header("hearth-effect"), Some("none"));
    /// ```
    pub fn without_effect(self) -> Self {
        self.header("hearth-effect", "none")
    }

    /// The same without its body, as HEAD wants it.
    pub fn without_body(mut self) -> Self {
        self.body.clear();
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The first header of that name (in lower case) which is text.
    pub fn get_header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Status, headers and body.
    pub(crate) fn into_parts(self) -> (u16, Headers, Vec<u8>) {
        (self.status, self.headers, self.body)
    }
}
