//! Errors as clients see them: RFC 9457 `application/problem+json`.

use serde_json::{Map, Value};

use crate::request::Request;
use crate::response::Response;

/// What is wrong with one field of a body or one parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where it is.
    pub location: Location,
    /// For programs, for example `too_long`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// Where a wrong value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// The name of a parameter of the query.
    Parameter(String),
}

impl FieldError {
    fn to_json(&self) -> Value {
        let (kind, location) = match &self.location {
            Location::Pointer(pointer) => ("pointer", pointer),
            Location::Parameter(name) => ("parameter", name),
        };
        let mut object = Map::new();
        object.insert(kind.into(), location.as_str().into());
        object.insert("code".into(), self.code.into());
        object.insert("detail".into(), self.detail.as_str().into());
        Value::Object(object)
    }
}

/// An error answer. The SDK adds `instance` and `request_id` when it is sent.
///
/// ```
/// use hearth_plugin::Problem;
/// let problem = Problem::new(409, "illegal-transition", "Illegal transition")
///     .detail("a closed ticket cannot be opened");
/// assert_eq!(problem.status(), 409);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: u16,
    kind: &'static str,
    title: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem of a status, a kind and a title. The kind is a short name of
    /// letters and dashes; the answer's `type` is `urn:hearth:problem:` and it.
    pub fn new(status: u16, kind: &'static str, title: &'static str) -> Self {
        let (detail, errors, headers) = (None, Vec::new(), Vec::new());
        Problem(Box::new(Parts {
            status,
            kind,
            title,
            detail,
            errors,
            headers,
        }))
    }

    /// 404: there is no such thing, or it is another customer's.
    pub fn not_found() -> Self {
        Problem::new(404, "not-found", "Not found")
    }

    /// 403: the key may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Problem::new(403, "forbidden", "Forbidden").detail(detail)
    }

    /// 422: the body is JSON, and some of its fields are wrong.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Problem::new(422, "invalid-fields", "Invalid fields").errors(errors)
    }

    /// 400: parameters of the query are wrong.
    pub fn invalid_query(errors: Vec<FieldError>) -> Self {
        Problem::new(400, "invalid-query", "Invalid query parameters").errors(errors)
    }

    /// 500: the plugin's own mistake. Says nothing more.
    pub fn internal() -> Self {
        Problem::new(500, "internal-error", "Internal error")
    }

    /// Says what happened, to a person. Never put SQL or a secret there.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names every wrong field.
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The fields that it names.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The document, as a member of an answer about many things.
    pub fn to_json(&self, request: &Request) -> Value {
        let mut members = Map::new();
        let parts = &self.0;
        members.insert(
            "type".into(),
            format!("urn:hearth:problem:{}", parts.kind).into(),
        );
        members.insert("title".into(), parts.title.into());
        members.insert("status".into(), parts.status.into());
        members.insert("instance".into(), request.path().into());
        members.insert(
            "request_id".into(),
            request.context().request_id.as_str().into(),
        );
        if let Some(detail) = &parts.detail {
            members.insert("detail".into(), detail.as_str().into());
        }
        if !parts.errors.is_empty() {
            let errors = parts.errors.iter().map(FieldError::to_json).collect();
            members.insert("errors".into(), Value::Array(errors));
        }
        Value::Object(members)
    }

    /// The answer to a request.
    pub fn into_response(self, request: &Request) -> Response {
        let body = self.to_json(request).to_string().into_bytes();
        let parts = *self.0;
        let response = Response::new(parts.status).body("application/problem+json", body);
        parts
            .headers
            .iter()
            .fold(response, |response, (name, value)| {
                response.header(name, value)
            })
    }
}
