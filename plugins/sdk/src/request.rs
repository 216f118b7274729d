//! The request that a handler gets.

use serde_json::{Map, Value};

use crate::caller::Caller;
use crate::context::Context;
use crate::fields::Fields;
use crate::json;
use crate::problem::Problem;
use crate::query::Query;
use crate::sql::Database;
use crate::time::Timestamp;

/// A change is a merge patch (RFC 7396), whichever of the two it is called.
const ACCEPT_PATCH: &str = "application/merge-patch+json, application/json";

/// The key by which a client names a request that it may send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency<'r> {
    /// As the client wrote it; of the caller's customer.
    pub key: &'r str,
    /// When the host first saw it.
    pub since: Timestamp,
}

/// One HTTP request, whole, and its circumstances.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    context: Context,
}

impl Request {
    /// A request as the host hands it over, or as a test makes it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hearth_plugin::{Context, Request, context::Deadline};
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let context = Context { request_id: "r".into(), caller: None, deadline, mount: "/m".into() };
    /// let request = Request::new("GET", "/m/notes?limit=2", context);
    /// assert_eq!(request.local_path(), Some("/notes"));
    /// ```
    pub fn new(method: &str, target: &str, context: Context) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_string())),
            None => (target, None),
        };
        let (headers, body) = (Vec::new(), Vec::new());
        Request {
            method: method.into(),
            path: path.into(),
            query,
            headers,
            body,
            context,
        }
    }

    /// The same request with these headers; names in lower case.
    pub fn with_headers(mut self, headers: Vec<(String, Vec<u8>)>) -> Self {
        self.headers = headers;
        self
    }

    /// The same request with this body.
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// `GET`, `POST` and so on.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as the client sent it, the mount included.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path below the mount, beginning with `/`; `None` where it is not
    /// below it.
    pub fn local_path(&self) -> Option<&str> {
        let rest = self
            .path
            .strip_prefix(self.context.mount.trim_end_matches('/'))?;
        match rest {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// A path of this plugin for a client to follow: the mount and `local`.
    pub fn link(&self, local: &str) -> String {
        let mount = self.context.mount.trim_end_matches('/');
        [mount, local].concat()
    }

    /// What follows `?`, undecoded.
    pub fn raw_query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The parameters of the query, to be read one by one. 400 where it is not
    /// percent-encoded UTF-8 or holds a NUL character.
    pub fn query(&self) -> Result<Query, Problem> {
        Query::parse(self.query.as_deref().unwrap_or_default())
    }

    /// The first header of that name (in lower case), where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value).ok()
    }

    /// All headers of that name (in lower case), as they came.
    pub(crate) fn header_lines<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        let own = self.headers.iter().filter(move |(own, _)| own == name);
        own.map(|(_, value)| value.as_slice())
    }

    /// The request's idempotency key, where it has one: what is derived of it is the
    /// same when the request is sent and run again.
    pub fn idempotency(&self) -> Option<Idempotency<'_>> {
        let micros = self.header("hearth-idempotency-since")?.parse().ok()?;
        Some(Idempotency {
            key: self.header("idempotency-key")?.trim(),
            since: Timestamp::from_micros(micros),
        })
    }

    /// The body as it is.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON. See [`json::parse_body`] for what is refused.
    pub fn json(&self) -> Result<Value, Problem> {
        let read = json::parse_body(self.header("content-type"), &self.body);
        read.map_err(|problem| match (problem.status(), self.method()) {
            // RFC 5789, section 2.2.
            (415, "PATCH") => problem.header("accept-patch", ACCEPT_PATCH),
            _ => problem,
        })
    }

    /// The body as a JSON object, to read its fields one by one.
    pub fn fields(&self) -> Result<Fields, Problem> {
        Fields::of(self.json()?)
    }

    /// The same where a body may be left out: without one there are no fields.
    pub fn fields_if_any(&self) -> Result<Fields, Problem> {
        match json::is_blank(&self.body) {
            true => Fields::of(Value::Object(Map::new())),
            false => self.fields(),
        }
    }

    /// The circumstances of this call.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The caller. 401 if there is none, which the host allows only on public routes.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        let anonymous = || Problem::new(401, "unauthenticated", "An API key is required");
        self.context.caller.as_ref().ok_or_else(anonymous)
    }

    /// Who asks, if the key has that scope; else 403.
    pub fn require_scope(&self, scope: &str) -> Result<&Caller, Problem> {
        let caller = self.caller()?;
        if caller.has_scope(scope) {
            return Ok(caller);
        }
        Err(Problem::forbidden(format!(
            "an API key with the scope {scope} is required"
        )))
    }

    /// Whether the caller's key has that scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.context
            .caller
            .as_ref()
            .is_some_and(|caller| caller.has_scope(scope))
    }

    /// The plugin's schema in Postgres, on behalf of the caller's customer.
    pub fn database(&self) -> Database {
        Database::until(self.context.deadline)
    }
}
